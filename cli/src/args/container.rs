//! Verbs about containers, which may be named as services of a stack.

use super::condition::known_filter;
use super::{Filter, Format, LongStackArgs, Moment, ReplicaArgs, StackArgs};
use crate::stack::value::{Duration, EnvEntry, Signal, UserSpec};
use clap::Args;
use coop_launcher::terminal::DetachKeys;
use std::path::PathBuf;

/// Parses whole seconds, as Docker's `--time` and `--timeout` count.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_secs)
        .map_err(|_| "write a whole number of seconds".to_owned())
}

/// Parses a grace period in whole seconds, where a negative one is for ever, as Docker has it.
pub(super) fn grace_period(text: &str) -> Result<Duration, String> {
    match text.parse::<i64>() {
        Ok(seconds) => Ok(Duration::from_secs(
            seconds.try_into().unwrap_or(FOR_EVER_SECONDS),
        )),
        Err(_) => Err("write a whole number of seconds; -1 waits for ever".to_owned()),
    }
}

/// A hundred years.
const FOR_EVER_SECONDS: u64 = 100 * 365 * 24 * 3600;

/// How many of the last lines to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Every line that is kept.
    All,
    /// At most this many.
    Lines(usize),
}

impl std::str::FromStr for Tail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" | "-1" => Ok(Self::All),
            _ => text
                .parse()
                .map(Self::Lines)
                .map_err(|_| "write a number or all".to_owned()),
        }
    }
}

/// What `ps --filter` knows.
const PS_FILTERS: [&str; 16] = [
    "id", "name", "label", "status", "health", "exited", "ancestor", "volume", "network",
    "publish", "expose", "before", "since", "stack", "project", "service",
];

/// `coop ps`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop ps -a --filter status=exited --filter label=tier=web\n  \
    coop ps --format 'table {{.Names}}\\t{{.Status}}'\n  \
    coop ps -aq --filter stack=shop  the ids of a stack's containers")]
pub(crate) struct PsArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Also containers that have ended
    #[arg(short, long)]
    pub all: bool,
    /// Print only the containers' ids
    #[arg(short, long, conflicts_with = "services")]
    pub quiet: bool,
    /// Print only the names of the services
    #[arg(long)]
    pub services: bool,
    /// Only those of which it is true: id, name, label, status, health, exited, ancestor, volume, network, publish, expose, before, since, stack, service
    #[arg(long = "filter", value_name = "KEY=VALUE", value_parser = ps_filter)]
    pub filters: Vec<Filter>,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
    /// Show the N last created containers, in whatever state
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = -1,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    pub last: i64,
    /// Show the last created container, in whatever state
    #[arg(short, long, conflicts_with = "last")]
    pub latest: bool,
    /// Show how much the containers have written
    #[arg(short, long)]
    pub size: bool,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Only these services or containers
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

fn ps_filter(text: &str) -> Result<Filter, String> {
    known_filter(text, &PS_FILTERS)
}

/// `coop logs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop logs -f web                 follow one service\n  \
    coop logs --tail 100 -t          the last lines of all, with times\n  \
    coop logs --since 10m web        what came in the last ten minutes")]
pub(crate) struct LogsArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: LongStackArgs,
    /// Keep showing lines as they come
    #[arg(short, long)]
    pub follow: bool,
    /// Number of lines to show from the end of each log
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub tail: Tail,
    /// Only lines from this time on, such as 2024-05-01T12:30:00, 1714566600, or 10m ago
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// Only lines up to this time; with --follow, stop then
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<Moment>,
    /// Accepted as by Docker: there are no attributes to show
    #[arg(long, hide = true)]
    pub details: bool,
    /// Show when each line was printed
    #[arg(short, long)]
    pub timestamps: bool,
    /// Do not put the container's name before each line
    #[arg(long)]
    pub no_log_prefix: bool,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop exec`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop exec -it web sh             a shell in the service web of ./stack.yaml\n  \
    coop exec -u nobody web id       a command as another user")]
pub(crate) struct ExecArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Pass standard input on
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Return at once
    #[arg(short, long, conflicts_with_all = ["interactive", "tty"])]
    pub detach: bool,
    /// Set a variable, or pass the host's
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvEntry>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// User to run as [default: the container's]
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<UserSpec>,
    /// Directory to run in [default: the container's]
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Give it every capability
    #[arg(long)]
    pub privileged: bool,
    /// Keys that leave the command without ending it
    #[arg(long, value_name = "KEYS", default_value_t)]
    pub detach_keys: DetachKeys,
    /// Which replica.
    #[command(flatten)]
    pub replica: ReplicaArgs,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What to run, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<String>,
}

/// `coop stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Signal to send instead of the container's own, by name or number
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
    /// Seconds between that signal and SIGKILL, -1 for no SIGKILL [default: the container's own]
    #[arg(short = 't', long = "timeout", visible_alias = "time", value_name = "SECONDS", value_parser = grace_period, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop start`.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Show what it prints, pass signals on, and end with its exit status
    #[arg(short, long)]
    pub attach: bool,
    /// Pass standard input on
    #[arg(short, long)]
    pub interactive: bool,
    /// Keys that leave the container without ending it
    #[arg(long, value_name = "KEYS", default_value_t)]
    pub detach_keys: DetachKeys,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Signal to send, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "SIGKILL")]
    pub signal: Signal,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Also containers that have ended
    #[arg(short, long)]
    pub all: bool,
    /// Print once instead of again and again
    #[arg(long)]
    pub no_stream: bool,
    /// How to print it: table, json, or a Go template
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
    /// Do not shorten anything
    #[arg(long)]
    pub no_trunc: bool,
    /// Services or containers [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: LongStackArgs,
    /// Kill running containers first
    #[arg(short, long)]
    pub force: bool,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    pub volumes: bool,
    /// Services or containers
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `coop inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop inspect web\n  \
    coop inspect -f '{{.State.Status}} {{json .Mounts}}' web\n  \
    coop inspect --type image coop/host")]
pub(crate) struct InspectArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: LongStackArgs,
    /// Print by a Go template, or as json on one line
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value_t,
        hide_default_value = true
    )]
    pub format: Format,
    /// Also how much a container has written
    #[arg(short, long)]
    pub size: bool,
    /// What the names mean [default: the first that there is of these]
    #[arg(long = "type", value_name = "TYPE", value_enum)]
    pub kind: Option<ObjectKind>,
    /// Services, containers, images, volumes or networks
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// What `inspect` can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[allow(missing_docs)]
pub(crate) enum ObjectKind {
    Container,
    Image,
    Volume,
    Network,
}
