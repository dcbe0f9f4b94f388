//! Verbs about a whole stack.

use super::{DocumentFormat, StackArgs};
use crate::stack::value::Duration;
use clap::Args;

/// `coop up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop up                          ./stack.yaml, logs on this terminal, Ctrl-C takes it down\n  \
    coop up -d -f shop.yaml          in the background\n  \
    coop up -d web                   only web and what it depends on")]
pub(crate) struct UpArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Return when everything has started
    #[arg(short, long)]
    pub detach: bool,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Print the resources used at exit
    #[arg(long, conflicts_with = "detach")]
    pub usage: bool,
    /// No colours
    #[arg(long)]
    pub no_color: bool,
    /// Do not put the container's name before each line of its output
    #[arg(long)]
    pub no_log_prefix: bool,
    /// Only these services and what they depend on
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// `coop down`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop down                        containers and networks go, named volumes stay\n  \
    coop down -v                     volumes go as well\n  \
    coop -p shop down                a stack by name, without its file")]
pub(crate) struct DownArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Remove the stack's volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Seconds between the stop signal and SIGKILL [default: the service's own]
    #[arg(short, long, value_name = "SECONDS", value_parser = super::container::seconds)]
    pub timeout: Option<Duration>,
}

/// `coop config`.
#[derive(Debug, Args)]
#[command(visible_alias = "convert")]
pub(crate) struct ConfigArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Print only the names of the services
    #[arg(long, conflicts_with = "quiet")]
    pub services: bool,
    /// Print only the names of the volumes
    #[arg(long, conflicts_with_all = ["quiet", "services"])]
    pub volumes: bool,
    /// Print nothing, only check
    #[arg(short, long)]
    pub quiet: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: DocumentFormat,
}

/// `coop plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub format: DocumentFormat,
    /// Only these services and what they depend on
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}
