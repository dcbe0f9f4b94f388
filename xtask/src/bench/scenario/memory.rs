//! What stays in memory for a container, besides the container.

use std::time::Duration;

use anyhow::Result;

use super::stack::{Network, write_stack};
use super::{Outcome, engines};
use crate::bench::contest::failure;
use crate::bench::engine::{Engine, PAUSE};
use crate::bench::measure::measure;
use crate::bench::processes::{self, Held};
use crate::bench::report::{Goal, Row, Unit};
use crate::bench::stand::Stand;
use crate::bench::stats::Summary;

const SIZES: [usize; 2] = [1, 10];

/// A supervisor gives memory back when it comes to rest; Podman's helpers end.
const REST: Duration = Duration::from_secs(1);

pub(super) fn contest(stand: &Stand<'_>) -> Result<Outcome> {
    let (there, mut missing) = engines(stand);
    let mut rows = Vec::new();
    let mut goals = Vec::new();
    for size in SIZES {
        let held = of_stack(stand, size)?;
        rows.push(row("coop, one stack", size, held));
        if size == 10 {
            goals.push(Goal {
                text: "MB resident, the supervisor of 10 containers".into(),
                measured: held.resident as f64 / 1e6,
                limit: 3.0,
            });
        }
        for engine in &there {
            let name = match engine {
                Engine::Coop => "coop, a stack for each",
                Engine::Podman => "podman: conmon",
                Engine::Oci(peer) => {
                    let why = "nothing stays: an engine has to watch";
                    rows.push(Row::missing(peer.program(), containers(size), why));
                    continue;
                }
            };
            rows.push(match of_runs(stand, *engine, size) {
                Ok(held) => row(name, size, held),
                Err(error) => Row::missing(name, containers(size), failure(&error)),
            });
        }
    }
    rows.append(&mut missing);
    Ok(Outcome {
        title: "Memory that stays resident, per container",
        rows,
        goals,
        notes: vec![
            "Proportional share (PSS) of the processes that stay beside the container's own, \
             divided by the number of containers. Memory of the kernel is not in it."
                .into(),
        ],
    })
}

fn row(name: &str, size: usize, held: Held) -> Row {
    Row {
        value: Summary::of(&[held.proportional as f64 / size as f64]),
        unit: Unit::Bytes,
        ..Row::missing(name, containers(size), "")
    }
}

fn containers(size: usize) -> String {
    format!("{size} running")
}

fn of_stack(stand: &Stand<'_>, size: usize) -> Result<Held> {
    let file = write_stack(stand, size, Network::None)?;
    measure(&stand.coop(&["up", "-d", "-f"]).with([&file]))?;
    std::thread::sleep(REST);
    let held = watchers(stand, Engine::Coop);
    measure(&stand.coop(&["down", "-t", "0", "-f"]).with([&file]))?;
    held
}

fn of_runs(stand: &Stand<'_>, engine: Engine, size: usize) -> Result<Held> {
    let names: Vec<_> = (0..size).map(|_| stand.name()).collect();
    for name in &names {
        measure(&engine.run_detached(stand, name, &PAUSE)?)?;
    }
    std::thread::sleep(REST);
    let held = watchers(stand, engine);
    for name in &names {
        engine.removal(stand, name)?;
    }
    held
}

/// What the processes hold that an engine leaves beside its containers.
pub(super) fn watchers(stand: &Stand<'_>, engine: Engine) -> Result<Held> {
    let name = match engine {
        Engine::Podman => "conmon",
        _ => "coop",
    };
    processes::held(&processes::of(name, &stand.site.path(""))?)
}
