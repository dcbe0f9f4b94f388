//! What the end of a container means for `up`, and for its exit status.

use coop_launcher::store::State;
use coop_launcher::supervisor::OnEnd;

/// The exit status that `--abort-on-container-exit` and its kin give: of one service, which is
/// that of the first container that ended when none is named.
#[derive(Debug, Clone)]
pub(super) struct ExitCode {
    on_end: OnEnd,
    service: Option<String>,
    code: Option<i32>,
}

impl ExitCode {
    pub(super) fn of(on_end: OnEnd, service: Option<String>) -> Self {
        Self {
            on_end,
            service,
            code: None,
        }
    }

    /// What the end of one container means for all others.
    pub(super) fn on_end(&self) -> OnEnd {
        self.on_end
    }

    /// Takes note of a container's end. Says whether it is to be the end of all.
    pub(super) fn note(&mut self, state: &State) -> bool {
        let aborts = self.on_end.stops_all(state.exit_code);
        if aborts && self.service.is_none() {
            self.service.clone_from(&state.service);
        }
        if self.service.is_some() && self.service == state.service {
            // Nobody saw how: that is not well.
            self.code = Some(state.exit_code.unwrap_or(1));
        }
        aborts
    }

    /// The exit status; 0 when nothing was asked for.
    pub(super) fn code(&self) -> i32 {
        match self.on_end {
            OnEnd::GoOn => 0,
            OnEnd::StopAll | OnEnd::StopAllAfterFailure => self.code.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use coop_launcher::store::{ContainerId, Name, StackName};

    use super::*;

    fn ended(service: &str, code: i32) -> State {
        let name = Name::parse(&format!("shop-{service}-1")).unwrap();
        let stack = StackName::parse("shop").unwrap();
        let mut state = State::new(ContainerId::random().unwrap(), name, stack, "i".into());
        state.service = Some(service.to_owned());
        state.set_stopped(Some(code));
        state
    }

    fn code(on_end: OnEnd, from: Option<&str>, ends: &[(&str, i32)]) -> (Vec<bool>, i32) {
        let mut exit = ExitCode::of(on_end, from.map(str::to_owned));
        let aborts = { ends.iter() }
            .map(|(service, code)| exit.note(&ended(service, *code)))
            .collect();
        (aborts, exit.code())
    }

    #[test]
    fn the_first_that_ends_gives_the_status_or_the_one_that_is_named() {
        let ends = [("test", 7), ("db", 137)];
        assert_eq!(code(OnEnd::GoOn, None, &ends), (vec![false, false], 0));
        assert_eq!(code(OnEnd::StopAll, None, &ends), (vec![true, true], 7));
        assert_eq!(code(OnEnd::StopAll, Some("db"), &ends).1, 137);
        assert_eq!(code(OnEnd::StopAll, Some("web"), &ends).1, 0);
    }

    #[test]
    fn only_a_failure_aborts_where_that_was_asked_for() {
        let ends = [("init", 0), ("test", 3)];
        let on_failure = OnEnd::StopAllAfterFailure;
        assert_eq!(code(on_failure, None, &ends), (vec![false, true], 3));
    }
}
