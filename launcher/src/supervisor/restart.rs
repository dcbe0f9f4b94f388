//! Containers that are started again: by their restart policy, or by request.

use std::time::{Duration, Instant, SystemTime};

use super::launch::Cause;
use super::spec::RestartPolicy;
use super::stop::Way;
use super::unit::Phase;
use super::{Supervisor, after};
use crate::error::chain;
use crate::store::{ContainerId, State, Status};

/// Docker's back-off: each wait is twice as long as the one before, up to a minute, and from
/// the beginning again for a container that ran long enough.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONG_ENOUGH: Duration = Duration::from_secs(10);

/// Decides whether a container that has just ended, as its state says, is started again by its
/// policy. If so, the state says that it waits for that, and how long.
///
/// An end that nobody saw counts as a failure.
pub fn comes_back(policy: RestartPolicy, state: &mut State) -> bool {
    let ran = match (state.started, state.finished) {
        (Some(started), Some(finished)) => finished.duration_since(started).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    wants_again(policy, state) && {
        state.wait_for_restart(pause(state.restart_pause, ran));
        true
    }
}

/// As [`comes_back`], for a container whose start has failed.
pub(super) fn is_tried_again(policy: RestartPolicy, state: &mut State) -> bool {
    wants_again(policy, state) && {
        state.wait_for_restart(pause(state.restart_pause, Duration::ZERO));
        true
    }
}

fn wants_again(policy: RestartPolicy, state: &State) -> bool {
    !state.stop_requested
        && match policy {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure { max_retries } => {
                state.exit_code != Some(0) && max_retries.is_none_or(|max| state.restarts < max)
            }
        }
}

/// How long to wait after a run of this length, when the last wait was `before`.
fn pause(before: Duration, ran: Duration) -> Duration {
    if before.is_zero() || ran >= LONG_ENOUGH {
        FIRST_PAUSE
    } else {
        (before * 2).min(LONGEST_PAUSE)
    }
}

/// When the wait that the state tells of is over.
pub(super) fn due(state: &State) -> Instant {
    let waited = state
        .finished
        .and_then(|finished| SystemTime::now().duration_since(finished).ok())
        .unwrap_or_default();
    after(Instant::now(), state.restart_pause.saturating_sub(waited))
}

impl Supervisor<'_> {
    /// Starts each container whose wait for its restart is over.
    pub(super) fn restart_if_due(&mut self, index: usize, now: Instant) {
        // The last run's output comes first.
        let unit = &self.units[index];
        if matches!(unit.phase, Phase::Resting(due) if due <= now) && !unit.owes() {
            self.units[index].phase = Phase::Ended;
            let id = self.units[index].spec.id.clone();
            self.relaunch(index, &id);
        }
    }

    fn relaunch(&mut self, index: usize, id: &ContainerId) {
        self.release_later();
        match self.enlist(id, Cause::Policy) {
            Ok(index) => self.launch_one(index),
            // Its files are damaged, or gone: there is nothing to start.
            Err(error) => {
                log::warn!("{}: {}", self.units[index].spec.name, chain(&error));
                self.units[index].state.status = Status::Stopped;
                self.save(index);
            }
        }
    }

    /// Takes note that these containers are to end and to be started again.
    pub(super) fn ask_to_restart(&mut self, ids: &[ContainerId], way: Way) {
        for unit in &mut self.units {
            if matches!(unit.phase, Phase::Resting(_)) && ids.contains(&unit.spec.id) {
                unit.phase = Phase::Ended;
            }
        }
        self.end_in_order(ids, way);
        self.restarting.push(ids.to_vec());
    }

    /// Starts again what was stopped for it, all of one request together.
    pub(super) fn restart_what_may(&mut self) {
        let mut at = 0;
        while let Some(job) = self.restarting.get(at) {
            let stops = self
                .units
                .iter()
                .any(|unit| unit.is_running() && job.contains(&unit.spec.id));
            if stops {
                at += 1;
            } else {
                let job = self.restarting.remove(at);
                self.launch(&job, Cause::Restart);
            }
        }
    }

    /// These containers are to stay down, whatever was asked before.
    pub(super) fn forget_restarts(&mut self, ids: &[ContainerId]) {
        for job in &mut self.restarting {
            job.retain(|id| !ids.contains(id));
        }
        self.restarting.retain(|job| !job.is_empty());
    }

    pub(super) fn is_to_restart(&self, id: &ContainerId) -> bool {
        self.restarting.iter().any(|job| job.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Name, StackName};

    fn ended(exit_code: Option<i32>) -> State {
        let name = Name::parse("web").unwrap();
        let stack = StackName::from(&name);
        let id = ContainerId::random().unwrap();
        let mut state = State::new(id, name, stack, "none".into());
        state.set_running();
        state.set_stopped(exit_code);
        state
    }

    fn policy_brings_back(policy: RestartPolicy, exit_code: Option<i32>) -> bool {
        comes_back(policy, &mut ended(exit_code))
    }

    #[test]
    fn each_policy_decides_by_how_the_container_ended() {
        let on_failure = RestartPolicy::OnFailure { max_retries: None };
        for (policy, after_0, after_1, unknown) in [
            (RestartPolicy::No, false, false, false),
            (RestartPolicy::Always, true, true, true),
            (RestartPolicy::UnlessStopped, true, true, true),
            (on_failure, false, true, true),
        ] {
            let seen = [Some(0), Some(1), None].map(|code| policy_brings_back(policy, code));
            assert_eq!(seen, [after_0, after_1, unknown], "{policy:?}");
        }
    }

    #[test]
    fn what_was_asked_to_end_stays_down() {
        for policy in [
            RestartPolicy::Always,
            RestartPolicy::UnlessStopped,
            RestartPolicy::OnFailure { max_retries: None },
        ] {
            let mut state = ended(Some(137));
            state.stop_requested = true;
            assert!(!comes_back(policy, &mut state), "{policy:?}");
            assert_eq!(state.status, Status::Stopped);
        }
    }

    #[test]
    fn failures_are_tried_again_so_often_and_no_more() {
        let policy = RestartPolicy::OnFailure {
            max_retries: Some(3),
        };
        let mut state = ended(Some(1));
        let mut pauses = Vec::new();
        while comes_back(policy, &mut state) {
            assert_eq!(state.status, Status::Restarting);
            pauses.push(state.restart_pause.as_millis());
            state.set_running();
            state.set_stopped(Some(1));
        }
        assert_eq!(pauses, [100, 200, 400]);
        assert_eq!((state.restarts, state.status), (3, Status::Stopped));
    }

    #[test]
    fn the_wait_grows_to_a_minute_and_begins_anew_after_a_long_run() {
        let brief = Duration::from_millis(20);
        let mut waits = vec![pause(Duration::ZERO, brief)];
        for _ in 0..12 {
            waits.push(pause(waits[waits.len() - 1], brief));
        }
        let seconds: Vec<_> = waits.iter().map(Duration::as_secs_f64).collect();
        assert_eq!(seconds[..4], [0.1, 0.2, 0.4, 0.8]);
        assert_eq!(seconds[9..], [51.2, 60.0, 60.0, 60.0]);
        assert_eq!(pause(LONGEST_PAUSE, LONG_ENOUGH), FIRST_PAUSE);
    }

    #[test]
    fn a_wait_goes_on_from_where_it_was() {
        let mut state = ended(Some(1));
        state.wait_for_restart(Duration::from_secs(60));
        state.finished = Some(SystemTime::now() - Duration::from_secs(59));
        assert!(due(&state) <= Instant::now() + Duration::from_secs(1));
        // A clock that was set back makes nobody wait longer than that.
        state.finished = Some(SystemTime::now() + Duration::from_secs(3600));
        assert!(due(&state) <= Instant::now() + Duration::from_secs(60));
    }
}
