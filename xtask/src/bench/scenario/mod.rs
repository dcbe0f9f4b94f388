//! What is measured.

mod run;

use anyhow::Result;
use clap::ValueEnum;

use super::contest::Rounds;
use super::report::{Goal, Row};
use super::stand::Stand;

/// A scenario's name on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A container that runs `true`: full isolation, no network
    Run,
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
    pub(crate) const ALL: [Self; 1] = [Self::Run];

    /// As it is written on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How many rounds a meaningful median takes, if nobody says.
    pub(crate) fn usual_rounds(self) -> usize {
        match self {
            Self::Run => 50,
        }
    }

    /// Measures.
    ///
    /// # Errors
    /// When the scenario as a whole cannot be done, or a signal asked to stop.
    pub(crate) fn measure(self, stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
        match self {
            Self::Run => run::contest(stand, rounds),
        }
    }
}
