//! Verbs about the life of containers.

use super::StackArgs;
use crate::stack::value::{ByteSize, Cpus, Duration, PidsLimit, Restart, Signal, SwapLimit};
use clap::{ArgAction, Args};
use coop_launcher::terminal::DetachKeys;

/// Which replica of a service, for commands on one container.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct ReplicaArgs {
    /// Which replica of the service [default: the first]
    #[arg(long, value_name = "NUMBER")]
    pub index: Option<u32>,
}

/// `coop restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Signal to send instead of the container's own, by name or number
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
    /// Seconds between that signal and SIGKILL, -1 for no SIGKILL [default: the container's own]
    #[arg(short = 't', long = "timeout", visible_alias = "time", value_name = "SECONDS", value_parser = super::container::grace_period, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Services or containers
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `coop pause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop unpause`.
#[derive(Debug, Args)]
pub(crate) struct UnpauseArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Services or containers [default: all of the stack]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `coop rename`.
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its new name
    #[arg(value_name = "NEW_NAME")]
    pub new_name: String,
}

/// `coop update`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop update -m 256m --memory-swap 512m web   more memory, at once\n  \
    coop update --cpus 0 web                     no limit of processor time any more")]
pub(crate) struct UpdateArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// What to change.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Services or containers
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// Limits to change; what is not given stays.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct LimitArgs {
    /// Most memory, such as 64M; 0 for no limit
    #[arg(short, long, value_name = "BYTES")]
    pub memory: Option<ByteSize>,
    /// Most memory and swap together, -1 for no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<SwapLimit>,
    /// Memory to keep when the machine runs short
    #[arg(long, value_name = "BYTES")]
    pub memory_reservation: Option<ByteSize>,
    /// Number of processors, such as 0.5; 0 for no limit
    #[arg(long, value_name = "NUMBER", value_parser = cpus_or_none, conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<CpusLimit>,
    /// Microseconds of processor time in each period; 0 or -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// Length of that period in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// Relative weight against other containers, 1024 being the normal one
    #[arg(short = 'c', long, value_name = "WEIGHT")]
    pub cpu_shares: Option<u64>,
    /// Processors to run on, such as 0-3,6
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use, such as 0,1
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Most processes and threads, -1 for no limit
    #[arg(
        long = "pids-limit",
        visible_alias = "pids",
        value_name = "NUMBER",
        allow_hyphen_values = true
    )]
    pub pids_limit: Option<PidsLimit>,
    /// Relative weight of its reads and writes against other containers', 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u64>,
    #[arg(
        long,
        value_name = "POLICY",
        help = "What becomes of it when it ends: no, always, unless-stopped, on-failure[:N]"
    )]
    pub restart: Option<Restart>,
}

/// A number of processors, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CpusLimit {
    /// As many as there are.
    Unlimited,
    /// At most this many.
    At(Cpus),
}

fn cpus_or_none(text: &str) -> Result<CpusLimit, String> {
    match text.parse::<f64>() {
        Ok(0.0) => Ok(CpusLimit::Unlimited),
        _ => text
            .parse()
            .map(CpusLimit::At)
            .map_err(|error: crate::stack::value::ParseError| error.to_string()),
    }
}

/// `coop attach`.
#[derive(Debug, Args)]
#[command(after_help = "The container goes on when the detach keys are typed.\n\
    Exit status: the container's own, when it ends meanwhile.")]
pub(crate) struct AttachArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Which replica.
    #[command(flatten)]
    pub replica: ReplicaArgs,
    /// Keys that leave the container without ending it
    #[arg(long, value_name = "KEYS", default_value_t)]
    pub detach_keys: DetachKeys,
    /// Pass nothing on from standard input
    #[arg(long)]
    pub no_stdin: bool,
    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    pub sig_proxy: bool,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `coop top`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop top web                     the processes of web, as ps -ef lists them\n  \
    coop top web -o pid,user,rss,args   only these columns\n  \
    coop top --all                   a dashboard of all containers")]
pub(crate) struct TopArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Which replica.
    #[command(flatten)]
    pub replica: ReplicaArgs,
    /// A dashboard of all containers
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
    /// Service or container
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub name: Option<String>,
    /// Options of ps(1): -e, -f, aux, -o COLUMNS
    #[arg(
        value_name = "PS OPTIONS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub ps_options: Vec<String>,
}

/// `coop port`.
#[derive(Debug, Args)]
pub(crate) struct PortArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Which replica.
    #[command(flatten)]
    pub replica: ReplicaArgs,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Only this port of the container, such as 80 or 53/udp
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
}
