//! Create, start and delete, each by a command of its own, as an engine drives a runtime.

use anyhow::Result;

use super::{Outcome, engines};
use crate::bench::contest::{Contender, Rounds, hold};
use crate::bench::engine::{Engine, PAUSE};
use crate::bench::measure::{Cost, measure};
use crate::bench::stand::Stand;

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let (there, mut missing) = engines(stand);
    let contender = |engine: Engine| {
        Contender::new(engine.name(), move || {
            let name = stand.name();
            let create = engine.create(stand, &name, &PAUSE)?;
            let create = measure(&create)?;
            let start = measure(&engine.start(stand, &name))?;
            let delete = engine.removal(stand, &name)?;
            let mut all = Cost::default();
            for step in [create, start, delete] {
                all += step;
            }
            Ok(vec![
                ("create", create),
                ("start", start),
                ("delete", delete),
                ("all three", all),
            ])
        })
    };
    let mut rows = hold(there.into_iter().map(contender).collect(), rounds)?;
    rows.append(&mut missing);
    Ok(Outcome {
        title: "Create, start, delete",
        rows,
        goals: Vec::new(),
        notes: vec![
            "`coop create`, `start` and `rm --force`; `create`, `start` and `delete --force` of \
             the OCI runtimes; Podman's as Coop's. Coop's and Podman's `create` only write, \
             their `start` does what both of a runtime's do; and they leave somebody who watches \
             the container, which a runtime leaves to its engine."
                .into(),
        ],
    })
}
