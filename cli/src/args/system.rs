//! Verbs about everything on this host.

use super::condition::known_filter;
use super::{Filter, Format, Moment};
use clap::{Args, Subcommand, ValueEnum};

/// What `events --filter` knows.
const EVENT_FILTERS: [&str; 10] = [
    "container",
    "event",
    "image",
    "label",
    "network",
    "project",
    "service",
    "stack",
    "type",
    "volume",
];

/// `coop events`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop events --filter stack=shop --filter event=die\n  \
    coop events --since 10m --until 0s --format json")]
pub(crate) struct EventsArgs {
    /// Also what happened since then: a time, or how long ago (10m)
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// End then
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// Only those of which it is true: container, event, image, label, network, service, stack, type, volume
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = event_filter)]
    pub filters: Vec<Filter>,
    /// How to print it: json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
}

fn event_filter(text: &str) -> Result<Filter, String> {
    known_filter(text, &EVENT_FILTERS)
}

/// `coop ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only some: name=TEXT
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Also stacks of which nothing runs
    #[arg(short, long)]
    pub all: bool,
    /// Print only the names
    #[arg(short, long)]
    pub quiet: bool,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `coop prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// `coop info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// How to print it: json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// `coop check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Shows what the kernel offers, how it is set, and what is in force for a default\n\
    container, which is made for it and looked at from outside and inside. Says what to\n\
    change, and changes nothing. Ends with 1 when something that Coop promises does not hold.\n\n\
    It is about the host. `coop system check` is about what Coop has left on disk and in the\n\
    kernel, and mends it."
)]
pub(crate) struct CheckArgs {
    /// Print every finding as JSON
    #[arg(long)]
    pub json: bool,
    /// The part inside of the container that is looked at
    #[arg(long, hide = true)]
    pub inside: Option<Inside>,
}

/// What `coop check` does inside of its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Inside {
    /// Say what is there.
    Look,
    /// Try what must not be possible.
    Try,
}

/// `coop system`.
#[derive(Debug, Args)]
pub(crate) struct SystemArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SystemCommand,
}

/// The verbs of `coop system`.
#[derive(Debug, Subcommand)]
pub(crate) enum SystemCommand {
    /// Show what takes up space on disk
    Df(SystemDfArgs),
    /// Compare what is on disk with what is in the kernel, and mend it (`coop check` is about the host)
    Check(SystemCheckArgs),
    /// Remove all that is not in use
    Prune(SystemPruneArgs),
    /// Show what Coop has and what this host can do
    Info(InfoArgs),
}

/// `coop system df`.
#[derive(Debug, Args)]
pub(crate) struct SystemDfArgs {
    /// Each image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `coop system check`.
#[derive(Debug, Args)]
pub(crate) struct SystemCheckArgs {
    /// Print what is wrong, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `coop system prune`.
#[derive(Debug, Args)]
pub(crate) struct SystemPruneArgs {
    /// Only some: until=TIME, label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Also images that no container uses
    #[arg(short, long)]
    pub all: bool,
    /// Also volumes that no container uses
    #[arg(long)]
    pub volumes: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// `coop volume`.
#[derive(Debug, Args)]
pub(crate) struct VolumeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: VolumeCommand,
}

/// The verbs of `coop volume`.
#[derive(Debug, Subcommand)]
pub(crate) enum VolumeCommand {
    /// Create a volume
    Create(VolumeCreateArgs),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(VolumeLsArgs),
    /// Print all that is known of volumes, as JSON
    Inspect(VolumeInspectArgs),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(VolumeRmArgs),
    /// Remove volumes that no container uses
    Prune(VolumePruneArgs),
}

/// `coop volume create`.
#[derive(Debug, Args)]
pub(crate) struct VolumeCreateArgs {
    /// What makes it: only local is there
    #[arg(short, long, value_name = "DRIVER", default_value = "local")]
    pub driver: String,
    /// A label, as KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// An option of the driver: local has none
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub opt: Vec<String>,
    /// Its name [default: a random one]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// `coop volume ls`.
#[derive(Debug, Args)]
pub(crate) struct VolumeLsArgs {
    /// Only some: dangling=true|false, name=TEXT, label=KEY[=VALUE], driver=NAME
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Print only the names
    #[arg(short, long)]
    pub quiet: bool,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// `coop volume inspect`.
#[derive(Debug, Args)]
pub(crate) struct VolumeInspectArgs {
    /// How to print it: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Volumes
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `coop volume rm`.
#[derive(Debug, Args)]
pub(crate) struct VolumeRmArgs {
    /// A volume that does not exist is no error
    #[arg(short, long)]
    pub force: bool,
    /// Volumes
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `coop volume prune`.
#[derive(Debug, Args)]
pub(crate) struct VolumePruneArgs {
    /// Only some: label=KEY[=VALUE], label!=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<Filter>,
    /// Also named volumes
    #[arg(short, long)]
    pub all: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}
