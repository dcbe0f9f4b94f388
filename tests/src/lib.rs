//! End-to-end tests of Coop, and the harness that they stand on.
//!
//! Every test gets a [`Host`] of its own: a network namespace, a mount namespace, a cgroup
//! subtree and a directory for Coop's state. What a test does there touches neither the
//! machine nor another test, so tests run in parallel, and what a container leaves behind
//! is visible at once ([`Host::assert_nothing_left`]).
//!
//! ```no_run
//! use coop_tests::{Host, Rootfs};
//!
//! let host = Host::new();
//! let root = Rootfs::new(&host);
//! let before = host.snapshot();
//!
//! host.coop(["run", "--rm", "--rootfs"])
//!     .arg(root.path())
//!     .args(["--", "/bin/sh", "-c", "exit 7"])
//!     .run()
//!     .code(7);
//!
//! host.assert_nothing_left(&before);
//! ```
//!
//! The binary under test is named by `COOP_BIN`, the one with fault injection by
//! `COOP_BIN_FAULT`; `cargo xtask test` builds and sets both. The tests need root.

pub mod ask;
mod binary;
pub mod cgroup;
mod command;
pub mod escape;
mod host;
mod kernel;
mod namespaces;
mod output;
pub mod page;
mod proc;
mod rootfs;
mod running;
mod screen;
pub mod selinux;
mod snapshot;
mod soak;
mod stack;
mod upstream;
mod user;
mod user_stack;
mod wait;
mod web;
mod world;

pub use command::Cmd;
pub use host::Host;
pub use kernel::is_kernel_before;
pub use output::Output;
pub use proc::{Ids, capabilities, id_map, namespace, status_field};
pub use rootfs::Rootfs;
pub use running::Running;
pub use screen::Screen;
pub use snapshot::Snapshot;
pub use soak::{Chance, rounds};
pub use stack::Stack;
pub use upstream::{Says, Upstream};
pub use user::{USER, User};
pub use user_stack::{UserStack, web};
pub use wait::{wait_longer_until, wait_until};
pub use web::{Serve, Web};
pub use world::World;

/// Ends the calling test here, and says why it did not look at anything.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        eprintln!("skipped: {}", format_args!($($reason)+));
        return;
    }};
}
