//! Verbs about the files of a container.

use super::StackArgs;
use clap::Args;

/// `coop cp`.
#[derive(Debug, Args)]
pub(crate) struct CpArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// `NAME:PATH`, a path of the host, or `-` for a tar stream from standard input
    #[arg(value_name = "SOURCE", allow_hyphen_values = true)]
    pub source: String,
    /// `NAME:PATH`, a path of the host, or `-` for a tar stream to standard output
    #[arg(value_name = "DESTINATION", allow_hyphen_values = true)]
    pub destination: String,
}

/// `coop diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
}
