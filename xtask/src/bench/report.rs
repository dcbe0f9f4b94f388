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
