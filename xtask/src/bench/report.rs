//! What was measured, as it is kept in `target/bench/`.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::stats::Summary;

/// One scenario of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The scenario's name on the command line.
    pub(crate) scenario: String,
    /// What it is about, in words.
    pub(crate) title: String,
    /// What was measured, and beside what.
    pub(crate) rows: Vec<Row>,
    /// What was aimed at, and what came of it.
    pub(crate) goals: Vec<Goal>,
    /// What one has to know to read the rows.
    pub(crate) notes: Vec<String>,
    /// Where.
    pub(crate) machine: Machine,
}

/// What is not an engine, but says how fast one could be.
const FLOORS: [&str; 5] = [
    "floor",
    "floor, ip and nft",
    "nsenter",
    "host",
    "bare namespace",
];

impl Report {
    /// Coop's own row beside `row`.
    pub(crate) fn ours(&self, row: &Row) -> Option<&Row> {
        self.beside(row, |name| name.starts_with("coop"))
    }

    /// The row beside `row` that says how fast an engine could be.
    pub(crate) fn floor(&self, row: &Row) -> Option<&Row> {
        self.beside(row, |name| FLOORS.contains(&name))
    }

    /// The first row of the same step that somebody has with such a name.
    fn beside(&self, row: &Row, is_wanted: impl Fn(&str) -> bool) -> Option<&Row> {
        let mut same_step = self.rows.iter().filter(|it| it.step == row.step);
        same_step.find(|it| is_wanted(&it.contender))
    }
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Who.
    pub(crate) contender: String,
    /// Which step or which size; empty when there is only one.
    pub(crate) step: String,
    /// In which unit.
    pub(crate) unit: Unit,
    /// What was measured.
    pub(crate) value: Option<Summary>,
    /// The processor time, in seconds.
    pub(crate) cpu: Option<Summary>,
    /// Why there is no value.
    pub(crate) missing: Option<String>,
}

impl Row {
    /// A line without a value.
    pub(crate) fn missing(
        contender: impl Into<String>,
        step: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        let why = why.into();
        Self {
            contender: contender.into(),
            step: step.into(),
            unit: Unit::Seconds,
            value: None,
            cpu: None,
            missing: (!why.is_empty()).then_some(why),
        }
    }

    /// The median, if there is a value.
    pub(crate) fn median(&self) -> Option<f64> {
        self.value.map(|value| value.median)
    }
}

/// Puts rows of the same step side by side, in the order in which steps first appear.
pub(crate) fn grouped(rows: Vec<Row>) -> Vec<Row> {
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| group[0].step == row.step) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.into_iter().flatten().collect()
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// Seconds: less is better.
    Seconds,
    /// Bytes: less is better.
    Bytes,
    /// Things a second: more is better.
    PerSecond,
    /// Bytes a second: more is better.
    BytesPerSecond,
    /// A number of things: less is better.
    Count,
}

/// Something aimed at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) text: String,
    /// What was measured.
    pub(crate) measured: f64,
    /// The most that is allowed.
    pub(crate) limit: f64,
}

impl Goal {
    /// Whether it is met.
    pub(crate) fn is_met(&self) -> bool {
        self.measured <= self.limit
    }
}

/// A report for tests.
#[cfg(test)]
pub(crate) fn example() -> Report {
    let row = |who: &str, step: &str, values: &[f64]| Row {
        value: Summary::of(values),
        cpu: Summary::of(values),
        ..Row::missing(who, step, "")
    };
    Report {
        scenario: "example".into(),
        title: "An example".into(),
        rows: vec![
            row("floor", "up", &[0.005, 0.006, 0.007]),
            row("coop run", "up", &[0.008, 0.009, 0.010]),
            Row::missing("youki run", "up", "not installed"),
            row("coop run", "down", &[2.0]),
            row("podman <run>", "down", &[8.5]),
        ],
        goals: vec![
            Goal {
                text: "coop run, as a multiple of floor".into(),
                measured: 1.5,
                limit: 1.5,
            },
            Goal {
                text: "something else".into(),
                measured: 2.0,
                limit: 1.0,
            },
        ],
        notes: vec!["What one has to know.".into()],
        machine: Machine {
            processor: "A Processor".into(),
            processors: 2,
            governor: None,
            kernel: "6.18.1".into(),
            cgroup: "v1".into(),
            load: 0.25,
            commit: "abc1234".into(),
            versions: vec!["coop 0.1.0".into(), "crun version 1.8.1".into()],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_stands_side_by_side() {
        let row = |(who, step)| Row::missing(who, step, "");
        let rows = grouped(
            [
                ("a", "up"),
                ("a", "down"),
                ("b", "up"),
                ("b", "down"),
                ("c", ""),
            ]
            .map(row)
            .into(),
        );
        let order: Vec<_> = rows
            .iter()
            .map(|it| (&it.contender[..], &it.step[..]))
            .collect();
        assert_eq!(
            order,
            [
                ("a", "up"),
                ("b", "up"),
                ("a", "down"),
                ("b", "down"),
                ("c", "")
            ]
        );
    }

    #[test]
    fn a_report_survives_being_saved() {
        let text = serde_json::to_string(&example()).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), example());
    }
}
