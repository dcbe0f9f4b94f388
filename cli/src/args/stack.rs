//! Verbs about a whole stack.

use super::{DocumentFormat, StackArgs};
use crate::stack::value::Duration;
use clap::{Args, ValueEnum};
use coop_launcher::supervisor::OnEnd;

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
    /// Number of containers of a service, over what the file says
    #[arg(long, value_name = "SERVICE=NUMBER")]
    pub scale: Vec<Scale>,
    /// Make containers anew that have not changed
    #[arg(long, conflicts_with = "no_recreate")]
    pub force_recreate: bool,
    /// Leave containers as they are, also when their service has changed
    #[arg(long)]
    pub no_recreate: bool,
    /// Only the named services, without what they depend on
    #[arg(long)]
    pub no_deps: bool,
    /// Make the containers and start none
    #[arg(long, conflicts_with_all = ["wait", "usage"])]
    pub no_start: bool,
    /// Stop all containers when one ends, and exit as the first one that did
    #[arg(long, conflicts_with_all = ["detach", "wait", "no_start", "abort_on_container_failure"])]
    pub abort_on_container_exit: bool,
    /// Stop all containers when one ends with another exit status than 0, and exit with that
    #[arg(long, conflicts_with_all = ["detach", "wait", "no_start"])]
    pub abort_on_container_failure: bool,
    /// Stop all containers when one ends, and exit as this service's did
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["detach", "wait", "no_start"])]
    pub exit_code_from: Option<String>,
    /// Wait until everything runs, and is healthy where it is checked; goes with -d
    #[arg(long, conflicts_with = "usage")]
    pub wait: bool,
    /// Seconds that --wait waits at most
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = super::container::seconds)]
    pub wait_timeout: Option<Duration>,
    /// Show the output of these services only
    #[arg(long, value_name = "SERVICE", conflicts_with = "detach")]
    pub attach: Vec<String>,
    /// Do not show the output of this service
    #[arg(long, value_name = "SERVICE", conflicts_with = "detach")]
    pub no_attach: Vec<String>,
    /// Seconds between the stop signal and SIGKILL for what is replaced [default: the service's own]
    #[arg(short, long, value_name = "SECONDS", value_parser = super::container::seconds)]
    pub timeout: Option<Duration>,
    /// Has no effect: images are local
    #[arg(long, hide = true)]
    pub quiet_pull: bool,
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

impl UpArgs {
    /// Whether the command ends before the stack does.
    pub(crate) fn in_background(&self) -> bool {
        self.detach || self.wait
    }

    /// What the end of one container means for all others.
    pub(crate) fn on_end(&self) -> OnEnd {
        if self.abort_on_container_failure {
            OnEnd::StopAllAfterFailure
        } else if self.abort_on_container_exit || self.exit_code_from.is_some() {
            OnEnd::StopAll
        } else {
            OnEnd::GoOn
        }
    }

    /// How long `--wait` waits at most.
    pub(crate) fn wait_timeout(&self) -> Option<std::time::Duration> {
        self.wait_timeout.map(Into::into)
    }

    /// The grace period of what is replaced, when it is not each service's own.
    pub(crate) fn timeout(&self) -> Option<std::time::Duration> {
        self.timeout.map(Into::into)
    }
}

/// How many containers a service is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scale {
    /// The service.
    pub service: String,
    /// How many.
    pub replicas: u32,
}

impl std::str::FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, replicas) = text
            .split_once('=')
            .ok_or("write SERVICE=NUMBER, such as web=3")?;
        let replicas = replicas
            .parse()
            .map_err(|_| format!("{replicas:?} is not a number of containers"))?;
        Ok(Self {
            service: service.to_owned(),
            replicas,
        })
    }
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
    /// Remove the services' images too, as far as nobody else uses them
    #[arg(long, value_name = "WHICH")]
    pub rmi: Option<Images>,
    /// Remove containers of services that the file no longer has
    #[arg(long)]
    pub remove_orphans: bool,
    /// Seconds between the stop signal and SIGKILL, -1 for no SIGKILL [default: the service's own]
    #[arg(short, long, value_name = "SECONDS", value_parser = super::container::grace_period, allow_negative_numbers = true)]
    pub timeout: Option<Duration>,
}

/// Which images go with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Images {
    /// Those that the file gives no name: built ones
    Local,
    /// Those of all services
    All,
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
    /// Print only the names of the networks
    #[arg(long, conflicts_with_all = ["quiet", "services", "volumes"])]
    pub networks: bool,
    /// Print only the names of the profiles
    #[arg(long = "profiles", conflicts_with_all = ["quiet", "services", "volumes", "networks"])]
    pub profile_names: bool,
    /// Print only the names of the images
    #[arg(long, conflicts_with_all = ["quiet", "services", "volumes", "networks", "profile_names"])]
    pub images: bool,
    /// Print only the names of the volumes
    #[arg(long, conflicts_with_all = ["quiet", "services"])]
    pub volumes: bool,
    /// Print a hash of these services, separated by commas; of all for *
    #[arg(long, value_name = "SERVICES", conflicts_with_all = ["quiet", "services", "volumes", "networks", "profile_names", "images"])]
    pub hash: Option<String>,
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
