//! Verbs about the life of containers.

use super::StackArgs;
use crate::stack::value::Duration;
use clap::Args;

/// `coop restart`.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Seconds between the stop signal and SIGKILL [default: the container's own]
    #[arg(short = 't', long = "timeout", visible_alias = "time", value_name = "SECONDS", value_parser = super::container::seconds)]
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
pub(crate) struct UpdateArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Services or containers
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `coop attach`.
#[derive(Debug, Args)]
pub(crate) struct AttachArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `coop top`.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// A dashboard of all containers
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
    /// Service or container
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub name: Option<String>,
}

/// `coop port`.
#[derive(Debug, Args)]
pub(crate) struct PortArgs {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Service or container
    #[arg(value_name = "NAME")]
    pub name: String,
}
