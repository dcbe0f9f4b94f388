//! What is measured.

mod bridge;
mod bridged;
mod crowd;
mod exec;
mod lifecycle;
mod memory;
mod network;
mod run;
mod seccomp;
mod stack;
mod steady;

use anyhow::Result;
use clap::ValueEnum;

use super::contest::{Rounds, Step};
use super::engine::Engine;
use super::measure::{Words, measure};
use super::report::{Goal, Row};
use super::stand::Stand;
use super::tools::Peer;

/// A scenario's name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A container that runs `true`: full isolation, no network
    Run,
    /// The same with a bridge network of its own
    Bridge,
    /// Create, start and delete, each by itself
    Lifecycle,
    /// `true` in a running container
    Exec,
    /// Stacks of 1, 10, 50 and 200 services up and down
    Stack,
    /// What stays in memory for each container
    Memory,
    /// Processor, system calls, files and TCP inside and outside
    Steady,
    /// TCP from container to container and to a published port, beside a network made by hand
    Network,
    /// 1,000 containers at once: the first and the last compared
    Crowd,
    /// Instructions that a seccomp filter executes, beside libseccomp's
    Seccomp,
}

/// What came of a scenario.
pub(crate) struct Outcome {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) notes: Vec<String>,
}

impl Scenario {
    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: [Self; 10] = [
        Self::Run,
        Self::Bridge,
        Self::Lifecycle,
        Self::Exec,
        Self::Stack,
        Self::Memory,
        Self::Steady,
        Self::Network,
        Self::Crowd,
        Self::Seccomp,
    ];

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How many rounds a meaningful median takes, if nobody says; of a crowd, how many
    /// containers.
    pub(crate) fn usual_rounds(self) -> usize {
        match self {
            Self::Run | Self::Exec => 50,
            Self::Bridge | Self::Lifecycle | Self::Network => 20,
            Self::Stack => 10,
            Self::Steady => 5,
            Self::Memory | Self::Seccomp => 1,
            Self::Crowd => 1_000,
        }
    }

    /// Measures.
    ///
    /// # Errors
    /// When the scenario as a whole cannot be done, or a signal asked to stop.
    pub(crate) fn measure(self, stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
        match self {
            Self::Run => run::contest(stand, rounds),
            Self::Bridge => bridge::contest(stand, rounds),
            Self::Lifecycle => lifecycle::contest(stand, rounds),
            Self::Exec => exec::contest(stand, rounds),
            Self::Stack => stack::contest(stand, rounds),
            Self::Memory => memory::contest(stand),
            Self::Steady => steady::contest(stand, rounds),
            Self::Network => network::contest(stand, rounds),
            Self::Crowd => crowd::contest(stand, rounds.counted),
            Self::Seccomp => seccomp::contest(stand),
        }
    }
}

/// One measured command.
fn once(words: &Words) -> Result<Vec<Step>> {
    Ok(vec![("", measure(words)?)])
}

/// The engines that are there, and rows that say which are not.
fn engines(stand: &Stand<'_>) -> (Vec<Engine>, Vec<Row>) {
    let (there, missing): (Vec<_>, Vec<_>) = Engine::ALL
        .into_iter()
        .partition(|engine| engine.is_there(stand));
    let missing = missing
        .into_iter()
        // One who has it names it; nobody else has to be told each time.
        .filter(|engine| *engine != Engine::Oci(Peer::Youki))
        .map(|engine| Row::missing(engine.name(), "", "not installed"));
    (there, missing.collect())
}

/// That one row's median is at most `limit` times another's, when both were measured. A row is
/// named by its contender and its step.
fn goal(rows: &[Row], ours: (&str, &str), theirs: (&str, &str), limit: f64) -> Option<Goal> {
    let median = |(who, step)| {
        let row = rows
            .iter()
            .find(|row| (row.contender.as_str(), row.step.as_str()) == (who, step));
        row?.median()
    };
    Some(Goal {
        text: format!("{}, as a multiple of {}", ours.0, theirs.0),
        measured: median(ours)? / median(theirs)?,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::stats::Summary;

    #[test]
    fn a_goal_compares_the_rows_that_it_names() {
        let row = |who: &str, step: &str, value: f64| Row {
            value: Summary::of(&[value]),
            ..Row::missing(who, step, "")
        };
        let rows = [
            row("coop", "start", 9.0),
            row("coop", "all", 2.0),
            row("crun", "all", 8.0),
            Row::missing("runc", "all", "not installed"),
        ];
        let goal = |theirs| goal(&rows, ("coop", "all"), (theirs, "all"), 0.5);
        let met = goal("crun").unwrap();
        assert_eq!((met.measured, met.is_met()), (0.25, true));
        assert_eq!(goal("runc"), None);
    }
}
