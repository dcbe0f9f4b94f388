//! `coop run`: a stack of one.

use super::isolation::IsolationArgs;
use crate::stack::LogDriver;
use crate::stack::value::NetworkFlag;
use crate::stack::value::{
    ByteSize, CpuFlag, Cpus, Duration, EnvEntry, ExtraHost, Label, Mount, PidsLimit, Port, Restart,
    RootfsMode, Signal, SwapLimit, TmpfsMount, Ulimit, UserSpec, UsernsMode,
};
use clap::{ArgAction, Args};
use coop_launcher::terminal::DetachKeys;
use std::path::PathBuf;

/// `coop run`.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    override_usage = "coop run [OPTIONS] IMAGE [COMMAND]...\n       \
        coop run [OPTIONS] --rootfs DIR [--] [COMMAND]...",
    after_help = "Examples:\n  \
        coop run -it --rm coop/host sh\n  \
        coop run -d --name web -p 8080:80 -m 64M coop/host httpd -f -p 80\n  \
        coop run --rootfs ./rootfs --memory 64M --cpu 50% --pids 64 -- /bin/sh -c 'ps; hostname'\n\n\
        Exit status: the command's own; 125 when Coop fails, 126 when the command cannot be\n\
        executed, 127 when it is not found."
)]
pub(crate) struct RunArgs {
    /// Pass standard input on
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Keys that leave the container without ending it; with -it
    #[arg(long, value_name = "KEYS", default_value_t)]
    pub detach_keys: DetachKeys,
    /// Return when it has started, and print its id
    #[arg(short, long)]
    pub detach: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// Name of the container [default: a random one]
    #[arg(long)]
    pub name: Option<String>,
    /// Print the resources used at exit
    #[arg(long, conflicts_with = "detach")]
    pub usage: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,

    /// Image to run; then all of COMMAND is the command
    #[arg(
        long,
        value_name = "IMAGE",
        conflicts_with = "rootfs",
        help_heading = "Root filesystem"
    )]
    pub image: Option<String>,
    /// Directory to run instead of an image; then all of COMMAND is the command
    #[arg(long, value_name = "DIR", help_heading = "Root filesystem")]
    pub rootfs: Option<PathBuf>,
    /// overlay: writes go elsewhere; ro: no writes; rw: writes go to DIR [default: overlay]
    #[arg(
        long,
        value_name = "MODE",
        requires = "rootfs",
        help_heading = "Root filesystem"
    )]
    pub rootfs_mode: Option<RootfsMode>,
    #[arg(
        long,
        value_name = "POLICY",
        help_heading = "Process",
        help = "no, always, unless-stopped or on-failure[:N]: when to start it again [default: no]"
    )]
    pub restart: Option<Restart>,
    /// json-file, local or none: what becomes of its output [default: json-file]
    #[arg(long, value_name = "DRIVER", help_heading = "Process")]
    pub log_driver: Option<LogDriver>,
    /// Option of the log driver, such as max-size=10m or max-file=3
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Process")]
    pub log_opt: Vec<Label>,

    /// Mount the root filesystem read-only
    #[arg(long, help_heading = "Root filesystem")]
    pub read_only: bool,
    /// Mount a path of the host or a volume
    #[arg(
        short,
        long,
        value_name = "SOURCE:TARGET[:OPTIONS]",
        help_heading = "Root filesystem"
    )]
    pub volume: Vec<Mount>,
    /// Mount an empty filesystem in memory
    #[arg(
        long,
        value_name = "TARGET[:OPTIONS]",
        help_heading = "Root filesystem"
    )]
    pub tmpfs: Vec<TmpfsMount>,

    /// Most memory, such as 64M
    #[arg(short, long, value_name = "BYTES", help_heading = "Limits")]
    pub memory: Option<ByteSize>,
    /// Most memory and swap together, -1 for no limit
    #[arg(
        long,
        value_name = "BYTES",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub memory_swap: Option<SwapLimit>,
    /// Memory to keep when the machine runs short
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub memory_reservation: Option<ByteSize>,
    /// Most processor time: 50%, or microseconds per 100 ms such as 50000
    #[arg(
        long,
        value_name = "SHARE",
        conflicts_with = "cpus",
        help_heading = "Limits"
    )]
    pub cpu: Option<CpuFlag>,
    /// Number of processors, such as 0.5
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub cpus: Option<Cpus>,
    /// Relative weight against other containers, 1024 being the normal one
    #[arg(short = 'c', long, value_name = "WEIGHT", help_heading = "Limits")]
    pub cpu_shares: Option<u64>,
    /// Processors to run on, such as 0-3,6
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use, such as 0,1
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_mems: Option<String>,
    /// Most processes and threads, -1 for no limit
    #[arg(
        long = "pids-limit",
        visible_alias = "pids",
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub pids_limit: Option<PidsLimit>,
    /// Resource limit of each process, such as nofile=1024:4096
    #[arg(long, value_name = "NAME=SOFT[:HARD]", help_heading = "Limits")]
    pub ulimit: Vec<Ulimit>,

    /// Host name inside the container
    #[arg(short = 'h', long, value_name = "NAME", help_heading = "Network")]
    pub hostname: Option<String>,
    /// Publish a port, such as 8080:80 or 127.0.0.1:8080:80/udp
    #[arg(
        short,
        long,
        value_name = "[HOST:]PORT[/PROTOCOL]",
        help_heading = "Network"
    )]
    pub publish: Vec<Port>,
    /// A network by name; none: loopback only; host, container:NAME: that of another [default: bridge]
    #[arg(
        long,
        visible_alias = "net",
        value_name = "NETWORK",
        help_heading = "Network"
    )]
    pub network: Vec<NetworkFlag>,
    /// One more name in its network
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub network_alias: Vec<String>,
    /// IPv4 address in its network
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub ip: Option<std::net::Ipv4Addr>,
    /// IPv6 address in its network
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub ip6: Option<std::net::Ipv6Addr>,
    /// Hardware address in its network
    #[arg(long, value_name = "MAC", help_heading = "Network")]
    pub mac_address: Option<coop_net::Mac>,

    /// Entry of /etc/hosts, such as db:192.0.2.7 or host:host-gateway
    #[arg(long, value_name = "NAME:ADDRESS", help_heading = "Network")]
    pub add_host: Vec<ExtraHost>,
    /// Name server, instead of the host's
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub dns: Vec<std::net::IpAddr>,
    /// Domain to look names up in, instead of the host's
    #[arg(long, value_name = "DOMAIN", help_heading = "Network")]
    pub dns_search: Vec<String>,
    /// Option of the resolver, instead of the host's
    #[arg(
        long,
        visible_alias = "dns-opt",
        value_name = "OPTION",
        help_heading = "Network"
    )]
    pub dns_option: Vec<String>,

    /// Set a variable, or pass the host's
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Process")]
    pub env: Vec<EnvEntry>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    pub env_file: Vec<PathBuf>,
    /// User to run as
    #[arg(short, long, value_name = "USER[:GROUP]", help_heading = "Process")]
    pub user: Option<UserSpec>,
    /// Directory to run in
    #[arg(short, long, value_name = "DIR", help_heading = "Process")]
    pub workdir: Option<String>,
    /// Program to run instead of the image's
    #[arg(long, value_name = "PROGRAM", help_heading = "Process")]
    pub entrypoint: Option<String>,
    /// Label of the container
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Process")]
    pub label: Vec<Label>,
    /// Signal that asks it to end
    #[arg(long, value_name = "SIGNAL", help_heading = "Process")]
    pub stop_signal: Option<Signal>,
    /// Seconds between that signal and SIGKILL
    #[arg(long, value_name = "SECONDS", value_parser = super::container::seconds, help_heading = "Process")]
    pub stop_timeout: Option<Duration>,

    /// Add a capability
    #[arg(long, value_name = "CAPABILITY", help_heading = "Isolation")]
    pub cap_add: Vec<String>,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "CAPABILITY", help_heading = "Isolation")]
    pub cap_drop: Vec<String>,
    /// keep-id: have your own ids inside, too; host: the host's ids, so that root inside is root outside
    #[arg(long, value_name = "MODE", help_heading = "Isolation")]
    pub userns: Option<UsernsMode>,
    #[command(flatten)]
    pub isolation: IsolationArgs,

    /// Line for sh that succeeds when the container works
    #[arg(long, value_name = "LINE", help_heading = "Health")]
    pub health_cmd: Option<String>,
    /// Time between checks
    #[arg(long, value_name = "DURATION", help_heading = "Health")]
    pub health_interval: Option<Duration>,
    /// Longest that one check may take
    #[arg(long, value_name = "DURATION", help_heading = "Health")]
    pub health_timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy
    #[arg(long, value_name = "NUMBER", help_heading = "Health")]
    pub health_retries: Option<u32>,
    /// Time after the start in which failures do not count
    #[arg(long, value_name = "DURATION", help_heading = "Health")]
    pub health_start_period: Option<Duration>,
    /// Time between checks during the start period
    #[arg(long, value_name = "DURATION", help_heading = "Health")]
    pub health_start_interval: Option<Duration>,
    /// No check, also when the image has one
    #[arg(long, conflicts_with_all = ["health_cmd", "health_interval", "health_timeout", "health_retries", "health_start_period", "health_start_interval"], help_heading = "Health")]
    pub no_healthcheck: bool,

    /// Image unless --image or --rootfs is given, then the command and its arguments
    #[arg(value_name = "IMAGE COMMAND", trailing_var_arg = true, required_unless_present_any = ["image", "rootfs"], help_heading = None)]
    pub words: Vec<String>,
}

impl RunArgs {
    /// The image, unless a directory is run.
    pub(crate) fn image(&self) -> Option<&str> {
        match (&self.image, &self.rootfs) {
            (Some(image), _) => Some(image),
            (None, Some(_)) => None,
            (None, None) => self.words.first().map(String::as_str),
        }
    }

    /// The command and its arguments; empty keeps the image's.
    pub(crate) fn command(&self) -> &[String] {
        if self.image.is_some() || self.rootfs.is_some() {
            &self.words
        } else {
            self.words.get(1..).unwrap_or_default()
        }
    }
}
