//! Verbs about images.

use super::Format;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `coop image`.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  \
        coop image import alpine-base.tar.gz\n  \
        coop image import alpine-minirootfs.tar.gz alpine:3.20\n  \
        coop image ls"
)]
pub(crate) struct ImageArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ImageCommand,
}

/// What to do with images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Make an image of an archive or a directory
    Import(ImageImportArgs),
    /// List images
    #[command(visible_alias = "list")]
    Ls(ImageLsArgs),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(ImageRmArgs),
    /// Print all that is known of images, as JSON
    Inspect(ImageInspectArgs),
}

/// `coop image import`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a name the image is called as the file is: alpine-base.tar.gz becomes \
    alpine-base. The name may also come first.\n\n\
    Examples:\n  \
        coop image import alpine-base.tar.gz\n  \
        coop image import --change 'CMD [\"/bin/sh\"]' rootfs.tar.zst team/base:1.0\n  \
        ssh build tar -C /srv/rootfs -c . | coop image import - base"
)]
pub(crate) struct ImageImportArgs {
    /// Archive (tar, plain or gz, zst, xz; squashfs), directory, or - for standard input
    #[arg(value_name = "FILE|DIR")]
    pub source: PathBuf,
    /// Name of the image, such as alpine:3.20
    #[arg(value_name = "IMAGE")]
    pub name: Option<String>,
    /// Apply a Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER,
    /// VOLUME or WORKDIR
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// What its programs are for, such as linux/arm64; this machine otherwise
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
}

/// `coop image ls` and `coop images`.
#[derive(Debug, Args)]
pub(crate) struct ImageLsArgs {
    /// Print only the images' ids
    #[arg(short, long)]
    pub quiet: bool,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
}

/// `coop image rm` and `coop rmi`.
#[derive(Debug, Args)]
pub(crate) struct ImageRmArgs {
    /// Images to remove
    #[arg(value_name = "IMAGE", required = true)]
    pub names: Vec<String>,
}

/// `coop image inspect`.
#[derive(Debug, Args)]
pub(crate) struct ImageInspectArgs {
    /// Print by a Go template, or as json on one line
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value_t,
        hide_default_value = true
    )]
    pub format: Format,
    /// Images
    #[arg(value_name = "IMAGE", required = true)]
    pub names: Vec<String>,
}
