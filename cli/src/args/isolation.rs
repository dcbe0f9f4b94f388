//! What `coop run` says about the process: how it runs, what it may do, what it shares.

use super::RunArgs;
use crate::stack::value::{
    BlkioWeight, ByteSize, CgroupMode, DeviceMapping, Group, IdMapLine, IpcMode, Label,
    LandlockRule, OomScoreAdj, ParseError, PidMode, SecurityOpt, Swappiness, Sysctl, UtsMode,
};
use crate::stack::{BlkioConfig, DeviceRate, IdMapLines, Isolation};
use clap::Args;
use coop_cgroup::{CgroupPath, DeviceRule};
use std::path::PathBuf;
use std::str::FromStr;

/// Further flags of `coop run`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Isolation")]
pub(crate) struct IsolationArgs {
    /// Run a small init as process 1, which forwards signals and reaps
    #[arg(long, help_heading = "Process")]
    pub init: bool,
    /// Further group of the user, by the container's /etc/group or by number
    #[arg(long, value_name = "GROUP", help_heading = "Process")]
    pub group_add: Vec<Group>,
    /// Note for other programs
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Process")]
    pub annotation: Vec<Label>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE", help_heading = "Process")]
    pub label_file: Vec<PathBuf>,
    /// How likely it is to be killed when memory is short, -1000 to 1000
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        help_heading = "Limits"
    )]
    pub oom_score_adj: Option<OomScoreAdj>,
    /// Size of /dev/shm, 64m without
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub shm_size: Option<ByteSize>,
    /// How much the kernel prefers to swap its memory, 0 to 100 (cgroup v1)
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub memory_swappiness: Option<Swappiness>,
    /// Share of the disk's time, 10 to 1000
    #[arg(long, value_name = "WEIGHT", help_heading = "Limits")]
    pub blkio_weight: Option<BlkioWeight>,
    /// Most bytes read per second from a block device
    #[arg(long, value_name = "DEVICE:BYTES", help_heading = "Limits")]
    pub device_read_bps: Vec<RateFlag<ByteSize>>,
    /// Most bytes written per second to a block device
    #[arg(long, value_name = "DEVICE:BYTES", help_heading = "Limits")]
    pub device_write_bps: Vec<RateFlag<ByteSize>>,
    /// Most reads per second from a block device
    #[arg(long, value_name = "DEVICE:NUMBER", help_heading = "Limits")]
    pub device_read_iops: Vec<RateFlag<Operations>>,
    /// Most writes per second to a block device
    #[arg(long, value_name = "DEVICE:NUMBER", help_heading = "Limits")]
    pub device_write_iops: Vec<RateFlag<Operations>>,
    /// Cgroup to make the container's in, below the root of the tree
    #[arg(long, value_name = "PATH", value_parser = cgroup_parent, help_heading = "Limits")]
    pub cgroup_parent: Option<CgroupPath>,
    /// NIS domain name inside the container
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub domainname: Option<String>,
    /// Hardly keep it from the host at all: every capability and device, no masks, the host's ids
    #[arg(long)]
    pub privileged: bool,
    #[arg(
        long,
        value_name = "OPTION",
        help = "Loosen or tighten: no-new-privileges[:false], seccomp=FILE|default|strict|unconfined, systempaths=unconfined, apparmor=PROFILE, label=type:TYPE"
    )]
    pub security_opt: Vec<SecurityOpt>,
    /// Let it call what it likes, and write the seccomp profile of what it has called to a file
    #[arg(long, value_name = "FILE", conflicts_with = "detach")]
    pub seccomp_record: Option<PathBuf>,
    /// Have Landlock allow no files but these: read=, write= or execute=PATH
    #[arg(long, value_name = "ACCESS=PATH")]
    pub landlock: Vec<LandlockRule>,
    /// Map user ids by name; group ids, too, without --gidmap
    #[arg(long, value_name = "CONTAINER:HOST:COUNT")]
    pub uidmap: Vec<IdMapLine>,
    /// Map group ids by name; user ids, too, without --uidmap
    #[arg(long, value_name = "CONTAINER:HOST:COUNT")]
    pub gidmap: Vec<IdMapLine>,
    /// Device of the host
    #[arg(long, value_name = "HOST[:CONTAINER[:rwm]]")]
    pub device: Vec<DeviceMapping>,
    /// Rule for device nodes, such as 'c 1:3 rwm'
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<DeviceRule>,
    /// Kernel parameter of its own namespaces
    #[arg(long, value_name = "NAME=VALUE")]
    pub sysctl: Vec<Sysctl>,
    /// host, or container:NAME: whose processes it sees
    #[arg(long, value_name = "MODE")]
    pub pid: Option<PidMode>,
    /// none, private, shareable, host, or container:NAME: whose shared memory it uses
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<IpcMode>,
    /// host: have the host's name
    #[arg(long, value_name = "MODE")]
    pub uts: Option<UtsMode>,
    /// host or private: what it sees of the cgroup tree
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<CgroupMode>,
}

/// `PATH:RATE`.
#[derive(Debug, Clone)]
pub(crate) struct RateFlag<T>(PathBuf, T);

/// A number of operations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operations(u64);

const RATE: &str = "write DEVICE:RATE, such as /dev/sda:10mb";

impl<T: FromStr<Err = ParseError>> FromStr for RateFlag<T> {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.rsplit_once(':') {
            Some((path, rate)) if path.starts_with('/') => Ok(Self(path.into(), rate.parse()?)),
            _ => Err(ParseError::new("the device or the rate is missing", RATE)),
        }
    }
}

impl FromStr for Operations {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse()
            .map(Self)
            .map_err(|_| ParseError::new("not a number of operations", RATE))
    }
}

fn cgroup_parent(text: &str) -> Result<CgroupPath, coop_cgroup::PathError> {
    CgroupPath::new(text.trim_start_matches('/'))
}

/// The keys that a stack file would have for these flags.
pub(crate) fn isolation(args: &RunArgs) -> Isolation {
    let more = &args.isolation;
    Isolation {
        annotations: more
            .annotation
            .iter()
            .map(|note| (note.key.clone(), note.value.clone()))
            .collect(),
        blkio_config: blkio_config(more),
        cgroup: more.cgroupns,
        cgroup_parent: more.cgroup_parent.clone(),
        device_cgroup_rules: more.device_cgroup_rule.clone(),
        devices: more.device.clone(),
        domainname: more.domainname.clone(),
        group_add: more.group_add.clone(),
        id_maps: IdMapLines {
            uid_map: more.uidmap.clone(),
            gid_map: more.gidmap.clone(),
        },
        init: more.init.then_some(true),
        ipc: more.ipc.clone(),
        label_file: more.label_file.clone(),
        landlock: more.landlock.clone(),
        mem_swappiness: more.memory_swappiness,
        oom_score_adj: more.oom_score_adj,
        pid: more.pid.clone(),
        privileged: more.privileged,
        security_opt: more.security_opt.clone(),
        shm_size: more.shm_size.filter(|size| size.bytes() > 0),
        stdin_open: args.interactive,
        sysctls: more
            .sysctl
            .iter()
            .map(|sysctl| (sysctl.name.clone(), sysctl.value.clone()))
            .collect(),
        tty: args.tty,
        ulimits: args.ulimit.clone(),
        uts: more.uts,
        seccomp: None,
    }
}

fn blkio_config(args: &IsolationArgs) -> Option<BlkioConfig> {
    let bytes = |flags: &[RateFlag<ByteSize>]| rates(flags, |size| size);
    let operations = |flags: &[RateFlag<Operations>]| rates(flags, |number| number.0);
    let config = BlkioConfig {
        weight: args.blkio_weight,
        device_read_bps: bytes(&args.device_read_bps),
        device_read_iops: operations(&args.device_read_iops),
        device_write_bps: bytes(&args.device_write_bps),
        device_write_iops: operations(&args.device_write_iops),
    };
    (config != BlkioConfig::default()).then_some(config)
}

fn rates<T: Copy, R>(flags: &[RateFlag<T>], rate: impl Fn(T) -> R) -> Vec<DeviceRate<R>> {
    let one = |flag: &RateFlag<T>| DeviceRate {
        path: flag.0.clone(),
        rate: rate(flag.1),
    };
    flags.iter().map(one).collect()
}
