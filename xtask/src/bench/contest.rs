//! Contenders that are measured in turn: A B C, A B C, and so on.
//!
//! Each round is made under the same conditions for all, whatever else the machine does: what
//! slows one down in a round slows down the others.

use anyhow::{Error, Result, bail};

use super::measure::Cost;
use super::report::{Row, Unit};
use super::stats::Summary;
use super::sys;

/// One measured step of a trial: what it was, and its cost.
pub(crate) type Step = (&'static str, Cost);

/// One who is measured.
pub(crate) struct Contender<'a> {
    name: String,
    trial: Box<dyn FnMut() -> Result<Vec<Step>> + 'a>,
}

impl<'a> Contender<'a> {
    /// `trial` prepares, measures and cleans up.
    pub(crate) fn new(
        name: impl Into<String>,
        trial: impl FnMut() -> Result<Vec<Step>> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            trial: Box::new(trial),
        }
    }
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    /// Rounds that do not count: files come into memory, clocks up to speed.
    pub(crate) warmup: usize,
    /// Rounds that count.
    pub(crate) counted: usize,
}

/// Measures all in turn. One that fails drops out, and its row says why.
///
/// # Errors
/// When a signal asked to stop.
pub(crate) fn hold(contenders: Vec<Contender<'_>>, rounds: Rounds) -> Result<Vec<Row>> {
    let mut entries: Vec<Entry<'_>> = contenders.into_iter().map(Entry::new).collect();
    for round in 0..rounds.warmup + rounds.counted {
        for entry in &mut entries {
            entry.run(round >= rounds.warmup);
            if sys::stop_asked() {
                bail!("stopped by a signal");
            }
        }
    }
    Ok(entries.into_iter().flat_map(Entry::rows).collect())
}

struct Entry<'a> {
    contender: Contender<'a>,
    steps: Vec<(&'static str, Vec<Cost>)>,
    failure: Option<String>,
}

impl<'a> Entry<'a> {
    fn new(contender: Contender<'a>) -> Self {
        Self {
            contender,
            steps: Vec::new(),
            failure: None,
        }
    }

    fn run(&mut self, counts: bool) {
        if self.failure.is_some() {
            return;
        }
        match (self.contender.trial)() {
            Ok(steps) if counts => steps.into_iter().for_each(|step| self.add(step)),
            Ok(_) => {}
            Err(error) => {
                let name = &self.contender.name;
                eprintln!("bench: {name}: {error:#}");
                self.failure = Some(failure(&error));
            }
        }
    }

    fn add(&mut self, (step, cost): Step) {
        match self.steps.iter_mut().find(|(name, _)| *name == step) {
            Some((_, costs)) => costs.push(cost),
            None => self.steps.push((step, vec![cost])),
        }
    }

    fn rows(self) -> Vec<Row> {
        let contender = self.contender.name;
        if let Some(failure) = self.failure {
            return vec![Row::missing(contender, "", failure)];
        }
        let row = |(step, costs): (&str, Vec<Cost>)| {
            let wall: Vec<_> = costs.iter().map(|cost| cost.wall.as_secs_f64()).collect();
            let cpu: Vec<_> = costs.iter().map(|cost| cost.cpu.as_secs_f64()).collect();
            Row {
                value: Summary::of(&wall),
                cpu: Summary::of(&cpu),
                unit: Unit::Seconds,
                ..Row::missing(contender.clone(), step, String::new())
            }
        };
        self.steps.into_iter().map(row).collect()
    }
}

/// What a row says of a failure: not the command, which is as long as it is known.
pub(crate) fn failure(error: &Error) -> String {
    const LONGEST: usize = 100;
    let text = error.root_cause().to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("failed: {}", line.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use anyhow::anyhow;

    use super::*;

    const ROUNDS: Rounds = Rounds {
        warmup: 1,
        counted: 3,
    };

    fn cost(milliseconds: u64) -> Cost {
        let wall = Duration::from_millis(milliseconds);
        Cost { wall, cpu: wall }
    }

    #[test]
    fn contenders_take_turns_and_warm_up_does_not_count() {
        let order = RefCell::new(String::new());
        let contender = |name: &'static str| {
            let order = &order;
            Contender::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(vec![("run", cost(1))])
            })
        };
        let rows = hold(vec![contender("a"), contender("b")], ROUNDS).unwrap();
        assert_eq!(*order.borrow(), "abababab");
        assert!(rows.iter().all(|row| row.value.unwrap().count == 3));
    }

    #[test]
    fn each_step_has_a_row() {
        let both = Contender::new("a", || Ok(vec![("create", cost(1)), ("start", cost(5))]));
        let rows = hold(vec![both], ROUNDS).unwrap();
        let medians: Vec<_> = rows.iter().map(|row| row.value.unwrap().median).collect();
        assert_eq!(medians, [0.001, 0.005]);
    }

    #[test]
    fn one_that_fails_drops_out_and_says_why() {
        let mut trials = 0;
        let bad = Contender::new("bad", || {
            trials += 1;
            Err(anyhow!("no such system call"))
        });
        let good = Contender::new("good", || Ok(vec![("run", cost(1))]));
        let rows = hold(vec![bad, good], ROUNDS).unwrap();
        assert_eq!(trials, 1);
        assert_eq!(
            rows[0].missing.as_deref(),
            Some("failed: no such system call")
        );
        assert_eq!(rows[1].missing, None);
    }
}
