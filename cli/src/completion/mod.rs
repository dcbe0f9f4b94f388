//! Completion of command lines, asked for by a shell.
//!
//! The script that `coop completion SHELL` prints calls this program again for each press of
//! the key, with the words so far and [`VARIABLE`] in its environment. The names of containers,
//! services, images and so on are looked up then; an ordinary run only looks at the variable.

mod attach;
mod candidates;
mod words;

use clap::CommandFactory;
use clap_complete::CompleteEnv;

use crate::args::Cli;

/// Set to the shell's name when a shell asks.
pub(crate) const VARIABLE: &str = "COOP_COMPLETE";

/// Answers a shell and ends, if it was a shell that asked.
pub(crate) fn answer_shell() {
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(|| attach::completers(Cli::command()))
            .var(VARIABLE)
            .complete();
    }
}
