//! One container's line.

use coop_launcher::store::ContainerId;
use serde_json::{Value, json};

use crate::ui::{binary_size, decimal_size};

/// What a container uses. What it has no account of is `None`.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::command) struct Row {
    pub(in crate::command) id: ContainerId,
    pub(in crate::command) name: String,
    /// None: it does not run.
    pub(in crate::command) usage: Option<Usage>,
}

/// The numbers of a container that runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::command) struct Usage {
    /// In percent of one processor.
    pub(in crate::command) cpu: Option<f64>,
    /// In bytes: in use, and how much there may be.
    pub(in crate::command) memory: Option<(u64, u64)>,
    /// In bytes: received, sent.
    pub(in crate::command) network: Option<(u64, u64)>,
    /// In bytes: read, written.
    pub(in crate::command) block: Option<(u64, u64)>,
    /// Tasks: now, and the limit.
    pub(in crate::command) pids: Option<(u64, Option<u64>)>,
    /// What its tasks wait for, as JSON: see [`super::pressure`].
    pub(in crate::command) pressure: Value,
}

/// Docker's sign for an unknown number.
const UNKNOWN: &str = "--";

impl Row {
    pub(super) fn runs(&self) -> bool {
        self.usage.is_some()
    }

    /// Docker's keys.
    pub(super) fn json(&self, no_trunc: bool) -> Value {
        let texts = self.texts();
        let id = if no_trunc {
            self.id.as_str()
        } else {
            self.id.short()
        };
        json!({
            "ID": id,
            "Container": id,
            "Name": self.name,
            "CPUPerc": texts.cpu,
            "MemUsage": texts.memory,
            "MemPerc": texts.memory_share,
            "NetIO": texts.network,
            "BlockIO": texts.block,
            "PIDs": texts.pids,
            "PIDsLimit": texts.pids_limit.unwrap_or_default(),
            "PSI": self.usage.as_ref().map(|usage| &usage.pressure),
        })
    }

    fn texts(&self) -> Texts {
        let none = Usage::default();
        let usage = self.usage.as_ref().unwrap_or(&none);
        let percent = |share: f64| format!("{share:.2}%");
        let pair = |pair: Option<(u64, u64)>, size: fn(u64) -> String| {
            let or_unknown = |bytes: Option<u64>| bytes.map_or(UNKNOWN.to_owned(), size);
            format!(
                "{} / {}",
                or_unknown(pair.map(|(first, _)| first)),
                or_unknown(pair.map(|(_, second)| second))
            )
        };
        Texts {
            cpu: usage.cpu.map_or(UNKNOWN.into(), percent),
            memory: pair(usage.memory, binary_size),
            memory_share: usage
                .memory
                .filter(|(_, limit)| *limit > 0)
                .map_or(UNKNOWN.into(), |(used, limit)| {
                    percent(used as f64 / limit as f64 * 100.0)
                }),
            network: pair(usage.network, decimal_size),
            block: pair(usage.block, decimal_size),
            pids: usage
                .pids
                .map_or(UNKNOWN.into(), |(current, _)| current.to_string()),
            pids_limit: usage
                .pids
                .and_then(|(_, limit)| limit)
                .map(|limit| limit.to_string()),
        }
    }
}

/// In Docker's words.
struct Texts {
    cpu: String,
    memory: String,
    memory_share: String,
    network: String,
    block: String,
    pids: String,
    pids_limit: Option<String>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn row(name: &str, usage: Option<Usage>) -> Row {
        let id = ContainerId::parse(&"a".repeat(ContainerId::LEN)).unwrap();
        Row {
            id,
            name: name.into(),
            usage,
        }
    }

    pub(in super::super) fn running(name: &str) -> Row {
        row(
            name,
            Some(Usage {
                cpu: Some(12.345),
                memory: Some((3 << 20, 64 << 20)),
                network: Some((1_200, 656)),
                block: Some((0, 4_096)),
                pids: Some((2, Some(33))),
                pressure: json!({ "CPU": { "Some": { "Avg10": 1.5 } } }),
            }),
        )
    }

    pub(in super::super) fn ended(name: &str) -> Row {
        row(name, None)
    }

    #[test]
    fn without_a_limit_only_the_number_of_tasks_is_shown() {
        let mut row = running("web");
        if let Some(usage) = &mut row.usage {
            usage.pids = Some((2, None));
        }
        assert_eq!(row.json(false)["PIDs"], "2");
        assert_eq!(row.json(false)["PIDsLimit"], "");
    }

    #[test]
    fn ids_are_whole_on_request() {
        let id = |no_trunc| running("web").json(no_trunc)["ID"].to_string();
        assert_eq!(id(true).len(), ContainerId::LEN + 2);
        assert_eq!(id(false).len(), 12 + 2);
    }
}
