//! What a container used over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

use crate::command::stats::Usage;

/// As many looks as a wide window shows.
const MOST: usize = 240;

/// A row of numbers for each line that is drawn, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// In hundredths of a percent of one processor.
    pub(super) cpu: VecDeque<u64>,
    /// In bytes.
    pub(super) memory: VecDeque<u64>,
    /// In bytes per second.
    pub(super) received: VecDeque<u64>,
    /// In bytes per second.
    pub(super) sent: VecDeque<u64>,
    /// The counters of the last look.
    traffic: Option<(u64, u64)>,
}

impl History {
    /// Takes in what was seen, so long after the look before.
    pub(super) fn add(&mut self, usage: &Usage, since: Duration) {
        if let Some(cpu) = usage.cpu {
            add(&mut self.cpu, (cpu * 100.0) as u64);
        }
        if let Some((used, _)) = usage.memory {
            add(&mut self.memory, used);
        }
        if let Some((received, sent)) = usage.network {
            if let Some((received_before, sent_before)) = self.traffic {
                let rate = |now: u64, before: u64| {
                    (now.saturating_sub(before) as f64 / since.as_secs_f64().max(0.001)) as u64
                };
                add(&mut self.received, rate(received, received_before));
                add(&mut self.sent, rate(sent, sent_before));
            }
            self.traffic = Some((received, sent));
        }
    }
}

fn add(row: &mut VecDeque<u64>, value: u64) {
    if row.len() == MOST {
        row.pop_front();
    }
    row.push_back(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_counted_between_two_looks() {
        let mut history = History::default();
        for received in [1000, 3000, 3000] {
            let usage = Usage {
                network: Some((received, 10)),
                ..Usage::default()
            };
            history.add(&usage, Duration::from_secs(2));
        }
        assert_eq!(history.received, [1000, 0]);
        assert_eq!(history.sent, [0, 0]);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut history = History::default();
        let usage = Usage {
            cpu: Some(1.5),
            ..Usage::default()
        };
        for _ in 0..MOST * 2 {
            history.add(&usage, Duration::from_secs(1));
        }
        assert_eq!(history.cpu.len(), MOST);
        assert_eq!(history.cpu[0], 150);
    }
}
