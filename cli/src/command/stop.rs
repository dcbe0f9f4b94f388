//! `coop stop`.

use anyhow::Result;
use coop_launcher::supervisor::Request;

use super::several::Several;
use crate::args::{StackArgs, StopArgs};
use crate::host::Host;
use crate::stack::value::Signal;

/// `coop stop`. What does not run is as it was asked for.
pub(crate) fn stop(host: &Host, stack: &StackArgs, args: &StopArgs) -> Result<i32> {
    let mut several = Several::find(host, stack, &args.names)?;
    several.show_stopping();
    let timeout = args.timeout.map(Into::into);
    let signal = args.signal.map(Signal::number);
    several.ask(
        |ids| Request::Stop {
            ids,
            timeout,
            signal,
        },
        |_| Ok(()),
    );
    several.finish()
}
