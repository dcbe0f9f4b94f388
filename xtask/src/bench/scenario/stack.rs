//! A stack of 1, 10, 50 and 200 services up and down.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;

use super::{Outcome, engines};
use crate::bench::contest::{Contender, Rounds, Step, hold};
use crate::bench::engine::{Engine, PAUSE};
use crate::bench::measure::{Cost, measure};
use crate::bench::stand::Stand;

/// Services, the names of the two steps, and of how many rounds one is made.
const SIZES: [(usize, [&str; 2], usize); 4] = [
    (1, ["up of 1", "down of 1"], 1),
    (10, ["up of 10", "down of 10"], 2),
    (50, ["up of 50", "down of 50"], 4),
    (200, ["up of 200", "down of 200"], 8),
];

/// Podman takes a second for each.
const MOST_FOR_PODMAN: usize = 10;

/// How services are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Not at all.
    None,
    /// To the stack's bridge.
    Bridge,
}

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let (there, mut missing) = engines(stand);
    let mut rows = Vec::new();
    for (size, steps, share) in SIZES {
        let mut contenders = Vec::new();
        for network in [Network::None, Network::Bridge] {
            let file = write_stack(stand, size, network)?;
            let name = match network {
                Network::None => "coop up and down",
                Network::Bridge => "coop up and down, with a bridge",
            };
            contenders.push(Contender::new(name, move || coop(stand, &file, steps)));
        }
        for engine in &there {
            let engine = *engine;
            let too_long = engine == Engine::Podman && size > MOST_FOR_PODMAN;
            if engine == Engine::Coop || too_long {
                continue;
            }
            let name = format!("{} run -d and removal, in turn", engine.name());
            contenders.push(Contender::new(name, move || {
                one_by_one(stand, engine, size, steps)
            }));
        }
        let rounds = Rounds {
            warmup: 1,
            counted: (rounds.counted / share).max(1),
        };
        rows.extend(hold(contenders, rounds)?);
    }
    rows.append(&mut missing);
    Ok(Outcome {
        title: "A stack up and down",
        goals: Vec::new(),
        notes: vec![
            "The others know no stacks: their time is that of as many commands, one after the \
             other, from a program and not from a shell. Without a network, except where it \
             says bridge. Podman at 1 and 10 only."
                .into(),
            "Services are killed without a time of grace. Processor time is the commands' own; \
             what their supervisors use is not in it."
                .into(),
        ],
        rows,
    })
}

fn coop(stand: &Stand<'_>, file: &PathBuf, steps: [&'static str; 2]) -> Result<Vec<Step>> {
    let up = measure(&stand.coop(&["up", "-d", "-f"]).with([file]))?;
    let down = measure(&stand.coop(&["down", "-t", "0", "-f"]).with([file]))?;
    Ok(vec![(steps[0], up), (steps[1], down)])
}

fn one_by_one(
    stand: &Stand<'_>,
    engine: Engine,
    size: usize,
    steps: [&'static str; 2],
) -> Result<Vec<Step>> {
    let names: Vec<_> = (0..size).map(|_| stand.name()).collect();
    let (mut up, mut down) = (Cost::default(), Cost::default());
    for name in &names {
        let words = engine.run_detached(stand, name, &PAUSE)?;
        up += measure(&words)?;
    }
    for name in &names {
        down += engine.removal(stand, name)?;
    }
    Ok(vec![(steps[0], up), (steps[1], down)])
}

/// Writes the file of a stack of `size` services that run until they are killed.
pub(crate) fn write_stack(stand: &Stand<'_>, size: usize, network: Network) -> Result<PathBuf> {
    let kind = match network {
        Network::None => "none",
        Network::Bridge => "bridge",
    };
    let directory = stand.site.path("stacks").join(format!("{kind}{size}"));
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("stack.yaml");
    std::fs::write(&file, stack(&stand.site.rootfs(), size, network))?;
    Ok(file)
}

fn stack(rootfs: &std::path::Path, size: usize, network: Network) -> String {
    let mut text = String::from("services:\n");
    let argv = PAUSE.map(|word| format!("{word:?}")).join(", ");
    for number in 1..=size {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "  s{number}:\n    rootfs: {:?}\n    command: [{argv}]\n",
            rootfs.display()
        );
        if network == Network::None {
            text.push_str("    network_mode: none\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_stack_has_so_many_services() {
        insta::assert_snapshot!(stack(Path::new("/bench/rootfs"), 2, Network::None));
        let bridged = stack(Path::new("/bench/rootfs"), 1, Network::Bridge);
        assert!(!bridged.contains("network_mode"));
    }
}
