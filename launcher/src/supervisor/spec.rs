//! What the supervisor has to know of a container: saved beside its plan.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logs::LogOptions;
use crate::store::ContainerId;

/// When a dependency is met: the conditions of compose's `depends_on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its program was started.
    ServiceStarted,
    /// Its health check passed.
    ServiceHealthy,
    /// It ended with exit status 0.
    ServiceCompletedSuccessfully,
}

/// A container that has to come first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The other container.
    pub id: ContainerId,
    /// Its name, for messages.
    pub name: String,
    /// What has to be true of it.
    pub condition: Condition,
    /// Whether the one that depends on it stays down when that can no longer become true;
    /// otherwise it is started without.
    pub required: bool,
}

/// When a health check is run and what counts: compose's `healthcheck` without its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthTiming {
    /// From the end of one check to the start of the next.
    pub interval: Duration,
    /// A check that takes longer is killed and has failed.
    pub timeout: Duration,
    /// This many failures in a row make the container unhealthy.
    pub retries: u32,
    /// From the container's start: failures do not count yet.
    pub start_period: Duration,
    /// The interval within the start period.
    pub start_interval: Duration,
}

/// What becomes of a container that has ended by itself: compose's `restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// It stays as it is.
    #[default]
    No,
    /// It is started again, however it ended.
    Always,
    /// As [`RestartPolicy::Always`]; the two differ only for a container that was stopped by
    /// request before the host was started anew.
    UnlessStopped,
    /// It is started again when it failed.
    OnFailure {
        /// At most this often in a row; `None` is without an end.
        max_retries: Option<u32>,
    },
}

/// A container as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitSpec {
    /// The container.
    pub id: ContainerId,
    /// Its name, for messages.
    pub name: String,
    /// What has to come first.
    pub depends_on: Vec<Dependency>,
    /// The signal that asks the program to end: a number of `signal(7)`.
    pub stop_signal: i32,
    /// How long the program has after that signal before it is killed.
    pub stop_grace_period: Duration,
    /// When to check its health, if at all.
    pub health: Option<HealthTiming>,
    /// Whether it has a terminal: its output comes through the master then.
    pub terminal: bool,
    /// Whether its standard input stays open, for those who attach: a named pipe in its run
    /// directory, or its terminal.
    #[serde(default)]
    pub stdin_open: bool,
    /// What becomes of it when it ends by itself.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How much of its output is kept.
    #[serde(default)]
    pub log: LogOptions,
}
