//! A container from nothing to nothing: made, `true` run in it, removed.

use anyhow::Result;

use super::{Outcome, goal, once};
use crate::bench::audit::{self, Inside};
use crate::bench::contest::{Contender, Rounds, failure, hold};
use crate::bench::engine::{Engine, TRUE};
use crate::bench::report::Row;
use crate::bench::stand::Stand;

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let mut contenders = vec![Contender::new("floor", || {
        let scratch = stand.fresh_scratch()?;
        once(&stand.floor(&scratch, &TRUE))
    })];
    let mut missing = Vec::new();
    for engine in Engine::ALL {
        let name = format!("{} run", engine.name());
        if !engine.is_there(stand) {
            missing.push(Row::missing(name, "", "not installed"));
            continue;
        }
        contenders.push(Contender::new(name, move || {
            once(&engine.run(stand, &stand.name(), &TRUE)?)
        }));
        if engine == Engine::Coop {
            let bind = stand
                .coop(&["run", "--rm", "--network", "none", "--rootfs-mode", "ro"])
                .with(["--rootfs"])
                .with([stand.site.rootfs()])
                .with(TRUE);
            contenders.push(Contender::new("coop run, no overlay", move || once(&bind)));
        }
    }
    for (name, words) in [
        ("bwrap", stand.bubblewrap(&TRUE)),
        ("unshare", stand.unshare(&TRUE)),
    ] {
        match words {
            Some(words) => contenders.push(Contender::new(name, move || once(&words))),
            None => missing.push(Row::missing(name, "", "not installed")),
        }
    }
    let mut rows = hold(contenders, rounds)?;
    rows.append(&mut missing);
    let found = what_is_inside(stand)?;
    let goals = [("floor", 1.5), ("crun run", 0.5), ("runc run", 1.0 / 6.0)]
        .into_iter()
        .filter_map(|(peer, limit)| goal(&rows, ("coop run", ""), (peer, ""), limit))
        .collect();
    Ok(Outcome {
        title: "A container that runs `true`: full isolation, no network",
        rows,
        goals,
        notes: vec![
            "The floor makes the same namespaces, id maps and mounts, and nothing else: no \
             cgroup, limits, capabilities, state or log. Its directories are made and removed \
             outside of what is measured."
                .into(),
            "crun and runc find a root filesystem in place and mount nothing for it. Coop and \
             Podman put an overlay on it; Coop also maps its owners to the container's ids. \
             \"No overlay\" is Coop with such a root, read-only."
                .into(),
            "crun, runc and youki: the same namespaces, id maps, mounts, masked paths, \
             capabilities, device and pids limits, by `config.json`. They keep no log and no \
             exit status."
                .into(),
            "bwrap has no cgroup, no limits, one id, fewer mounts and no masked paths; unshare \
             has one id, all capabilities in it, and only /proc."
                .into(),
            "Coop, crun, runc and youki load one and the same seccomp filter, Coop's default; \
             Podman its own. The floor, bwrap and unshare have none."
                .into(),
            format!("Found inside: {}.", found.join("; ")),
        ],
    })
}

/// What each container is, in words.
fn what_is_inside(stand: &Stand<'_>) -> Result<Vec<String>> {
    const LOOK: [&str; 3] = ["/bin/sh", "-c", audit::SCRIPT];
    let mut containers = vec![("floor", stand.floor(&stand.fresh_scratch()?, &LOOK))];
    for engine in Engine::ALL {
        if engine.is_there(stand) {
            containers.push((engine.name(), engine.run(stand, &stand.name(), &LOOK)?));
        }
    }
    containers.extend(stand.bubblewrap(&LOOK).map(|words| ("bwrap", words)));
    containers.extend(stand.unshare(&LOOK).map(|words| ("unshare", words)));
    let found = containers.into_iter().map(|(name, words)| {
        let inside = Inside::look(&words);
        inside.map_or_else(
            |error| format!("{name}: {}", failure(&error)),
            |inside| format!("{name}: {inside}"),
        )
    });
    Ok(found.collect())
}
