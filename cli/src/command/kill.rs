//! `coop kill`: a signal to a container's first process.

use anyhow::{Context, Result};
use coop_ns::{Signal, pidfd};
use std::os::fd::AsFd;

use crate::args::{KillArgs, StackArgs};
use crate::host::{Host, require_root};
use crate::load;
use crate::supervise;

/// `coop kill`.
pub(crate) fn kill(host: &Host, stack: &StackArgs, args: &KillArgs) -> Result<i32> {
    require_root("send signals to containers")?;
    let signal =
        Signal::new(args.signal.number()).context("the signal's number is out of range")?;
    let all = args.names.is_empty();
    for state in load::select(host, stack, &args.names)? {
        drop(supervise::keeper(host, &state.stack)?);
        let Some(init) = state.live_init() else {
            if all {
                continue;
            }
            anyhow::bail!("container {} is not running", state.name);
        };
        let init = pidfd::open(init)?;
        // The number could have been reused until the pidfd was open.
        if state.init_alive() {
            pidfd::send_signal(init.as_fd(), signal)?;
        }
        if signal == Signal::KILL {
            supervise::wait_for_end(host, &state)?;
        }
    }
    super::print_names(&args.names)
}
