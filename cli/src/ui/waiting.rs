//! What keeps a container from being started.

use coop_launcher::store::{ContainerId, Health};
use coop_launcher::supervisor::{Condition, Report, UnitSpec};

/// Where a container is on its way, as far as reports have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Expected,
    Created,
    Started,
    Healthy,
    Ended,
}

#[derive(Debug)]
struct Unit {
    spec: UnitSpec,
    phase: Phase,
}

/// The containers that a command starts.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<Unit>);

impl Waiting {
    /// These are about to be created.
    pub(super) fn expect(&mut self, specs: &[UnitSpec]) {
        self.0.extend(specs.iter().map(|spec| Unit {
            spec: spec.clone(),
            phase: Phase::Expected,
        }));
    }

    /// Takes in what has become of one.
    pub(super) fn note(&mut self, report: &Report) {
        let phase = match report {
            Report::Created(_) => Phase::Created,
            Report::Started(_) => Phase::Started,
            Report::Health(state) if state.health == Some(Health::Healthy) => Phase::Healthy,
            Report::Exited(_) | Report::Failed { .. } => Phase::Ended,
            _ => return,
        };
        if let Some(unit) = self
            .0
            .iter_mut()
            .find(|unit| Some(&unit.spec.id) == report.id())
        {
            unit.phase = phase;
        }
    }

    /// None of them is to run any longer.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether the container was to run.
    pub(super) fn ended_by_itself(&self, id: &ContainerId) -> bool {
        self.0.iter().any(|unit| unit.spec.id == *id)
    }

    /// Those that are created and not started, and what they are about.
    pub(super) fn created(&self) -> impl Iterator<Item = (&str, String)> {
        self.0
            .iter()
            .filter(|unit| unit.phase == Phase::Created)
            .map(|unit| {
                let what = self
                    .unmet(&unit.spec)
                    .map_or("Starting".into(), |name| format!("Waiting for {name}"));
                (unit.spec.name.as_str(), what)
            })
    }

    /// The first of its dependencies that is not there yet.
    fn unmet<'s>(&self, spec: &'s UnitSpec) -> Option<&'s str> {
        let unmet = spec.depends_on.iter().find(|dependency| {
            let other = self.0.iter().find(|unit| unit.spec.id == dependency.id);
            let phase = other.map(|unit| unit.phase);
            match dependency.condition {
                Condition::ServiceStarted => {
                    matches!(phase, Some(Phase::Expected | Phase::Created))
                }
                // One that this command does not start says nothing here until it is met.
                Condition::ServiceHealthy => phase != Some(Phase::Healthy),
                Condition::ServiceCompletedSuccessfully => phase != Some(Phase::Ended),
            }
        })?;
        Some(&unmet.name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use coop_launcher::logs::LogOptions;
    use coop_launcher::store::{Name, StackName, State};
    use coop_launcher::supervisor::{Dependency, RestartPolicy};

    use super::*;

    fn spec(name: &str, digit: &str, depends_on: &[(&str, &str, Condition)]) -> UnitSpec {
        let id = |digit: &str| ContainerId::parse(&digit.repeat(ContainerId::LEN)).unwrap();
        UnitSpec {
            id: id(digit),
            name: name.into(),
            depends_on: depends_on
                .iter()
                .map(|(name, digit, condition)| Dependency {
                    id: id(digit),
                    name: (*name).into(),
                    condition: *condition,
                    required: true,
                })
                .collect(),
            stop_signal: 15,
            stop_grace_period: Duration::from_secs(10),
            health: None,
            terminal: false,
            stdin_open: false,
            restart: RestartPolicy::No,
            log: LogOptions::default(),
        }
    }

    fn state(spec: &UnitSpec, health: Option<Health>) -> Box<State> {
        let name = Name::parse(&spec.name).unwrap();
        let stack = StackName::parse("shop").unwrap();
        let mut state = State::new(spec.id.clone(), name, stack, "x".into());
        state.health = health;
        Box::new(state)
    }

    fn created(waiting: &Waiting) -> Vec<String> {
        waiting
            .created()
            .map(|(name, what)| format!("{name}: {what}"))
            .collect()
    }

    #[test]
    fn a_container_waits_for_each_of_its_dependencies_in_turn() {
        let db = spec("db", "a", &[]);
        let job = spec("job", "b", &[("db", "a", Condition::ServiceStarted)]);
        let web = spec(
            "web",
            "c",
            &[
                ("db", "a", Condition::ServiceHealthy),
                ("job", "b", Condition::ServiceCompletedSuccessfully),
            ],
        );
        let mut waiting = Waiting::default();
        waiting.expect(&[db.clone(), job.clone(), web.clone()]);
        assert!(created(&waiting).is_empty());
        for spec in [&db, &job, &web] {
            waiting.note(&Report::Created(state(spec, None)));
        }
        assert_eq!(
            created(&waiting),
            ["db: Starting", "job: Waiting for db", "web: Waiting for db"]
        );
        waiting.note(&Report::Started(state(&db, None)));
        assert_eq!(created(&waiting), ["job: Starting", "web: Waiting for db"]);
        waiting.note(&Report::Health(state(&db, Some(Health::Starting))));
        waiting.note(&Report::Started(state(&job, None)));
        assert_eq!(created(&waiting), ["web: Waiting for db"]);
        waiting.note(&Report::Health(state(&db, Some(Health::Healthy))));
        assert_eq!(created(&waiting), ["web: Waiting for job"]);
        waiting.note(&Report::Exited(state(&job, None)));
        assert_eq!(created(&waiting), ["web: Starting"]);
    }

    #[test]
    fn one_that_runs_already_is_not_waited_for_unless_its_health_counts() {
        let mut waiting = Waiting::default();
        let web = spec("web", "c", &[("db", "a", Condition::ServiceStarted)]);
        let api = spec("api", "d", &[("db", "a", Condition::ServiceHealthy)]);
        waiting.expect(&[web.clone(), api.clone()]);
        waiting.note(&Report::Created(state(&web, None)));
        waiting.note(&Report::Created(state(&api, None)));
        assert_eq!(created(&waiting), ["web: Starting", "api: Waiting for db"]);
    }
}
