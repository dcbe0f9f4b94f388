//! `coop system check`: what is on disk is compared with what is in the kernel, and mended.
//!
//! Only what provably belongs to this root is touched: the cgroup tree and the network are
//! shared with every other root of the host. What a command that runs at this moment is about
//! to use is not stale: each part knows how to tell.

mod files;
mod kernel;
mod stacks;

pub(in super::super) use files::planned;

use anyhow::Result;

use crate::args::SystemCheckArgs;
use crate::host::Host;
use crate::ui::print;

/// `coop system check`: one line for each thing that was wrong. Exit status 0 when nothing was,
/// or all is mended.
pub(super) fn check(host: &Host, args: &SystemCheckArgs) -> Result<i32> {
    let mut findings = Findings::new(if args.dry_run { Mode::Look } else { Mode::Mend });
    // In this order: a stack that is put right gives back much of what would look stale.
    stacks::check(host, &mut findings)?;
    files::check(host, &mut findings)?;
    kernel::check(host, &mut findings)?;
    findings.end()
}

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Look,
    Mend,
}

/// What was found, told as it is found.
struct Findings {
    mode: Mode,
    found: usize,
    failed: usize,
}

impl Findings {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            found: 0,
            failed: 0,
        }
    }

    /// Tells what is wrong, and mends it unless this only looks.
    fn found(&mut self, wrong: &str, done: &str, mend: impl FnOnce() -> Result<()>) -> Result<()> {
        self.found += 1;
        match self.mode {
            Mode::Look => print(&format!("{wrong}\n")),
            Mode::Mend => match mend() {
                Ok(()) => print(&format!("{wrong}: {done}\n")),
                Err(error) => {
                    self.failed += 1;
                    crate::ui::error(&error.context(wrong.to_owned()));
                    Ok(())
                }
            },
        }
    }

    /// Tells what is wrong and cannot be mended here.
    fn hopeless(&mut self, error: &anyhow::Error) {
        self.found += 1;
        self.failed += 1;
        crate::ui::error(error);
    }

    fn end(self) -> Result<i32> {
        if self.found == 0 {
            print("nothing to mend\n")?;
        }
        let clean = match self.mode {
            Mode::Look => self.found == 0,
            Mode::Mend => self.failed == 0,
        };
        Ok(i32::from(!clean))
    }
}

/// Looks twice, a moment apart: what is there both times is not just being made or removed.
fn lasting<T: PartialEq>(mut look: impl FnMut() -> Result<Vec<T>>) -> Result<Vec<T>> {
    const MOMENT: std::time::Duration = std::time::Duration::from_millis(200);
    let mut first = look()?;
    if first.is_empty() {
        return Ok(first);
    }
    std::thread::sleep(MOMENT);
    let second = look()?;
    first.retain(|found| second.contains(found));
    Ok(first)
}
