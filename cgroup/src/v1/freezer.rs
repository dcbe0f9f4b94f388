//! The freezer, and killing with its help.
//!
//! See the kernel's `Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst`.

use std::time::Duration;

use crate::dir::{Dir, is_gone};
use crate::error::Error;
use crate::kill::kill_listed;
use crate::wait::Backoff;

const STATE: &str = "freezer.state";

/// Freezes the group and waits until it is frozen. On failure it runs again.
pub(super) fn freeze(dir: &Dir) -> Result<(), Error> {
    if freeze_within(dir, Duration::from_secs(2))? {
        return Ok(());
    }
    dir.write(STATE, "THAWED")?;
    Err(Error::Freeze {
        path: dir.path().to_owned(),
    })
}

fn freeze_within(dir: &Dir, patience: Duration) -> Result<bool, Error> {
    let mut backoff = Backoff::new(patience);
    dir.write(STATE, "FROZEN")?;
    let mut looks = 0_u32;
    // The kernel finishes freezing when the state is read, not on its own.
    while dir.read(STATE)?.trim() != "FROZEN" {
        if !backoff.pause() {
            return Ok(false);
        }
        looks += 1;
        // A process that forks at the wrong moment can leave the group in FREEZING for
        // good (runc works around the same); starting over helps.
        if looks.is_multiple_of(10) {
            dir.write(STATE, "THAWED")?;
            backoff.pause();
            dir.write(STATE, "FROZEN")?;
        }
    }
    Ok(true)
}

/// Lets the group run.
pub(super) fn thaw(dir: &Dir) -> Result<(), Error> {
    dir.write(STATE, "THAWED")
}

/// Whether the group is frozen, or on the way to it.
pub(super) fn is_frozen(dir: &Dir) -> Result<bool, Error> {
    Ok(dir.read(STATE)?.trim() != "THAWED")
}

/// Kills everything in the group and below it.
///
/// A frozen process neither forks nor ends, so the list of a frozen group is complete and
/// its numbers are valid. It takes its `SIGKILL` when it is thawed, before it runs a
/// single instruction of its own.
pub(super) fn kill(dir: &Dir) -> Result<(), Error> {
    let result = kill_frozen(dir);
    match result {
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}

fn kill_frozen(dir: &Dir) -> Result<(), Error> {
    // One that does not freeze (stopped by a tracer, in a dead filesystem) is killed all
    // the same, by looking until nobody new shows up.
    freeze_within(dir, Duration::from_millis(100))?;
    let killed = kill_listed(dir);
    // A container may have frozen groups of its own below.
    let thawed = dir.walk(&mut thaw, &mut |_, _| Ok(()));
    killed.and(thawed)
}
