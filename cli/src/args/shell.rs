//! Verbs for the one at the terminal.

use clap::Args;
use std::path::PathBuf;

/// `coop ui`.
#[derive(Debug, Args)]
pub(crate) struct UiArgs {
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "1")]
    pub interval: f64,
}

/// `coop completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// Which shell: bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `coop man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory to write one page for each command to [default: the main page, to standard output]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
