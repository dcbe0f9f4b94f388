//! What the health check found.

use coop_launcher::store::{HealthCheck, State, time};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Health<'a> {
    status: coop_launcher::store::Health,
    /// Failures in a row.
    failing_streak: u32,
    /// The last checks, oldest first.
    log: Vec<Check<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Check<'a> {
    start: String,
    end: String,
    exit_code: i32,
    output: &'a str,
}

impl<'a> Health<'a> {
    /// None without a check.
    pub(super) fn new(state: &'a State) -> Option<Self> {
        Some(Self {
            status: state.health?,
            failing_streak: state.failing_streak,
            log: state.health_log.iter().map(Check::new).collect(),
        })
    }
}

impl<'a> Check<'a> {
    fn new(check: &'a HealthCheck) -> Self {
        Self {
            start: time::format(check.start),
            end: time::format(check.end),
            exit_code: check.exit_code,
            output: &check.output,
        }
    }
}
