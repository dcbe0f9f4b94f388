//! `--usage`: what a container has used, told at its end.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use coop_cgroup::Stats;
use coop_launcher::logs::Stream;

use crate::ui::{binary_size, decimal_size, print_bytes, span};

/// Tells what each container has used, on standard error.
pub(crate) fn print(usage: &[(String, Stats)]) -> Result<()> {
    let mut text = String::new();
    for (name, stats) in usage {
        text.push_str(&report(name, stats));
    }
    print_bytes(Stream::Stderr, text.as_bytes())
}

/// One line for each kind of resource that is accounted for.
fn report(name: &str, stats: &Stats) -> String {
    let mut text = format!("Resources used by {name}:\n");
    let mut line = |what: &str, used: String| {
        // Into a string: cannot fail.
        let _ = writeln!(text, "  {what:<8}{used}");
    };
    if let Some(cpu) = &stats.cpu {
        let time = |nanoseconds| span(Duration::from_nanos(nanoseconds));
        let mut used = time(cpu.usage_ns);
        // v1 counts these two in ticks: of a short run they may be more than the whole.
        if cpu.user_ns.saturating_add(cpu.system_ns) <= cpu.usage_ns {
            let _ = write!(
                used,
                " (user {}, system {})",
                time(cpu.user_ns),
                time(cpu.system_ns)
            );
        }
        if cpu.nr_periods > 0 {
            let _ = write!(
                used,
                ", throttled in {} of {} periods, for {}",
                cpu.nr_throttled,
                cpu.nr_periods,
                time(cpu.throttled_ns)
            );
        }
        line("cpu", used);
    }
    if let Some(memory) = &stats.memory {
        let mut used = match memory.peak {
            Some(peak) => format!("{} at most", binary_size(peak)),
            // Kernels before 5.19 do not keep it on v2.
            None => format!("{} at the end", binary_size(memory.current)),
        };
        match memory.limit.value() {
            Some(limit) => {
                let _ = write!(used, ", limit {}", binary_size(limit));
            }
            None => used.push_str(", no limit"),
        }
        if memory.oom_kill > 0 {
            let _ = write!(used, ", killed for want of memory: {}", memory.oom_kill);
        }
        line("memory", used);
    }
    if let Some(io) = &stats.io {
        line(
            "io",
            format!(
                "{} read, {} written",
                decimal_size(io.read_bytes),
                decimal_size(io.write_bytes)
            ),
        );
    }
    if let Some(pids) = &stats.pids {
        let limit = pids
            .limit
            .value()
            .map_or("no limit".to_owned(), |limit| format!("limit {limit}"));
        line("pids", format!("{} at the end, {limit}", pids.current));
    }
    if let Some(waited) = waited(stats) {
        line("waited", waited);
    }
    text
}

/// For how long at least one of its tasks could not go on for want of a resource; none where
/// the kernel does not count it.
fn waited(stats: &Stats) -> Option<String> {
    let parts = [
        ("cpu", stats.cpu.as_ref().and_then(|cpu| cpu.pressure)),
        (
            "memory",
            stats.memory.as_ref().and_then(|memory| memory.pressure),
        ),
        ("io", stats.io.as_ref().and_then(|io| io.pressure)),
    ];
    let parts = parts.into_iter().filter_map(|(resource, pressure)| {
        let time = Duration::from_micros(pressure?.some.total_us);
        Some(format!("{} for {resource}", span(time)))
    });
    let parts: Vec<_> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use coop_cgroup::{CpuStats, IoStats, Max, MemoryStats, PidsStats, Pressure, Stall};

    use super::*;

    #[test]
    fn every_resource_that_is_accounted_for_has_a_line() {
        let stats = Stats {
            cpu: Some(CpuStats {
                usage_ns: 12_345_678,
                user_ns: 8_000_000,
                system_ns: 4_345_678,
                nr_periods: 40,
                nr_throttled: 3,
                throttled_ns: 120_000_000,
                pressure: Some(Pressure {
                    some: Stall {
                        total_us: 118_000,
                        ..Stall::default()
                    },
                    ..Pressure::default()
                }),
            }),
            memory: Some(MemoryStats {
                current: 0,
                peak: Some(64 << 20),
                limit: Max::At(64 << 20),
                cache: 0,
                inactive_file: 0,
                swap: None,
                oom: None,
                oom_kill: 1,
                pressure: None,
            }),
            io: Some(IoStats {
                read_bytes: 1_200_000,
                pressure: Some(Pressure::default()),
                ..IoStats::default()
            }),
            pids: Some(PidsStats {
                current: 0,
                limit: Max::At(33),
            }),
        };
        insta::assert_snapshot!(report("shop-web-1", &stats), @r"
        Resources used by shop-web-1:
          cpu     12.3ms (user 8.00ms, system 4.35ms), throttled in 3 of 40 periods, for 120ms
          memory  64MiB at most, limit 64MiB, killed for want of memory: 1
          io      1.2MB read, 0B written
          pids    0 at the end, limit 33
          waited  118ms for cpu, 0ns for io
        ");
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let stats = Stats {
            cpu: Some(CpuStats {
                usage_ns: 1_000,
                user_ns: 10_000_000,
                ..CpuStats::default()
            }),
            pids: Some(PidsStats {
                current: 1,
                limit: Max::Unlimited,
            }),
            ..Stats::default()
        };
        insta::assert_snapshot!(report("box", &stats), @r"
        Resources used by box:
          cpu     1.00µs
          pids    1 at the end, no limit
        ");
    }
}
