//! One row, run on real containers.

use super::report;
use super::{Off, Outcome, Row, Scene};

/// A row, and what became of its attack.
#[derive(Debug)]
pub struct Trial {
    /// The row.
    pub row: Row,
    /// In a default container.
    pub default: Run,
    /// With one guard left, for each that can be told alone.
    pub alone: Vec<(String, Run)>,
    /// With every guard off; on the host itself for a row whose guards have no switch.
    pub off: Option<Run>,
    /// Whether the host itself is kept from it.
    pub impossible: bool,
}

/// One run of an attack.
#[derive(Debug)]
pub struct Run {
    /// The flags that were not those of a default container.
    pub flags: Vec<String>,
    /// What has to become of the attack.
    pub expected: Expected,
    /// What became of it.
    pub outcome: Outcome,
}

/// What has to become of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It fails like this.
    Denied(&'static str),
    /// It succeeds.
    Success,
}

impl Run {
    /// Whether it went as it has to.
    pub fn as_expected(&self) -> bool {
        match (&self.expected, &self.outcome) {
            (Expected::Denied(how), Outcome::Denied(got)) => how == got,
            (Expected::Success, Outcome::Succeeded(_)) => true,
            _ => false,
        }
    }
}

/// What a row has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The attack is denied as it should be, by the guards that are named.
    Holds,
    /// It is not.
    Broken,
    /// This kernel does not have what is attacked.
    Absent,
}

impl Trial {
    /// Runs the row on the scene's host, and adds it to the report, if one is wanted.
    ///
    /// # Panics
    /// When a container cannot be run.
    pub fn run(scene: &Scene<'_>, row: &Row) -> Self {
        let on = row.guards.iter().flat_map(|guard| guard.on).copied();
        let trial = Self {
            row: *row,
            default: contain(scene, row, on.collect(), Expected::Denied(row.denied)),
            alone: alone(scene, row),
            off: off(scene, row),
            impossible: row.if_possible_outside
                && matches!(
                    outcome(&scene.outside(&words(row)).run()),
                    Outcome::Denied(_)
                ),
        };
        report::add(&trial);
        trial
    }

    /// Whether the row holds.
    pub fn verdict(&self) -> Verdict {
        let absent = |run: &Run| match &run.outcome {
            Outcome::Denied(how) => how == NOT_HELD || self.row.absent.contains(&how.as_str()),
            Outcome::Succeeded(_) => false,
        };
        let denied = matches!(self.default.outcome, Outcome::Denied(_));
        if denied && (self.impossible || self.off.as_ref().is_some_and(absent)) {
            return Verdict::Absent;
        }
        let alone = self.alone.iter().map(|(_, run)| run);
        let all = std::iter::once(&self.default).chain(alone).chain(&self.off);
        if all.into_iter().all(Run::as_expected) {
            Verdict::Holds
        } else {
            Verdict::Broken
        }
    }
}

/// Every guard that can be told alone, with all others off.
fn alone(scene: &Scene<'_>, row: &Row) -> Vec<(String, Run)> {
    if row.guards.len() < 2 {
        // The default container is that very run.
        return Vec::new();
    }
    let mut runs = Vec::new();
    for (position, guard) in row.guards.iter().enumerate() {
        let Some(denial) = guard.alone else { continue };
        let others = row.guards.iter().enumerate();
        let mut flags: Vec<_> = others
            .filter(|(other, _)| *other != position)
            .flat_map(|(_, other)| other.off())
            .collect();
        flags.extend(guard.on.iter().copied());
        let run = contain(scene, row, flags, Expected::Denied(denial));
        runs.push((guard.to_string(), run));
    }
    runs
}

fn off(scene: &Scene<'_>, row: &Row) -> Option<Run> {
    let expected = match row.off {
        Off::Succeeds => Expected::Success,
        Off::Reaches(errno) => Expected::Denied(errno),
        Off::Never {
            bites_outside: true,
            ..
        } => {
            let words = words(row);
            return Some(Run {
                flags: Vec::new(),
                expected: Expected::Success,
                outcome: outcome(&scene.outside(&words).run()),
            });
        }
        Off::Never { .. } => return None,
    };
    let flags = row.guards.iter().flat_map(super::Guard::off).collect();
    Some(contain(scene, row, flags, expected))
}

fn contain(scene: &Scene<'_>, row: &Row, flags: Vec<&str>, expected: Expected) -> Run {
    let all: Vec<_> = row.flags.iter().chain(&flags).copied().collect();
    let output = scene.in_container(&all, &words(row)).run();
    Run {
        flags: flags.into_iter().map(str::to_owned).collect(),
        expected,
        outcome: outcome(&output),
    }
}

fn words(row: &Row) -> Vec<&'static str> {
    if row.words.is_empty() {
        vec![row.name]
    } else {
        row.words.to_vec()
    }
}

/// Of a container that cannot be given a capability, since the root of this machine lacks it.
const NOT_HELD: &str = "not held by root here";

/// What the attack has said, or that it was killed.
fn outcome(output: &crate::Output) -> Outcome {
    const KILLED: i32 = 128 + libc::SIGKILL;
    let line = output.stdout.lines().find_map(|line| line.parse().ok());
    match line {
        Some(outcome) => outcome,
        None if output.status.code() == Some(KILLED) => Outcome::killed(),
        None if output.stderr.contains("this process has not got them") => {
            Outcome::Denied(NOT_HELD.into())
        }
        None => panic!("the attack said nothing\n{output}"),
    }
}
