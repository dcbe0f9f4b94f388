//! Usage as v2 reports it.

use crate::controller::{Controller, Controllers};
use crate::dir::Dir;
use crate::error::Error;
use crate::limits::Max;
use crate::stats::{
    CpuStats, IoStats, MemoryStats, PidsStats, Pressure, Stats, io_stat, keyed, keyed_or_zero,
    pressure,
};

pub(super) fn read(dir: &Dir, enabled: Controllers) -> Result<Stats, Error> {
    Ok(Stats {
        // CPU time is counted for every group, with or without the cpu controller.
        cpu: cpu(dir)?,
        memory: enabled
            .contains(Controller::Memory)
            .then(|| memory(dir))
            .transpose()?,
        io: enabled
            .contains(Controller::Io)
            .then(|| io(dir))
            .transpose()?,
        pids: enabled
            .contains(Controller::Pids)
            .then(|| pids(dir))
            .transpose()?,
    })
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

fn max(dir: &Dir, file: &str) -> Result<Max, Error> {
    let text = dir.read(file)?;
    let value = text.trim();
    value.parse().map_err(|_| Error::Parse {
        path: dir.path().join(file),
        found: value.to_owned(),
    })
}

fn pressure_of(dir: &Dir, file: &str) -> Result<Option<Pressure>, Error> {
    Ok(dir.read_if_present(file)?.as_deref().map(pressure))
}

fn cpu(dir: &Dir) -> Result<Option<CpuStats>, Error> {
    let Some(stat) = dir.read_if_present("cpu.stat")? else {
        return Ok(None);
    };
    let nanoseconds = |key| keyed_or_zero(&stat, key).saturating_mul(1000);
    Ok(Some(CpuStats {
        usage_ns: nanoseconds("usage_usec"),
        user_ns: nanoseconds("user_usec"),
        system_ns: nanoseconds("system_usec"),
        nr_periods: keyed_or_zero(&stat, "nr_periods"),
        nr_throttled: keyed_or_zero(&stat, "nr_throttled"),
        throttled_ns: nanoseconds("throttled_usec"),
        pressure: pressure_of(dir, "cpu.pressure")?,
    }))
}

fn memory(dir: &Dir) -> Result<MemoryStats, Error> {
    let stat = dir.read("memory.stat")?;
    let events = dir.read("memory.events")?;
    Ok(MemoryStats {
        current: number(dir, "memory.current")?,
        peak: number_if_present(dir, "memory.peak")?,
        limit: max(dir, "memory.max")?,
        cache: keyed_or_zero(&stat, "file"),
        inactive_file: keyed_or_zero(&stat, "inactive_file"),
        swap: number_if_present(dir, "memory.swap.current")?,
        oom: keyed(&events, "oom"),
        oom_kill: keyed_or_zero(&events, "oom_kill"),
        pressure: pressure_of(dir, "memory.pressure")?,
    })
}

fn io(dir: &Dir) -> Result<IoStats, Error> {
    let stat = dir.read_if_present("io.stat")?.unwrap_or_default();
    Ok(IoStats {
        pressure: pressure_of(dir, "io.pressure")?,
        ..io_stat(&stat)
    })
}

fn pids(dir: &Dir) -> Result<PidsStats, Error> {
    Ok(PidsStats {
        current: number(dir, "pids.current")?,
        limit: max(dir, "pids.max")?,
    })
}
