//! `true` in a container that runs already.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Outcome, engines, once};
use crate::bench::contest::{Contender, Rounds, failure, hold};
use crate::bench::engine::{Engine, PAUSE, TRUE};
use crate::bench::measure::{Words, measure, succeed};
use crate::bench::report::Row;
use crate::bench::stand::Stand;

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let (there, mut missing) = engines(stand);
    let mut running = Vec::new();
    for engine in there {
        let name = stand.name();
        match measure(&engine.run_detached(stand, &name, &PAUSE)?) {
            Ok(_) => running.push((engine, name)),
            Err(error) => missing.push(Row::missing(engine.name(), "", failure(&error))),
        }
    }
    let mut contenders = Vec::new();
    for (engine, name) in &running {
        if *engine == Engine::Coop && Path::new("/usr/bin/nsenter").exists() {
            let pid = succeed(&stand.coop(&["inspect", "-f", "{{.State.Pid}}", name]))?.output;
            let pid: u32 = pid.trim().parse().context("the pid in `coop inspect`")?;
            let words = Words::new("/usr/bin/nsenter")
                .with(["--all", "--target", &pid.to_string()])
                .with(TRUE);
            contenders.push(Contender::new("nsenter", move || once(&words)));
        }
        let words = engine.exec(stand, name, &TRUE);
        contenders.push(Contender::new(
            format!("{} exec", engine.name()),
            move || once(&words),
        ));
    }
    let held = hold(contenders, rounds);
    for (engine, name) in &running {
        engine.removal(stand, name)?;
    }
    let mut rows = held?;
    rows.append(&mut missing);
    Ok(Outcome {
        title: "`true` in a running container",
        rows,
        goals: Vec::new(),
        notes: vec![
            "nsenter, into Coop's container, is the floor here: it joins namespaces and executes, \
             and leaves out cgroup, capabilities, no_new_privs and user."
                .into(),
        ],
    })
}
