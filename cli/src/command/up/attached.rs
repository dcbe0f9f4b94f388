//! Whose output `up` shows.

use std::collections::BTreeSet;

use coop_launcher::logs::Stream;
use coop_launcher::supervisor::{Report, Show, UnitSpec};

use super::end::ExitCode;
use crate::args::UpArgs;
use crate::host::Host;
use crate::plan::ContainerPlan;

/// Shows everything but the output of containers that nobody wants to see (`attach: false`,
/// `--no-attach`).
pub(super) struct Attached<'a, S> {
    to: &'a mut S,
    silent: BTreeSet<String>,
    end: ExitCode,
}

impl<'a, S: Show> Attached<'a, S> {
    /// Shows by `to`, but nothing that the containers of these names write.
    pub(super) fn new(to: &'a mut S, silent: BTreeSet<String>, end: ExitCode) -> Self {
        Self { to, silent, end }
    }

    /// The exit status that the containers' ends come to.
    pub(super) fn exit_code(&self) -> i32 {
        self.end.code()
    }
}

impl<S: Show> Show for Attached<'_, S> {
    fn report(&mut self, report: &Report) {
        if let Report::Exited(state) = report {
            self.end.note(state);
        }
        self.to.report(report);
    }

    fn interrupted(&mut self, times: u32) {
        self.to.interrupted(times);
    }

    fn aborting(&mut self) {
        self.to.aborting();
    }

    fn output(&mut self, unit: &UnitSpec, stream: Stream, bytes: &[u8]) {
        if !self.silent.contains(&unit.name) {
            self.to.output(unit, stream, bytes);
        }
    }
}

/// The names of the containers whose output is not shown.
pub(super) fn silent(host: &Host, stack: &[UnitSpec], args: &UpArgs) -> BTreeSet<String> {
    let is_silent = |unit: &&UnitSpec| {
        let Ok(plan) = host.store.load_config::<ContainerPlan>(&unit.id) else {
            return false;
        };
        let service = plan.service.unwrap_or_default();
        let attached = if args.attach.is_empty() {
            plan.attach
        } else {
            args.attach.contains(&service)
        };
        !attached || args.no_attach.contains(&service)
    };
    let silent = stack.iter().filter(is_silent);
    silent.map(|unit| unit.name.clone()).collect()
}
