//! `coop restart`: stop and start.

use anyhow::Result;

use coop_launcher::supervisor::Request;

use super::several::Several;
use crate::args::{RestartArgs, StackArgs};
use crate::host::Host;
use crate::stack::value::Signal;
use crate::supervise;

/// `coop restart`. What does not run is started.
pub(super) fn restart(host: &Host, stack: &StackArgs, args: &RestartArgs) -> Result<i32> {
    let mut several = Several::find(host, stack, &args.names)?;
    several.show_stopping();
    let timeout = args.timeout.map(Into::into);
    let signal = args.signal.map(Signal::number);
    for (stack, ids) in several.by_stack() {
        let request = Request::Restart {
            ids: ids.clone(),
            timeout,
            signal,
        };
        let result = supervise::restart(host, &stack, &ids, &request, &mut |report| {
            several.note(report);
        });
        if let Err(error) = result {
            several.fail_all(&ids, &error);
        }
    }
    several.finish()
}
