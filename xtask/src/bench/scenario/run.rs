//! A container from nothing to nothing: made, `true` run in it, removed.

use anyhow::Result;

use super::Outcome;
use crate::bench::contest::{Contender, Rounds, Step, hold};
use crate::bench::measure::{Words, measure};
use crate::bench::report::{Goal, Row};
use crate::bench::stand::Stand;
use crate::bench::tools::Peer;

const TRUE: [&str; 1] = ["/bin/true"];

const FLOOR: &str = "floor";
const COOP: &str = "coop run";
const CRUN: &str = "crun run";
const RUNC: &str = "runc run";

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let rootfs = stand.site.rootfs();
    let rootfs = rootfs.to_string_lossy();
    let coop = |mode: &'static str| {
        let words = ["run", "--rm", "--network", "none", "--rootfs", &rootfs];
        let words = stand.coop(&words).with(["--rootfs-mode", mode]).with(TRUE);
        move || once(&words)
    };
    let mut contenders = vec![
        Contender::new(FLOOR, || {
            let scratch = stand.fresh_scratch()?;
            once(&stand.floor(&scratch, &TRUE))
        }),
        Contender::new(COOP, coop("overlay")),
        Contender::new("coop run, root as crun and runc have it", coop("ro")),
    ];
    let mut missing = Vec::new();
    for (peer, name) in [
        (Peer::Crun, CRUN),
        (Peer::Runc, RUNC),
        (Peer::Youki, "youki run"),
    ] {
        if stand.tools.peer(peer).is_none() {
            missing.push(not_installed(name));
            continue;
        }
        contenders.push(Contender::new(name, move || {
            let id = stand.name();
            let bundle = stand.bundle(&id, &TRUE)?;
            let bundle = bundle.to_string_lossy();
            let words = stand.oci(peer, &["run", "--bundle", &bundle, &id]);
            once(&words.unwrap_or_default())
        }));
    }
    for (name, words) in [
        ("bwrap", stand.bubblewrap(&TRUE)),
        ("unshare", stand.unshare(&TRUE)),
    ] {
        match words {
            Some(words) => contenders.push(Contender::new(name, move || once(&words))),
            None => missing.push(not_installed(name)),
        }
    }
    let mut rows = hold(contenders, rounds)?;
    rows.append(&mut missing);
    Ok(Outcome {
        title: "A container that runs true, full isolation, no network",
        goals: goals(&rows),
        rows,
        notes: Vec::new(),
    })
}

fn once(words: &Words) -> Result<Vec<Step>> {
    Ok(vec![("", measure(words)?)])
}

fn not_installed(name: &str) -> Row {
    Row::missing(name, "", "not installed")
}

fn goals(rows: &[Row]) -> Vec<Goal> {
    let median = |name: &str| rows.iter().find(|row| row.contender == name)?.median();
    [(FLOOR, 1.5), (CRUN, 0.5), (RUNC, 1.0 / 6.0)]
        .into_iter()
        .filter_map(|(peer, limit)| {
            Some(Goal {
                text: format!("{COOP}, as a multiple of {peer}"),
                measured: median(COOP)? / median(peer)?,
                limit,
            })
        })
        .collect()
}
