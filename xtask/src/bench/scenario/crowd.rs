//! A thousand containers on one machine: whether the last one costs more than the first.

use anyhow::{Result, bail};

use super::Outcome;
use super::memory::watchers;
use crate::bench::engine::{Engine, PAUSE};
use crate::bench::measure::{Cost, measure};
use crate::bench::report::{Goal, Row, Unit};
use crate::bench::stand::Stand;
use crate::bench::stats::Summary;
use crate::bench::sys;

/// So many are compared at each end.
const PART: usize = 10;

pub(super) fn contest(stand: &Stand<'_>, size: usize) -> Result<Outcome> {
    let part = (size / PART).max(1);
    let names: Vec<_> = (0..size).map(|_| stand.name()).collect();
    let mut made = Vec::new();
    for name in &names {
        made.push(measure(&Engine::Coop.run_detached(stand, name, &PAUSE)?)?);
        if sys::stop_asked() {
            bail!("stopped by a signal");
        }
    }
    let held = watchers(stand, Engine::Coop)?;
    let mut removed = Vec::new();
    for name in &names {
        removed.push(Engine::Coop.removal(stand, name)?);
        if sys::stop_asked() {
            bail!("stopped by a signal");
        }
    }
    let mut rows = Vec::new();
    for (what, costs) in [("run -d", &made), ("rm -f", &removed)] {
        let (first, last) = (&costs[..part], &costs[costs.len() - part..]);
        rows.push(row(what, &format!("the first {part}"), first));
        rows.push(row(what, &format!("the last {part}"), last));
    }
    let held_by_each = |unit, what: &str, value: u64| Row {
        unit,
        value: Summary::of(&[value as f64 / size as f64]),
        ..Row::missing("coop's supervisors", what, "")
    };
    rows.push(held_by_each(
        Unit::Bytes,
        "memory per container (PSS)",
        held.proportional,
    ));
    rows.push(held_by_each(
        Unit::Count,
        "descriptors per container",
        held.descriptors,
    ));
    let goals = flat(&rows).into_iter().collect();
    Ok(Outcome {
        title: "A thousand containers on one machine",
        rows,
        goals,
        notes: vec![format!(
            "{size} times `coop run -d --network none`, a stack each, one after the other; then \
             `coop rm -f` of each, the oldest first. So the last removals are made on a machine \
             that is nearly empty again."
        )],
    })
}

fn row(what: &str, which: &str, costs: &[Cost]) -> Row {
    let wall: Vec<_> = costs.iter().map(|cost| cost.wall.as_secs_f64()).collect();
    let cpu: Vec<_> = costs.iter().map(|cost| cost.cpu.as_secs_f64()).collect();
    Row {
        value: Summary::of(&wall),
        cpu: Summary::of(&cpu),
        ..Row::missing(format!("coop, {which}"), what, "")
    }
}

fn flat(rows: &[Row]) -> Option<Goal> {
    let [first, last, ..] = rows else {
        return None;
    };
    Some(Goal {
        text: "run -d, the last ones as a multiple of the first".into(),
        measured: last.median()? / first.median()?,
        limit: 1.25,
    })
}
