//! The hostile-container suite: attacks, what stops each, and the proof that it does.
//!
//! [`table`] says it as data. A [`Row`] is one attack, carried out inside a container by the
//! program `hostile` (`tests/src/bin/hostile`), with the [`Guard`]s that stop it. [`Trial`]
//! runs a row on real containers:
//!
//! 1. In a default container the attack has to be denied, in the way that the row says.
//! 2. With every guard but one turned off by name, that one alone has to deny it: what is
//!    called a guard is one, and the denial has the reason that it should have.
//! 3. With all guards off the attack has to succeed. Where its success would hurt the machine
//!    it gets past the guards to something else that cannot be mistaken, such as `ENOEXEC`
//!    for a kernel module that is none. So the attack is known to bite.
//!
//! A row that has no such switch says why ([`Off::Never`]).
//!
//! `cargo xtask escape` runs all of it and prints the table.

mod guard;
mod outcome;
mod report;
mod row;
mod scene;
mod shared_memory;
pub mod table;
mod trial;

pub use guard::{By, Guard};
pub use outcome::{Outcome, errno_name};
pub use row::{Off, Row, row};
pub use scene::Scene;
pub use trial::{Expected, Run, Trial, Verdict};
