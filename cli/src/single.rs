//! `coop run`'s words as a stack of one: from here on the two are the same.

use std::path::PathBuf;

use anyhow::{Context, Result};
use indexmap::IndexMap;

use crate::args::RunArgs;
use crate::plan::RunOptions;
use crate::stack::value::{EnvEntry, MountKind};
use crate::stack::{EnvFile, HealthTest, Healthcheck, Rootfs, Service, Stack, Variables, Volume};

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
        stop_signal: args.stop_signal,
        stop_grace_period: args.stop_timeout,
        cap_add: args.cap_add.clone(),
        cap_drop: args.cap_drop.clone(),
        read_only: args.read_only,
        mem_limit: args.memory,
        memswap_limit: args.memory_swap,
        mem_reservation: args.memory_reservation,
        cpus: args.cpus.or(args.cpu.map(|cpu| cpu.0)),
        cpu_shares: args.cpu_shares,
        cpuset: args.cpuset_cpus.clone(),
        pids_limit: args.pids_limit,
        network_mode: args.network,
        userns_mode: args.userns,
        labels: args
            .label
            .iter()
            .map(|label| (label.key.clone(), label.value.clone()))
            .collect(),
        ..Service::default()
    };
    let directory = std::env::current_dir().context("find the working directory")?;
    service.make_paths_absolute(&directory, std::env::var("HOME").ok().as_deref());
    let options = RunOptions {
        terminal: args.tty,
        stdin_open: args.interactive,
        remove_at_exit: args.rm,
        cpuset_mems: args.cpuset_mems.clone(),
        ulimits: args.ulimit.clone(),
    };
    Ok((stack_of(&service), service, options))
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
    stack
}
