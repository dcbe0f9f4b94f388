//! Runs a command under limits and prints what it used:
//!
//! ```text
//! cargo run -p coop-cgroup --example limit -- --memory 64M --pids 16 --cpus 0.5 -- CMD ARG...
//! ```

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};
use coop_cgroup::{Cgroup, CgroupPath, CpuQuota, Hierarchy, Limits, Max, Stats, default_devices};

const USAGE: &str =
    "usage: limit [--memory SIZE] [--pids N] [--cpus N] [--cpuset LIST] [--devices] -- CMD [ARG...]
  --memory SIZE  bytes, or with K, M or G
  --devices      allow only the devices that containers usually have";

fn main() -> Result<ExitCode> {
    let (limits, command) = arguments()?;
    let hierarchy = Hierarchy::detect()?;
    let path = CgroupPath::new(format!("coop-limit/{}", std::process::id()))?;
    // From here on the group is removed whatever happens.
    let result = hierarchy
        .create(&path)
        .map_err(anyhow::Error::from)
        .and_then(|mut group| run(&mut group, &limits, &command));
    hierarchy.remove(&path)?;
    let (status, stats, oom_kills) = result?;
    print(status, &stats, oom_kills);
    Ok(status
        .code()
        .map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)))
}

fn run(
    group: &mut Cgroup,
    limits: &Limits,
    command: &[String],
) -> Result<(ExitStatus, Stats, u64)> {
    group.apply(limits)?;
    let entrance = group.entrance()?;
    let mut child = Command::new(&command[0]);
    child.args(&command[1..]);
    // SAFETY: between fork and exec, this writes to descriptors that are open already.
    unsafe { child.pre_exec(move || entrance.enter().map_err(refused)) };
    let status = child
        .status()
        .with_context(|| format!("cannot run {}", command[0]))?;
    Ok((status, group.stats()?, group.oom_kill_count()?))
}

fn print(status: ExitStatus, stats: &Stats, oom_kills: u64) {
    match status.signal() {
        Some(signal) => eprintln!("ended by signal {signal}"),
        None => eprintln!("{status}"),
    }
    if let Some(cpu) = &stats.cpu {
        let ms = |ns| ns as f64 / 1e6;
        eprintln!(
            "cpu     {:.1} ms ({:.1} user, {:.1} system), held back in {} of {} periods",
            ms(cpu.usage_ns),
            ms(cpu.user_ns),
            ms(cpu.system_ns),
            cpu.nr_throttled,
            cpu.nr_periods
        );
    }
    if let Some(memory) = &stats.memory {
        let peak = memory
            .peak
            .map_or("unknown".to_owned(), |peak| format!("{} KiB", peak >> 10));
        eprintln!(
            "memory  peak {peak}, limit {}, killed for want of it: {oom_kills}",
            memory.limit
        );
    }
    if let Some(io) = &stats.io {
        eprintln!(
            "io      read {} KiB, written {} KiB",
            io.read_bytes >> 10,
            io.write_bytes >> 10
        );
    }
}

fn arguments() -> Result<(Limits, Vec<String>)> {
    let mut limits = Limits::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if word == "--devices" {
            limits.devices = Some(default_devices());
            continue;
        }
        let value = words.next().context(USAGE)?;
        match word.as_str() {
            "--memory" => limits.memory_max = Some(Max::At(bytes(&value)?)),
            "--pids" => limits.pids_max = Some(value.parse()?),
            "--cpus" => limits.cpu_quota = Some(CpuQuota::cpus(value.parse()?)),
            "--cpuset" => limits.cpuset_cpus = Some(value.parse()?),
            _ => bail!("{USAGE}"),
        }
    }
    let command: Vec<String> = words.collect();
    if command.is_empty() {
        bail!("{USAGE}");
    }
    Ok((limits, command))
}

fn bytes(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => bail!("{text:?} is not a size"),
    };
    let number: u64 = digits
        .parse()
        .with_context(|| format!("{text:?} is not a size"))?;
    number
        .checked_mul(1 << shift)
        .with_context(|| format!("{text:?} is too large"))
}

/// The errno is all that std passes on from `pre_exec`.
fn refused(error: coop_cgroup::Error) -> io::Error {
    error
        .errno()
        .map_or_else(|| io::Error::other(error), io::Error::from)
}
