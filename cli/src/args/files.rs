//! Verbs about the files of a container.

use super::StackArgs;
use clap::Args;

/// `coop cp`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop cp web:/etc/nginx .         a directory out of a container\n  \
    coop cp site/. web:/srv          what is in a directory, into a container\n  \
    coop cp web:/var/log - | tar t   as a tar stream")]
pub(crate) struct CpArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Keep owners, as the container numbers them, and set-id bits
    #[arg(short, long)]
    pub archive: bool,
    /// Copy what a link leads to, when SOURCE is one
    #[arg(short = 'L', long)]
    pub follow_link: bool,
    /// Do not say what was copied
    #[arg(short, long)]
    pub quiet: bool,
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
