//! Whether this machine's kernel can run the guest: proved by letting it run one.
//!
//! `/dev/kvm` proves nothing. Inside some virtual machines it is there, and a guest that is
//! started on it stands still for ever.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::guest::{Accelerator, Guest, Job, Ports};
use super::machine::{End, Limits, Machine};
use super::protocol::Message;

/// A guest on the kernel's virtualisation is up within two seconds.
const LIMITS: Limits = Limits {
    silence: Duration::from_secs(30),
    whole: Duration::from_secs(30),
};

/// Boots `guest`, which has no disk and goes off as soon as it is up.
///
/// # Errors
/// When it does not come up in time: with what it said instead.
pub(crate) fn prove(guest: &Guest<'_>, directory: &Path) -> Result<()> {
    let guest = Guest {
        accelerator: Accelerator::Kvm,
        disks: &[],
        ..*guest
    };
    let name = format!("kvm-{}", std::process::id());
    let console = directory.join(format!("console-{name}.log"));
    let ports = Ports::Watched { console: &console };
    let start = guest.command(&Job::new("probe", "full"), "full", ports)?;
    let mut up = false;
    let end = Machine::start(start.command, &console)?.watch(LIMITS, |line| {
        up |= matches!(Message::read(line), Some(Message::Ready { .. }));
    });
    let _ = std::fs::remove_file(&console);
    let why = match end? {
        End::Off if up => return Ok(()),
        End::Off => "the guest went off at once".to_owned(),
        End::Silent | End::TooLong => format!(
            "the guest did not come up within {} s",
            LIMITS.whole.as_secs()
        ),
        End::Panic(words) | End::Broken(words) => words,
    };
    bail!("this machine cannot run the guest with --kvm; leave it out.\n  {why}")
}
