//! `coop kill`: a signal to a container's first process.

use anyhow::{Result, bail};
use coop_launcher::store::State;
use coop_launcher::supervisor::Request;
use coop_ns::Signal;

use super::several::Several;
use crate::args::{KillArgs, StackArgs};
use crate::host::Host;

/// `coop kill`. After `SIGKILL` it has ended when the command has.
pub(crate) fn kill(host: &Host, stack: &StackArgs, args: &KillArgs) -> Result<i32> {
    let signal = args.signal.number();
    let mut several = Several::find(host, stack, &args.names)?;
    if several.is_whole_stack() {
        several.only(State::init_alive);
    } else {
        several.each(|_, state| runs(state));
    }
    several.ask(|ids| Request::Signal { ids, signal }, runs);
    if signal == Signal::KILL.number() {
        several.ask(|ids| Request::Watch { ids }, |_| Ok(()));
    }
    several.finish()
}

fn runs(state: &State) -> Result<()> {
    if state.init_alive() {
        return Ok(());
    }
    bail!("cannot kill container {}: it is not running", state.name)
}
