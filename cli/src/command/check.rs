//! `coop check`: what this host's kernel offers to keep containers apart, what of it is in force
//! for a default container, and what to change.
//!
//! The container is a real one, made by a `coop` of its own and looked at from outside, by its
//! files in `/proc`, and from inside, where this very program (`coop check --inside`) says what
//! it sees and tries what it must not be able to do. It is about the host; what Coop itself has
//! left on disk is `coop system check`'s.

mod attempts;
mod container;
mod finding;
mod inside;
mod kernel;
mod probe;
mod settings;
mod sys;

use anyhow::Result;

use crate::args::CheckArgs;
use crate::host::Host;
use crate::ui::print;
use finding::{Finding, Part, Verdict};

pub(super) use inside::run as inside;
pub(super) use probe::abandoned as abandoned_roots;

/// `coop check`: 1 when something that Coop promises does not hold.
pub(super) fn check(host: &Host, args: &CheckArgs) -> Result<i32> {
    let mut findings = kernel::look(host);
    findings.extend(settings::look());
    match probe::run(host) {
        Ok(seen) => findings.extend(container::judge(&seen)),
        Err(error) => findings.push(
            Finding::new(Part::Container, "a default container", "cannot be run")
                .broken(format!("{error:#}")),
        ),
    }
    let text = if args.json {
        finding::json(&findings)
    } else {
        finding::text(&findings)
    };
    print(&text)?;
    let broken = findings.iter().any(|it| it.verdict == Verdict::Broken);
    Ok(i32::from(broken))
}
