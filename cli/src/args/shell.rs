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
#[command(after_help = "Put it where your shell reads it when it starts:\n  \
    bash    echo 'source <(coop completion bash)' >> ~/.bashrc\n  \
    zsh     echo 'source <(coop completion zsh)' >> ~/.zshrc\n  \
    fish    echo 'coop completion fish | source' > ~/.config/fish/completions/coop.fish")]
pub(crate) struct CompletionArgs {
    /// Which shell: bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `coop man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop man | man -l -                     read the main page\n  \
    coop man /usr/local/share/man/man1      install all of them")]
pub(crate) struct ManArgs {
    /// Directory to write one page for each command to [default: the main page, to standard output]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
