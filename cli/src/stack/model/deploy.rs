//! `deploy`: what `docker stack` introduced, as far as it concerns one machine.

use super::super::value::{ByteSize, Cpus, PidsLimit, Restart};
use super::Service;
use coop_launcher::supervisor::RestartPolicy;
use serde::Serialize;

/// `deploy`, as far as it concerns one machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Deploy {
    /// How many containers; see [`Service::replicas`] for what holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Limits and reservations.
    #[serde(skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// `restart` in the form that `docker stack` introduced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<DeployedRestart>,
}

/// `deploy.restart_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct DeployedRestart {
    /// After which end it is started again.
    pub condition: RestartCondition,
    /// How often in a row at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

/// After which end a container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartCondition {
    /// After none.
    None,
    /// When it failed.
    OnFailure,
    /// After any.
    #[default]
    Any,
}

impl DeployedRestart {
    /// What `restart` would say.
    pub(crate) fn restart(self) -> Restart {
        Restart(match self.condition {
            RestartCondition::None => RestartPolicy::No,
            RestartCondition::Any => RestartPolicy::Always,
            RestartCondition::OnFailure => RestartPolicy::OnFailure {
                max_retries: self.max_attempts.filter(|&attempts| attempts > 0),
            },
        })
    }
}

impl Service {
    /// The policy that holds: `deploy.restart_policy`'s over `restart`; a loaded file has no
    /// two that differ.
    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        let deployed = self
            .deploy
            .as_ref()
            .and_then(|deploy| deploy.restart_policy);
        let restart = deployed.map(DeployedRestart::restart).or(self.restart);
        restart.map_or(RestartPolicy::No, |Restart(policy)| policy)
    }
}

/// `deploy.resources`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Resources {
    /// The most that a container gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// What a container is sure to get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Reservations>,
}

impl Resources {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `deploy.resources.limits`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct ResourceLimits {
    /// Processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cpus>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<PidsLimit>,
}

/// `deploy.resources.reservations`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Reservations {
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
}
