//! What a control group has used.

use serde::{Deserialize, Serialize};

use crate::limits::Max;

/// Usage of one control group and of all below it, the same for both versions.
///
/// A part is `None` when its controller is not available (or was not joined).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// CPU time.
    pub cpu: Option<CpuStats>,
    /// Memory and swap.
    pub memory: Option<MemoryStats>,
    /// Block I/O, over all devices.
    pub io: Option<IoStats>,
    /// Tasks.
    pub pids: Option<PidsStats>,
}

/// CPU time used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuStats {
    /// Time used in nanoseconds.
    pub usage_ns: u64,
    /// Part of it spent in user mode.
    pub user_ns: u64,
    /// Part of it spent in the kernel.
    pub system_ns: u64,
    /// Periods that have passed with a quota set.
    pub nr_periods: u64,
    /// Periods in which the quota ran out.
    pub nr_throttled: u64,
    /// Time for which tasks were held back, in nanoseconds.
    pub throttled_ns: u64,
    /// Pressure, on v2.
    pub pressure: Option<Pressure>,
}

/// Memory used, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// In use now, page cache included.
    pub current: u64,
    /// Most that was ever in use; v2 has it from kernel 5.19 on.
    pub peak: Option<u64>,
    /// The limit.
    pub limit: Max,
    /// Page cache.
    pub cache: u64,
    /// Page cache that has not been used lately and can be dropped at once.
    pub inactive_file: u64,
    /// Swap in use; `None` where swap is not accounted.
    pub swap: Option<u64>,
    /// Times that the limit was reached and an allocation was about to fail; v2 only.
    pub oom: Option<u64>,
    /// Processes killed for want of memory.
    pub oom_kill: u64,
    /// Pressure, on v2.
    pub pressure: Option<Pressure>,
}

impl MemoryStats {
    /// What `docker stats` shows: usage without the page cache that is free for the taking.
    pub const fn working_set(&self) -> u64 {
        self.current.saturating_sub(self.inactive_file)
    }
}

/// Block I/O done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IoStats {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Read operations.
    pub read_ops: u64,
    /// Write operations.
    pub write_ops: u64,
    /// Pressure, on v2.
    pub pressure: Option<Pressure>,
}

/// Tasks (processes and threads).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PidsStats {
    /// How many there are.
    pub current: u64,
    /// How many there may be.
    pub limit: Max,
}

/// How much of the time tasks had to wait for a resource.
///
/// See the kernel's [PSI documentation](https://docs.kernel.org/accounting/psi.html).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// At least one task waited.
    pub some: Stall,
    /// All of them waited. Kernels before 5.13 do not count it for the CPU.
    pub full: Stall,
}

/// Time spent waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// Percent of the last ten seconds.
    pub avg10: f64,
    /// Percent of the last minute.
    pub avg60: f64,
    /// Percent of the last five minutes.
    pub avg300: f64,
    /// Microseconds since the group was made.
    pub total_us: u64,
}

/// The value of `key` in a flat-keyed file (`key value` lines).
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key {
            value.trim().parse().ok()
        } else {
            None
        }
    })
}

/// [`keyed`], with 0 for a key that this kernel does not have.
pub(crate) fn keyed_or_zero(text: &str, key: &str) -> u64 {
    keyed(text, key).unwrap_or(0)
}

/// Reads a pressure file.
pub(crate) fn pressure(text: &str) -> Pressure {
    fn field<T: std::str::FromStr + Default>(line: &str, key: &str) -> T {
        line.split(' ')
            .find_map(|field| field.strip_prefix(key)?.trim().parse().ok())
            .unwrap_or_default()
    }
    let stall = |kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind));
        line.map_or_else(Stall::default, |line| Stall {
            avg10: field(line, "avg10="),
            avg60: field(line, "avg60="),
            avg300: field(line, "avg300="),
            total_us: field(line, "total="),
        })
    };
    Pressure {
        some: stall("some "),
        full: stall("full "),
    }
}

/// Sums v2's `io.stat` over all devices.
pub(crate) fn io_stat(text: &str) -> IoStats {
    let sum = |key: &str| {
        text.split([' ', '\n'])
            .filter_map(|field| {
                field
                    .strip_prefix(key)?
                    .strip_prefix('=')?
                    .parse::<u64>()
                    .ok()
            })
            .fold(0, u64::saturating_add)
    };
    IoStats {
        read_bytes: sum("rbytes"),
        write_bytes: sum("wbytes"),
        read_ops: sum("rios"),
        write_ops: sum("wios"),
        pressure: None,
    }
}

/// Sums an operation over all devices of a v1 `blkio` file (`8:0 Read 4096`).
pub(crate) fn blkio(text: &str, operation: &str) -> u64 {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            (words.next()? == operation)
                .then_some(words.next()?)?
                .parse::<u64>()
                .ok()
        })
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn flat_keyed_files() {
        let text = "usage_usec 12\nuser_usec 3\nnr_throttled 0\n";
        assert_eq!(keyed(text, "user_usec"), Some(3));
        assert_eq!(keyed(text, "user"), None);
    }

    #[test]
    fn devices_are_summed() {
        let v2 = "8:0 rbytes=10 wbytes=1 rios=2 wios=3 dbytes=0 dios=0\n254:0 rbytes=5 wbytes=0 rios=1 wios=0\n";
        let io = io_stat(v2);
        assert_eq!(
            (io.read_bytes, io.write_bytes, io.read_ops, io.write_ops),
            (15, 1, 3, 3)
        );
        let v1 = "8:0 Read 10\n8:0 Write 1\n8:0 Total 11\n254:0 Read 5\nTotal 16\n";
        assert_eq!((blkio(v1, "Read"), blkio(v1, "Write")), (15, 1));
    }

    #[test]
    fn pressure_is_read_where_full_is_missing() {
        let text = "some avg10=1.50 avg60=0.13 avg300=0.34 total=8003482\n";
        assert_eq!(
            pressure(text),
            Pressure {
                some: Stall {
                    avg10: 1.5,
                    avg60: 0.13,
                    avg300: 0.34,
                    total_us: 8_003_482,
                },
                full: Stall::default(),
            }
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_the_readers_fail(text in "[ -~\n]{0,300}") {
            let _ = (keyed(&text, "a"), pressure(&text), io_stat(&text), blkio(&text, "Read"));
        }
    }
}
