//! How much the tasks of a container wait: the kernel's pressure stall information.

use coop_cgroup::{Pressure, Stall, Stats};
use serde_json::{Value, json};

/// The JSON of a container's pressure, with Kubernetes' fields in Docker's spelling: percent of
/// the time, and microseconds in all. Null where the kernel does not count it, as on cgroup v1.
pub(super) fn json(stats: &Stats) -> Value {
    let parts = [
        ("CPU", stats.cpu.as_ref().and_then(|cpu| cpu.pressure)),
        (
            "Memory",
            stats.memory.as_ref().and_then(|memory| memory.pressure),
        ),
        ("IO", stats.io.as_ref().and_then(|io| io.pressure)),
    ];
    let known = parts
        .into_iter()
        .filter_map(|(resource, pressure)| Some((resource.to_owned(), of_resource(&pressure?))));
    let known: serde_json::Map<_, _> = known.collect();
    if known.is_empty() {
        Value::Null
    } else {
        Value::Object(known)
    }
}

fn of_resource(pressure: &Pressure) -> Value {
    json!({ "Some": stall(&pressure.some), "Full": stall(&pressure.full) })
}

fn stall(stall: &Stall) -> Value {
    json!({
        "Avg10": stall.avg10,
        "Avg60": stall.avg60,
        "Avg300": stall.avg300,
        "Total": stall.total_us,
    })
}

#[cfg(test)]
mod tests {
    use coop_cgroup::CpuStats;

    use super::*;

    #[test]
    fn what_is_not_counted_is_not_there() {
        assert_eq!(json(&Stats::default()), Value::Null);
        let mut cpu = CpuStats::default();
        let of_cpu = |cpu: &CpuStats| {
            json(&Stats {
                cpu: Some(cpu.clone()),
                ..Stats::default()
            })
        };
        assert_eq!(of_cpu(&cpu), Value::Null);
        cpu.pressure = Some(Pressure {
            some: Stall {
                avg10: 1.5,
                total_us: 7,
                ..Stall::default()
            },
            ..Pressure::default()
        });
        let shown = of_cpu(&cpu);
        assert_eq!(shown["CPU"]["Some"]["Avg10"], 1.5);
        assert_eq!(shown["CPU"]["Some"]["Total"], 7);
        assert_eq!(shown["CPU"]["Full"]["Total"], 0);
        assert_eq!(shown.as_object().unwrap().len(), 1);
    }
}
