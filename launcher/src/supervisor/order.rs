//! Who may start and who may stop now: pure decisions over `depends_on`.

use std::borrow::Cow;

use super::spec::{Condition, Dependency, UnitSpec};
use crate::store::{ContainerId, Health, State, Status};

/// What to do with a container that waits for its start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Every dependency is met.
    Start,
    /// One may still be met.
    Wait,
    /// One can no longer be met, and why.
    Never(String),
}

/// Decides on `spec`, with the states of the other containers by id.
pub(crate) fn decide<'a>(
    spec: &UnitSpec,
    state_of: impl Fn(&ContainerId) -> Option<Cow<'a, State>>,
) -> Decision {
    let mut decision = Decision::Start;
    let mut without = Vec::new();
    for dependency in &spec.depends_on {
        match met(dependency, state_of(&dependency.id).as_deref()) {
            Decision::Start => {}
            Decision::Wait => decision = Decision::Wait,
            Decision::Never(why) if dependency.required => return Decision::Never(why),
            Decision::Never(why) => without.push(why),
        }
    }
    if decision == Decision::Start {
        for why in without {
            log::warn!("{}: {why}: it is not required", spec.name);
        }
    }
    decision
}

/// Decides on one dependency, which is in this state.
fn met(dependency: &Dependency, state: Option<&State>) -> Decision {
    let name = &dependency.name;
    let Some(state) = state else {
        return Decision::Never(format!("dependency {name} does not exist"));
    };
    let ended = state.status == Status::Stopped;
    let met = match dependency.condition {
        // One that is created anew still has the time of its last start.
        Condition::ServiceStarted => {
            !matches!(state.status, Status::Creating | Status::Created)
                && state.started.is_some()
                && state.error.is_none()
        }
        Condition::ServiceHealthy => state.health == Some(Health::Healthy) && !ended,
        Condition::ServiceCompletedSuccessfully => ended && state.exit_code == Some(0),
    };
    if met {
        return Decision::Start;
    }
    if let Some(error) = &state.error
        && state.status != Status::Restarting
    {
        return Decision::Never(format!("dependency {name} failed to start: {error}"));
    }
    if ended {
        let code = state
            .exit_code
            .map_or("an unknown status".into(), |code| format!("status {code}"));
        return Decision::Never(match dependency.condition {
            Condition::ServiceCompletedSuccessfully => {
                format!("dependency {name} did not complete successfully: it exited with {code}")
            }
            _ => format!("dependency {name} exited with {code}"),
        });
    }
    if dependency.condition == Condition::ServiceHealthy && state.health == Some(Health::Unhealthy)
    {
        return Decision::Never(format!("dependency {name} is unhealthy"));
    }
    Decision::Wait
}

/// Whether `id` may be asked to stop: nothing that still runs depends on it.
pub(crate) fn may_stop<'a>(
    id: &ContainerId,
    mut running: impl Iterator<Item = &'a UnitSpec>,
) -> bool {
    !running.any(|other| {
        other
            .depends_on
            .iter()
            .any(|dependency| dependency.id == *id)
    })
}
