//! `coop run`'s words as a stack of one: from here on the two are the same.

mod network;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use coop_launcher::supervisor::RestartPolicy;
use indexmap::IndexMap;

use crate::args::RunArgs;
use crate::plan::{RunOptions, SHARED_NETWORK};
use crate::stack::value::{ByteSize, EnvEntry, MountKind, SwapLimit};
use crate::stack::{
    EnvFile, HealthTest, Healthcheck, Logging, Network, Networking, Rootfs, Service, Stack,
    Variables, Volume,
};

/// The service that the arguments describe, in a stack that declares its volumes.
pub(crate) fn from_args(args: &RunArgs) -> Result<(Stack, Service, RunOptions)> {
    let command = args.command();
    let mut service = Service {
        image: args.image().map(str::to_owned),
        rootfs: rootfs(args),
        command: (!command.is_empty()).then(|| command.to_vec()),
        entrypoint: args.entrypoint.clone().map(|program| {
            if program.is_empty() {
                Vec::new()
            } else {
                vec![program]
            }
        }),
        environment: environment(&args.env),
        env_file: env_files(&args.env_file),
        working_dir: args.workdir.clone(),
        user: args.user.clone(),
        hostname: args.hostname.clone(),
        volumes: args.volume.clone(),
        tmpfs: args.tmpfs.clone(),
        ports: args.publish.clone(),
        healthcheck: healthcheck(args),
        restart: args.restart,
        logging: logging(args)?,
        stop_signal: args.stop_signal,
        stop_grace_period: args.stop_timeout,
        cap_add: args.cap_add.clone(),
        cap_drop: args.cap_drop.clone(),
        read_only: args.read_only,
        mem_limit: args.memory.filter(some),
        memswap_limit: args
            .memory_swap
            .filter(|limit| !matches!(limit, SwapLimit::Bytes(size) if !some(size))),
        mem_reservation: args.memory_reservation.filter(some),
        cpus: args.cpus.or(args.cpu.map(|cpu| cpu.0)),
        cpu_shares: args.cpu_shares,
        cpuset: args.cpuset_cpus.clone(),
        pids_limit: args.pids_limit,
        networking: Networking {
            dns: args.dns.clone(),
            dns_search: args.dns_search.clone(),
            dns_opt: args.dns_option.clone(),
            extra_hosts: args.add_host.clone(),
            networks: network::networks(args)?,
            ..Networking::default()
        },
        network_mode: network::network_mode(args)?,
        userns_mode: args.userns,
        labels: args
            .label
            .iter()
            .map(|label| (label.key.clone(), label.value.clone()))
            .collect(),
        isolation: crate::args::isolation(args),
        ..Service::default()
    };
    let stack = stack_of(&service);
    check(&stack, &service)?;
    if args.rm && service.restart_policy() != RestartPolicy::No {
        bail!("conflicting options: --restart and --rm\n  help: remove one of the two");
    }
    let directory = std::env::current_dir().context("find the working directory")?;
    service.make_paths_absolute(&directory, std::env::var("HOME").ok().as_deref());
    let options = RunOptions {
        remove_at_exit: args.rm,
        cpuset_mems: args.cpuset_mems.clone(),
    };
    Ok((stack, service, options))
}

/// A size of 0 sets no limit, as with Docker.
#[allow(clippy::trivially_copy_pass_by_ref)] // as `Option::filter` calls it
fn some(size: &ByteSize) -> bool {
    size.bytes() > 0
}

/// Refuses what contradicts itself, in the words in which the stack file is refused.
fn check(stack: &Stack, service: &Service) -> Result<()> {
    let problems = crate::stack::check_alone(stack, service);
    let told = problems.iter().map(|problem| match &problem.help {
        Some(help) => format!("{}\n  help: {help}", problem.message),
        None => problem.message.clone(),
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        return Ok(());
    }
    // The only key of these messages that the option has not given its name.
    bail!(
        "{}",
        told.join("\n").replace("network_mode: ", "--network ")
    )
}

/// Variables of `--env` and `--env-file`, as `NAME=value`.
pub(crate) fn variables(env: &[EnvEntry], files: &[PathBuf]) -> Result<Vec<String>> {
    let service = Service {
        environment: environment(env),
        env_file: env_files(files),
        ..Service::default()
    };
    let host: Variables = std::env::vars().collect();
    Ok(service
        .variables(&host)?
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect())
}

fn environment(env: &[EnvEntry]) -> IndexMap<String, Option<String>> {
    env.iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect()
}

fn env_files(files: &[PathBuf]) -> Vec<EnvFile> {
    files
        .iter()
        .map(|path| EnvFile {
            path: path.clone(),
            required: true,
        })
        .collect()
}

fn rootfs(args: &RunArgs) -> Option<Rootfs> {
    let path: PathBuf = args.rootfs.clone()?;
    Some(Rootfs {
        path,
        mode: args.rootfs_mode.unwrap_or_default(),
    })
}

fn healthcheck(args: &RunArgs) -> Option<Healthcheck> {
    let check = Healthcheck {
        disable: args.no_healthcheck,
        interval: args.health_interval,
        retries: args.health_retries,
        start_interval: args.health_start_interval,
        start_period: args.health_start_period,
        test: args.health_cmd.clone().map(HealthTest::Shell),
        timeout: args.health_timeout,
    };
    (check != Healthcheck::default()).then_some(check)
}

fn logging(args: &RunArgs) -> Result<Option<Logging>> {
    if args.log_driver.is_none() && args.log_opt.is_empty() {
        return Ok(None);
    }
    let options = args.log_opt.iter();
    let options = options.map(|option| (option.key.as_str(), option.value.as_str()));
    match Logging::new(args.log_driver, options) {
        Ok(logging) => Ok(Some(logging)),
        Err((key, error)) => Err(anyhow!(
            "--log-opt {key}: {}\n  help: {}",
            error.why,
            error.form
        )),
    }
}

/// With Docker, a volume's name on the command line is its name on the host.
fn stack_of(service: &Service) -> Stack {
    let mut stack = Stack::default();
    for mount in &service.volumes {
        if let MountKind::Volume {
            source: Some(name), ..
        } = &mount.kind
        {
            let volume = Volume {
                name: Some(name.clone()),
                ..Volume::default()
            };
            stack.volumes.insert(name.clone(), volume);
        }
    }
    for name in service.networking.networks.keys() {
        let network = Network {
            name: Some(name.clone()),
            external: name != SHARED_NETWORK,
            ..Network::default()
        };
        stack.networks.insert(name.clone(), network);
    }
    stack
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args::{Cli, Command};

    fn described(flags: &str) -> Result<(Stack, Service, RunOptions)> {
        let words = shlex::split(&format!("coop run {flags}")).unwrap();
        let Command::Run(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("{flags} is not run")
        };
        from_args(&args)
    }

    /// The service as the stack file would have it.
    fn as_file(flags: &str) -> String {
        let (mut stack, service, _) = described(flags).unwrap();
        stack.services.insert("box".into(), service);
        crate::stack::to_yaml(&stack).unwrap()
    }

    #[test]
    fn a_line_means_what_the_stack_file_says() {
        insta::assert_snapshot!(as_file(
            "-v data:/data:ro -v /srv:/srv:rslave -v /cache --tmpfs /run:size=1m -m 64M \
             --memory-swap -1 --memory-reservation 32M --cpu 50% -c 512 --cpuset-cpus 0-1 \
             --pids 64 -h sandbox -p 127.0.0.1:8080:80 --network bridge -e A=b -e HOST \
             --env-file /etc/web.env -u 1:2 -w /w --entrypoint e -l x=y --stop-signal INT \
             --stop-timeout 5 --cap-add NET_ADMIN --cap-drop ALL --userns host --read-only \
             --health-cmd 'a b' --health-interval 1s image:1 word 'two words'"
        ));
        insta::assert_snapshot!(
            "a_directory",
            as_file("--rootfs /r --rootfs-mode rw --no-healthcheck -- /bin/sh")
        );
    }

    /// What each flag is tried with. The flag's id, the line without it, the line with it.
    const TRIALS: &[(&str, &str, &str)] = &[
        ("interactive", "x", "-i x"),
        ("tty", "x", "-t x"),
        ("rm", "x", "--rm x"),
        ("image", "--image x", "--image y"),
        ("rootfs", "--rootfs /a", "--rootfs /b"),
        ("rootfs_mode", "--rootfs /a", "--rootfs /a --rootfs-mode ro"),
        ("read_only", "x", "--read-only x"),
        ("add_host", "x", "--add-host a:192.0.2.1 x"),
        ("dns", "x", "--dns 192.0.2.1 x"),
        ("dns_search", "x", "--dns-search a x"),
        ("dns_option", "x", "--dns-option a x"),
        ("restart", "x", "--restart always x"),
        ("log_driver", "x", "--log-driver none x"),
        ("log_opt", "x", "--log-opt max-size=1m x"),
        ("volume", "x", "-v /a:/b x"),
        ("tmpfs", "x", "--tmpfs /t x"),
        ("memory", "x", "-m 64m x"),
        ("memory_swap", "-m 64m x", "-m 64m --memory-swap 128m x"),
        ("memory_reservation", "x", "--memory-reservation 1m x"),
        ("cpu", "x", "--cpu 50% x"),
        ("cpus", "x", "--cpus 2 x"),
        ("cpu_shares", "x", "-c 512 x"),
        ("cpuset_cpus", "x", "--cpuset-cpus 0 x"),
        ("cpuset_mems", "x", "--cpuset-mems 0 x"),
        ("pids_limit", "x", "--pids 64 x"),
        ("ulimit", "x", "--ulimit nofile=64 x"),
        ("hostname", "x", "-h name x"),
        ("publish", "x", "-p 80 x"),
        ("network", "x", "--network none x"),
        (
            "network_alias",
            "--network n x",
            "--network n --network-alias a x",
        ),
        ("ip", "--network n x", "--network n --ip 10.9.0.2 x"),
        ("ip6", "--network n x", "--network n --ip6 fd00::2 x"),
        ("mac_address", "x", "--mac-address 02:00:00:00:00:01 x"),
        ("env", "x", "-e A x"),
        ("env_file", "x", "--env-file f x"),
        ("user", "x", "-u 7 x"),
        ("workdir", "x", "-w /w x"),
        ("entrypoint", "x", "--entrypoint e x"),
        ("label", "x", "-l a x"),
        ("stop_signal", "x", "--stop-signal INT x"),
        ("stop_timeout", "x", "--stop-timeout 7 x"),
        ("cap_add", "x", "--cap-add ALL x"),
        ("cap_drop", "x", "--cap-drop ALL x"),
        ("userns", "x", "--userns host x"),
        ("health_cmd", "x", "--health-cmd up x"),
        ("health_interval", "x", "--health-interval 7s x"),
        ("health_timeout", "x", "--health-timeout 7s x"),
        ("health_retries", "x", "--health-retries 7 x"),
        ("health_start_period", "x", "--health-start-period 7s x"),
        ("health_start_interval", "x", "--health-start-interval 7s x"),
        ("no_healthcheck", "x", "--no-healthcheck x"),
        ("init", "x", "--init x"),
        ("group_add", "x", "--group-add 5 x"),
        ("annotation", "x", "--annotation a=b x"),
        ("label_file", "x", "--label-file f x"),
        ("oom_score_adj", "x", "--oom-score-adj -5 x"),
        ("shm_size", "x", "--shm-size 1m x"),
        ("memory_swappiness", "x", "--memory-swappiness 5 x"),
        ("blkio_weight", "x", "--blkio-weight 50 x"),
        ("device_read_bps", "x", "--device-read-bps /dev/a:1m x"),
        ("device_write_bps", "x", "--device-write-bps /dev/a:1m x"),
        ("device_read_iops", "x", "--device-read-iops /dev/a:5 x"),
        ("device_write_iops", "x", "--device-write-iops /dev/a:5 x"),
        ("cgroup_parent", "x", "--cgroup-parent /a x"),
        ("domainname", "x", "--domainname a x"),
        ("privileged", "x", "--privileged x"),
        ("security_opt", "x", "--security-opt seccomp=strict x"),
        ("landlock", "x", "--landlock read=/usr x"),
        ("uidmap", "x", "--uidmap 0:100000:5 x"),
        ("gidmap", "x", "--gidmap 0:100000:5 x"),
        ("device", "x", "--device /dev/fuse x"),
        (
            "device_cgroup_rule",
            "x",
            "--device-cgroup-rule 'c 1:3 r' x",
        ),
        ("sysctl", "x", "--sysctl net.core.somaxconn=5 x"),
        ("pid", "x", "--pid host x"),
        ("ipc", "x", "--ipc host x"),
        ("uts", "x", "--uts host x"),
        ("cgroupns", "x", "--cgroupns host x"),
        ("words", "x a", "x b"),
    ];

    /// What the command itself acts on.
    const OF_THE_COMMAND: [&str; 6] = [
        "detach",
        "detach_keys",
        "name",
        "seccomp_record",
        "usage",
        "help",
    ];

    #[test]
    fn no_flag_is_ignored() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for flag in run.get_arguments().map(|flag| flag.get_id().as_str()) {
            if OF_THE_COMMAND.contains(&flag) {
                continue;
            }
            let trial = TRIALS.iter().find(|(id, ..)| *id == flag);
            let (_, without, with) = trial.unwrap_or_else(|| panic!("no trial of {flag}"));
            let meaning = |line: &str| format!("{:?}", described(line).unwrap());
            assert_ne!(meaning(without), meaning(with), "{flag} is ignored");
        }
    }

    #[test]
    fn the_entrypoint_can_be_cleared() {
        let (_, service, _) = described("--entrypoint '' x").unwrap();
        assert_eq!(service.entrypoint, Some(Vec::new()));
        assert_eq!(service.command, None);
    }

    #[test]
    fn a_size_of_0_is_no_limit() {
        let line = "-m 0 --memory-swap 0 --memory-reservation 0 x";
        let (_, service, _) = described(line).unwrap();
        assert_eq!(service, described("x").unwrap().1);
    }

    #[test]
    fn a_line_that_contradicts_itself_is_refused() {
        let refused = |flags: &str| described(flags).unwrap_err().to_string();
        assert_eq!(
            refused("-p 80 --network host x"),
            "ports cannot be published with --network host\n  help: remove one of the two"
        );
        assert_eq!(
            refused("-v /a:/b --tmpfs /b/ x"),
            "/b/ is a mount target already\n  help: keep one of the two"
        );
    }

    #[test]
    fn variables_of_the_line_win_over_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("env");
        std::fs::write(&file, "A=file\nB=file\n").unwrap();
        let env = ["A=line".parse().unwrap()];
        assert_eq!(
            variables(&env, &[file]).unwrap(),
            ["A=line", "B=file"].map(str::to_owned)
        );
    }
}
