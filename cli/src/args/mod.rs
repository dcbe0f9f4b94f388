//! The command line: Docker's names for Docker's things.
//!
//! `-f` and `-p` (which file, which stack) may stand before the verb, as with compose,
//! or after it, except where Docker gave the letter another meaning: `logs -f`
//! follows, `run -p` publishes.

mod condition;
mod container;
mod files;
mod filter;
mod image;
mod isolation;
mod lifecycle;
mod moment;
mod network;
mod quick;
mod run;
mod seccomp;
mod shell;
mod stack;
mod system;
#[cfg(test)]
mod tests;

pub(crate) use condition::{Conditions, label_fits, name_fits};
pub(crate) use container::{
    ExecArgs, InspectArgs, KillArgs, LogsArgs, ObjectKind, PsArgs, RmArgs, StartArgs, StatsArgs,
    StopArgs, Tail,
};
pub(crate) use files::{CpArgs, DiffArgs};
pub(crate) use filter::{Filter, boolean};
pub(crate) use image::{
    ImageArgs, ImageCommand, ImageImportArgs, ImageInspectArgs, ImageLsArgs, ImageRmArgs,
};
pub(crate) use isolation::isolation;
pub(crate) use lifecycle::{
    AttachArgs, CpusLimit, LimitArgs, PauseArgs, PortArgs, RenameArgs, ReplicaArgs, RestartArgs,
    TopArgs, UnpauseArgs, UpdateArgs, WaitArgs,
};
pub(crate) use moment::Moment;
pub(crate) use network::{
    NetworkArgs, NetworkCommand, NetworkConnectArgs, NetworkCreateArgs, NetworkDisconnectArgs,
    NetworkHealArgs, NetworkInspectArgs, NetworkLsArgs, NetworkPartitionArgs, NetworkPruneArgs,
    NetworkRmArgs,
};
pub(crate) use quick::parse;
pub(crate) use run::RunArgs;
pub(crate) use seccomp::{
    ContextArgs, DiffProfilesArgs, DumpArgs, ExplainArgs, RecordArgs, SeccompArgs, SeccompCommand,
};
pub(crate) use shell::{CompletionArgs, ManArgs, UiArgs};
pub(crate) use stack::{ConfigArgs, DownArgs, Images, PlanArgs, Scale, UpArgs};
pub(crate) use system::{
    CheckArgs, EventsArgs, InfoArgs, Inside, LsArgs, PruneArgs, SystemArgs, SystemCheckArgs,
    SystemCommand, SystemDfArgs, SystemPruneArgs, VolumeArgs, VolumeCommand, VolumeCreateArgs,
    VolumeInspectArgs, VolumeLsArgs, VolumePruneArgs, VolumeRmArgs,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

pub(crate) use crate::ui::Format;

/// Stacks of containers from a compose file, with no daemon.
#[derive(Debug, Parser)]
#[command(
    name = "coop",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Examples:\n  \
        coop up -f stack.yaml            start a stack and show its logs\n  \
        coop up -d                       the same for ./stack.yaml, in the background\n  \
        coop run -it coop/host sh        a container of its own\n  \
        coop ps -a                       what runs, and what has ended"
)]
pub(crate) struct Cli {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Where and how loud.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which stack a command is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct StackArgs {
    /// Stack file [default: stack.yaml, compose.yaml or docker-compose.yaml here]
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Name of the stack [default: the file's name: key, or its directory]
    #[arg(
        short = 'p',
        long = "project-name",
        visible_alias = "stack",
        value_name = "STACK"
    )]
    pub project: Option<String>,
    #[arg(
        long = "profile",
        value_name = "PROFILE",
        help = "Also services of this profile, * for all [env: COMPOSE_PROFILES]"
    )]
    pub profiles: Vec<String>,
}

/// The same without `-f` and `-p`, for verbs where Docker gave those letters away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct LongStackArgs {
    /// Stack file [default: stack.yaml, compose.yaml or docker-compose.yaml here]
    #[arg(long = "file", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Name of the stack [default: the file's name: key, or its directory]
    #[arg(long = "project-name", visible_alias = "stack", value_name = "STACK")]
    pub project: Option<String>,
}

impl From<&LongStackArgs> for StackArgs {
    fn from(args: &LongStackArgs) -> Self {
        Self {
            file: args.file.clone(),
            project: args.project.clone(),
            profiles: Vec::new(),
        }
    }
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Directory for images, volumes and state
    #[arg(
        long,
        global = true,
        env = "COOP_ROOT",
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub root: Option<PathBuf>,
    /// Print each step as it happens
    #[arg(long, global = true, help_heading = "Global options")]
    pub verbose: bool,
    /// Log at level debug
    #[arg(long, global = true, help_heading = "Global options")]
    pub debug: bool,
    /// How much to log
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        help_heading = "Global options"
    )]
    pub log_level: Option<LogLevel>,
}

impl GlobalArgs {
    /// The level of the log: `--log-level`, else what `--debug` means, else `None`.
    pub(crate) fn level(&self) -> Option<log::LevelFilter> {
        match self.log_level {
            Some(level) => Some(level.filter()),
            None => self.debug.then_some(log::LevelFilter::Debug),
        }
    }
}

/// A level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// As `log` has it.
    pub(crate) fn filter(self) -> log::LevelFilter {
        match self {
            Self::Off => log::LevelFilter::Off,
            Self::Error => log::LevelFilter::Error,
            Self::Warn => log::LevelFilter::Warn,
            Self::Info => log::LevelFilter::Info,
            Self::Debug => log::LevelFilter::Debug,
            Self::Trace => log::LevelFilter::Trace,
        }
    }
}

/// How a document is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub(crate) enum DocumentFormat {
    #[default]
    Yaml,
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create and start a stack
    Up(UpArgs),
    /// Stop and remove a stack
    Down(DownArgs),
    /// List containers
    Ps(PsArgs),
    /// Show what containers have printed
    Logs(LogsArgs),
    /// Run a command in a running container
    Exec(ExecArgs),
    /// Stop running containers
    Stop(StopArgs),
    /// Start stopped containers
    Start(StartArgs),
    /// Send a signal to running containers
    Kill(KillArgs),
    /// Show the resources that containers use
    Stats(StatsArgs),
    /// Print the stack file, resolved, in canonical form
    Config(ConfigArgs),
    /// Print what `up` would do, with every default explicit
    Plan(PlanArgs),
    /// Create and start a container
    Run(Box<RunArgs>),
    /// Create a container, to be started later
    Create(Box<RunArgs>),
    /// Remove stopped containers
    Rm(RmArgs),
    /// Stop containers and start them again
    Restart(RestartArgs),
    /// Wait until containers have ended, and print their exit statuses
    Wait(WaitArgs),
    /// Freeze all processes of containers
    Pause(PauseArgs),
    /// Let frozen containers go on
    Unpause(UnpauseArgs),
    /// Give a container another name
    Rename(RenameArgs),
    /// Change the limits of containers, running or not
    Update(UpdateArgs),
    /// Connect with a running container's standard streams
    Attach(AttachArgs),
    /// Show the processes of a container, or a dashboard of all
    Top(TopArgs),
    /// Show the published ports of a container
    Port(PortArgs),
    /// Copy files into and out of a container
    Cp(CpArgs),
    /// Show what has changed in a container's files
    Diff(DiffArgs),
    /// Show what happens, as it happens
    Events(EventsArgs),
    /// List stacks
    Ls(LsArgs),
    /// Print all that is known of containers, as JSON
    Inspect(InspectArgs),
    /// Manage images
    Image(ImageArgs),
    /// List images
    Images(ImageLsArgs),
    /// Remove images
    Rmi(ImageRmArgs),
    /// Manage volumes
    Volume(VolumeArgs),
    /// Manage networks
    Network(NetworkArgs),
    /// Look at system-call filters, and make them
    Seccomp(SeccompArgs),
    /// Look after what is on disk and in the kernel
    System(SystemArgs),
    /// Remove stopped containers and unused networks
    Prune(PruneArgs),
    /// Show what Coop has and what this host can do
    Info(InfoArgs),
    /// Check how well this host keeps containers apart
    Check(CheckArgs),
    /// A dashboard of all containers
    Ui(UiArgs),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
    /// Write the manual pages
    Man(ManArgs),
    /// Print the version
    Version(VersionArgs),
}

/// `coop version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// How to print it
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

impl Cli {
    /// Which stack the command is about: what stands after the verb wins over what
    /// stands before it.
    pub(crate) fn stack(&self) -> StackArgs {
        let own = match &self.command {
            Command::Up(args) => args.stack.clone(),
            Command::Down(args) => args.stack.clone(),
            Command::Ps(args) => args.stack.clone(),
            Command::Logs(args) => (&args.stack).into(),
            Command::Exec(args) => args.stack.clone(),
            Command::Stop(args) => args.stack.clone(),
            Command::Start(args) => args.stack.clone(),
            Command::Kill(args) => args.stack.clone(),
            Command::Stats(args) => args.stack.clone(),
            Command::Config(args) => args.stack.clone(),
            Command::Plan(args) => args.stack.clone(),
            Command::Rm(args) => (&args.stack).into(),
            Command::Inspect(args) => (&args.stack).into(),
            Command::Restart(args) => args.stack.clone(),
            Command::Wait(args) => args.stack.clone(),
            Command::Pause(args) => args.stack.clone(),
            Command::Unpause(args) => args.stack.clone(),
            Command::Rename(args) => args.stack.clone(),
            Command::Update(args) => args.stack.clone(),
            Command::Attach(args) => args.stack.clone(),
            Command::Top(args) => args.stack.clone(),
            Command::Port(args) => args.stack.clone(),
            Command::Cp(args) => args.stack.clone(),
            Command::Diff(args) => args.stack.clone(),
            Command::Run(_)
            | Command::Create(_)
            | Command::Events(_)
            | Command::Ls(_)
            | Command::Volume(_)
            | Command::Network(_)
            | Command::Seccomp(_)
            | Command::System(_)
            | Command::Prune(_)
            | Command::Info(_)
            | Command::Check(_)
            | Command::Ui(_)
            | Command::Completion(_)
            | Command::Man(_)
            | Command::Image(_)
            | Command::Images(_)
            | Command::Rmi(_)
            | Command::Version(_) => StackArgs::default(),
        };
        StackArgs {
            file: own.file.or_else(|| self.stack.file.clone()),
            project: own.project.or_else(|| self.stack.project.clone()),
            profiles: [own.profiles, self.stack.profiles.clone()].concat(),
        }
    }
}
