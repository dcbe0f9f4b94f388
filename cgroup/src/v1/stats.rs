//! Usage as v1 reports it.

use crate::controller::Controller;
use crate::dir::Dir;
use crate::error::Error;
use crate::limits::Max;
use crate::stats::{CpuStats, IoStats, MemoryStats, PidsStats, Stats, blkio, keyed_or_zero};

/// v1 shows "no limit" as the largest multiple of the page size below 2^63: anything
/// from here on means it, whatever the page size.
const UNLIMITED: u64 = i64::MAX as u64 - 0xf_ffff;

pub(super) fn read<'a>(dir: &dyn Fn(Controller) -> Option<&'a Dir>) -> Result<Stats, Error> {
    Ok(Stats {
        cpu: dir(Controller::Cpuacct)
            .map(|acct| cpu(acct, dir(Controller::Cpu)))
            .transpose()?,
        memory: dir(Controller::Memory).map(memory).transpose()?,
        io: dir(Controller::Io).map(io).transpose()?,
        pids: dir(Controller::Pids).map(pids).transpose()?,
    })
}

/// How often the kernel has killed in the group of the memory hierarchy `dir` for want of memory.
pub(super) fn oom_kill_count(dir: &Dir) -> Result<u64, Error> {
    Ok(keyed_or_zero(&dir.read("memory.oom_control")?, "oom_kill"))
}

fn number(dir: &Dir, file: &str) -> Result<u64, Error> {
    let text = dir.read(file)?;
    let value = text.trim();
    value.parse().map_err(|_| Error::Parse {
        path: dir.path().join(file),
        found: value.to_owned(),
    })
}

fn number_if_present(dir: &Dir, file: &str) -> Result<Option<u64>, Error> {
    Ok(dir
        .read_if_present(file)?
        .and_then(|text| text.trim().parse().ok()))
}

fn cpu(acct: &Dir, quota: Option<&Dir>) -> Result<CpuStats, Error> {
    let throttling = match quota {
        Some(dir) => dir.read_if_present("cpu.stat")?.unwrap_or_default(),
        None => String::new(),
    };
    Ok(CpuStats {
        usage_ns: number(acct, "cpuacct.usage")?,
        user_ns: number_if_present(acct, "cpuacct.usage_user")?.unwrap_or(0),
        system_ns: number_if_present(acct, "cpuacct.usage_sys")?.unwrap_or(0),
        nr_periods: keyed_or_zero(&throttling, "nr_periods"),
        nr_throttled: keyed_or_zero(&throttling, "nr_throttled"),
        throttled_ns: keyed_or_zero(&throttling, "throttled_time"),
        pressure: None,
    })
}

fn memory(dir: &Dir) -> Result<MemoryStats, Error> {
    let current = number(dir, "memory.usage_in_bytes")?;
    let limit = number(dir, "memory.limit_in_bytes")?;
    let stat = dir.read("memory.stat")?;
    let oom = dir.read("memory.oom_control")?;
    // Memory and swap together: the difference is swap. The two are read one after the
    // other, so it may come out below zero.
    let with_swap = number_if_present(dir, "memory.memsw.usage_in_bytes")?;
    Ok(MemoryStats {
        current,
        peak: Some(number(dir, "memory.max_usage_in_bytes")?),
        limit: if limit >= UNLIMITED {
            Max::Unlimited
        } else {
            Max::At(limit)
        },
        // The "total_" lines include the groups below.
        cache: keyed_or_zero(&stat, "total_cache"),
        inactive_file: keyed_or_zero(&stat, "total_inactive_file"),
        swap: with_swap.map(|both| both.saturating_sub(current)),
        oom: None,
        oom_kill: keyed_or_zero(&oom, "oom_kill"),
        pressure: None,
    })
}

fn io(dir: &Dir) -> Result<IoStats, Error> {
    let bytes = dir
        .read_if_present("blkio.throttle.io_service_bytes_recursive")?
        .unwrap_or_default();
    let ops = dir
        .read_if_present("blkio.throttle.io_serviced_recursive")?
        .unwrap_or_default();
    Ok(IoStats {
        read_bytes: blkio(&bytes, "Read"),
        write_bytes: blkio(&bytes, "Write"),
        read_ops: blkio(&ops, "Read"),
        write_ops: blkio(&ops, "Write"),
        pressure: None,
    })
}

fn pids(dir: &Dir) -> Result<PidsStats, Error> {
    let limit = dir.read("pids.max")?;
    Ok(PidsStats {
        current: number(dir, "pids.current")?,
        limit: limit.trim().parse().unwrap_or(Max::Unlimited),
    })
}
