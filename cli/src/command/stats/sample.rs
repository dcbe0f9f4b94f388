//! Looking at the kernel's accounts.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use coop_cgroup::{Max, Stats};
use coop_launcher::store::{ContainerId, State};
use coop_ns::Namespaces;

use super::row::{Row, Usage};
use crate::host::Host;
use crate::plan::ContainerPlan;

/// Remembers the last look, over which the use of the processor is counted.
pub(in crate::command) struct Sampler<'a> {
    host: &'a Host,
    /// The limit of those that have none.
    machine_memory: u64,
    /// Processor time used, in nanoseconds, and when that was so.
    last: HashMap<ContainerId, (u64, Instant)>,
}

impl<'a> Sampler<'a> {
    pub(in crate::command) fn new(host: &'a Host) -> Result<Self> {
        // Without cgroups there is nothing to look at: told once, not for each container.
        if host.rootless.is_none() {
            host.cgroups()?;
        }
        let info = rustix::system::sysinfo();
        let machine_memory = u64::from(info.mem_unit).saturating_mul(info.totalram);
        Ok(Self {
            host,
            machine_memory,
            last: HashMap::new(),
        })
    }

    /// Looks at the containers.
    pub(in crate::command) fn sample(&mut self, states: &[State]) -> Vec<Row> {
        states.iter().map(|state| self.row(state)).collect()
    }

    fn row(&mut self, state: &State) -> Row {
        let usage = match self.usage(state) {
            Ok(usage) => usage,
            // It ended while we looked.
            Err(error) => {
                log::debug!("{}: {error:#}", state.name);
                None
            }
        };
        Row {
            id: state.id.clone(),
            name: state.name.to_string(),
            usage,
        }
    }

    fn usage(&mut self, state: &State) -> Result<Option<Usage>> {
        let Some(init) = state.live_init() else {
            return Ok(None);
        };
        let plan: ContainerPlan = self.host.store.load_config(&state.id)?;
        let Some(cgroup) = self.host.cgroup_of(&plan)? else {
            return Ok(None);
        };
        let stats = cgroup.stats()?;
        let own_network = plan.namespaces.contains(Namespaces::NET);
        let network = if own_network {
            let path = format!("/proc/{}/net/dev", init.as_raw_nonzero());
            std::fs::read_to_string(path)
                .ok()
                .map(|text| traffic(&text))
        } else {
            None
        };
        Ok(Some(Usage {
            cpu: self.cpu_share(&state.id, &stats),
            memory: memory(&stats, &plan, self.machine_memory),
            network,
            block: stats.io.as_ref().map(|io| (io.read_bytes, io.write_bytes)),
            pids: stats
                .pids
                .as_ref()
                .map(|pids| (pids.current, pids.limit.value())),
            pressure: super::pressure::json(&stats),
        }))
    }

    /// None at the first look.
    fn cpu_share(&mut self, id: &ContainerId, stats: &Stats) -> Option<f64> {
        let used = stats.cpu.as_ref()?.usage_ns;
        let now = Instant::now();
        let (before, then) = self.last.insert(id.clone(), (used, now))?;
        let elapsed = now.duration_since(then).as_nanos();
        (elapsed > 0).then(|| used.saturating_sub(before) as f64 / elapsed as f64 * 100.0)
    }
}

/// In use, and the limit; the machine's memory when that is less.
fn memory(stats: &Stats, plan: &ContainerPlan, machine: u64) -> Option<(u64, u64)> {
    let memory = stats.memory.as_ref()?;
    let planned = plan.limits.memory_max.and_then(Max::value);
    let limit = memory
        .limit
        .value()
        .or(planned)
        .unwrap_or(machine)
        .min(machine);
    Some((memory.working_set(), limit))
}

/// Bytes received and sent by all interfaces but loopback, of `/proc/PID/net/dev`.
fn traffic(text: &str) -> (u64, u64) {
    let interface = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        if name.trim() == "lo" {
            return None;
        }
        let mut counters = counters.split_ascii_whitespace().map(str::parse::<u64>);
        Some((counters.next()?.ok()?, counters.nth(7)?.ok()?))
    };
    text.lines().filter_map(interface).fold(
        (0, 0),
        |(received, sent): (u64, u64), (more_in, more_out)| {
            (
                received.saturating_add(more_in),
                sent.saturating_add(more_out),
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn traffic_is_that_of_all_interfaces_but_loopback() {
        let text = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999      10    0    0    0     0          0         0     9999      10    0    0    0     0       0          0
  eth0:    1200      10    0    0    0     0          0         0      656       8    0    0    0     0       0          0
  eth1:1       1    0    0    0     0          0         0      2       8    0    0    0     0       0          0
";
        assert_eq!(traffic(text), (1201, 658));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[a-z0-9: \n]{0,200}") {
            let _ = traffic(&text);
        }
    }
}
