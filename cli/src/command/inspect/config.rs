//! What the container is: its process and what it was told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::plan::ContainerPlan;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config<'a> {
    hostname: &'a str,
    domainname: &'a str,
    user: &'a str,
    tty: bool,
    open_stdin: bool,
    env: &'a [String],
    /// Entrypoint and command are one by now.
    cmd: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Healthcheck<'a>>,
    image: &'a str,
    working_dir: &'a str,
    labels: &'a BTreeMap<String, String>,
    stop_signal: String,
    /// In seconds.
    stop_timeout: u64,
}

/// Times in nanoseconds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Healthcheck<'a> {
    test: Vec<&'a str>,
    interval: u64,
    timeout: u64,
    start_period: u64,
    start_interval: u64,
    retries: u32,
}

impl<'a> Config<'a> {
    pub(super) fn new(plan: &'a ContainerPlan) -> Self {
        let process = &plan.process;
        let signal = plan.unit.stop_signal;
        Self {
            hostname: plan.hostname.as_deref().unwrap_or_default(),
            domainname: plan.domainname.as_deref().unwrap_or_default(),
            user: &process.user,
            tty: process.terminal,
            open_stdin: process.stdin_open,
            env: &process.env,
            cmd: &process.argv,
            healthcheck: Healthcheck::new(plan),
            image: &plan.image,
            working_dir: &process.cwd,
            labels: &plan.labels,
            stop_signal: coop_ns::Signal::new(signal)
                .map_or(signal.to_string(), |signal| signal.to_string()),
            stop_timeout: plan.unit.stop_grace_period.as_secs(),
        }
    }
}

impl<'a> Healthcheck<'a> {
    fn new(plan: &'a ContainerPlan) -> Option<Self> {
        let timing = plan.unit.health.as_ref()?;
        let command = plan.health_command.iter().flatten().map(String::as_str);
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Some(Self {
            test: std::iter::once("CMD").chain(command).collect(),
            interval: nanoseconds(timing.interval),
            timeout: nanoseconds(timing.timeout),
            start_period: nanoseconds(timing.start_period),
            start_interval: nanoseconds(timing.start_interval),
            retries: timing.retries,
        })
    }
}
