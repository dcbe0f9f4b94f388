//! Commands on several containers: as Docker's, they go on after an error, print the name of
//! each for which it worked, and end with 1 when it did not work for all.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use coop_launcher::store::{ContainerId, StackName, State};
use coop_launcher::supervisor::{Report, Request};

use crate::args::StackArgs;
use crate::host::Host;
use crate::ui::Progress;
use crate::{load, supervise};

/// The containers that the words of a command mean, and what has become of them so far.
pub(super) struct Several<'h> {
    host: &'h Host,
    /// Each word with what it means; no word at all for the whole stack.
    named: Vec<(Option<String>, Vec<State>)>,
    /// For which it did not work.
    failed: BTreeSet<ContainerId>,
    exit_code: i32,
    /// Names are the answer, as Docker gives it; without names, compose's lines are.
    progress: Option<Progress>,
}

impl<'h> Several<'h> {
    /// The containers of these names, all of the stack without one. A name that means nothing
    /// is told at once, and the others go on.
    pub(super) fn find(host: &'h Host, stack: &StackArgs, names: &[String]) -> Result<Self> {
        let mut several = Self {
            host,
            named: Vec::new(),
            failed: BTreeSet::new(),
            exit_code: 0,
            progress: None,
        };
        if names.is_empty() {
            let all = supervise::containers(host, &load::stack_name(stack)?)?;
            several.named.push((None, all));
            several.progress = Some(Progress::new());
        }
        for name in names {
            match load::resolve_all(host, stack, name) {
                Ok(states) => several.named.push((Some(name.clone()), states)),
                Err(error) => several.complain(&error),
            }
        }
        Ok(several)
    }

    /// Whether the command is about a whole stack: what does not apply to one container of it
    /// is no error then.
    pub(super) fn is_whole_stack(&self) -> bool {
        self.progress.is_some()
    }

    /// Shows that what runs of a whole stack is about to be stopped.
    pub(super) fn show_stopping(&mut self) {
        let all = self.containers();
        if let Some(progress) = &mut self.progress {
            let running = all.iter().filter(|state| state.init_alive());
            progress.stopping(running.map(|state| state.name.as_str()));
        }
    }

    /// Leaves out those of the stack that the command does not apply to.
    pub(super) fn only(&mut self, applies: impl Fn(&State) -> bool) {
        for (_, states) in &mut self.named {
            states.retain(|state| applies(state));
        }
    }

    /// Each of the containers, once.
    pub(super) fn containers(&self) -> Vec<State> {
        let mut seen = BTreeSet::new();
        { self.named.iter() }
            .flat_map(|(_, states)| states)
            .filter(|state| seen.insert(&state.id))
            .cloned()
            .collect()
    }

    /// The containers by the stack that they are of.
    pub(super) fn by_stack(&self) -> BTreeMap<StackName, Vec<ContainerId>> {
        let mut stacks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for state in self.containers() {
            if !self.failed.contains(&state.id) {
                stacks.entry(state.stack).or_default().push(state.id);
            }
        }
        stacks
    }

    /// Does something with each container by itself.
    pub(super) fn each(&mut self, mut act: impl FnMut(&Host, &State) -> Result<()>) {
        for state in self.containers() {
            if !self.failed.contains(&state.id)
                && let Err(error) = act(self.host, &state)
            {
                self.fail(&state.id, &error);
            }
        }
    }

    /// Asks the supervisors of all stacks at once, and follows what comes of it. What nobody
    /// looks after does not run: `idle` says what that means.
    pub(super) fn ask(
        &mut self,
        request: impl Fn(Vec<ContainerId>) -> Request,
        mut idle: impl FnMut(&State) -> Result<()>,
    ) {
        let requests: Vec<_> = { self.by_stack().into_iter() }
            .map(|(stack, ids)| (stack, request(ids)))
            .collect();
        let answers = supervise::request_all(self.host, &requests, &mut |report| self.note(report));
        for ((stack, _), answer) in requests.iter().zip(answers) {
            for state in self
                .containers()
                .iter()
                .filter(|state| state.stack == *stack)
            {
                let result = match &answer {
                    Ok(true) => Ok(()),
                    Ok(false) => idle(state),
                    Err(error) => Err(anyhow::anyhow!("{error:#}")),
                };
                if let Err(error) = result
                    && !self.failed.contains(&state.id)
                {
                    self.fail(&state.id, &error);
                }
            }
        }
    }

    /// Takes note of what a supervisor reports.
    pub(super) fn note(&mut self, report: &Report) {
        match report {
            Report::Refused { id, name, error }
            | Report::Failed {
                id, name, error, ..
            } => {
                self.fail(id, &anyhow::anyhow!("{name}: {error}"));
            }
            report => {
                if let Some(progress) = &mut self.progress {
                    progress.report(report);
                }
            }
        }
    }

    /// It did not work for this container.
    pub(super) fn fail(&mut self, id: &ContainerId, error: &anyhow::Error) {
        self.failed.insert(id.clone());
        self.complain(error);
    }

    /// It did not work for any of these, for one reason.
    pub(super) fn fail_all(&mut self, ids: &[ContainerId], error: &anyhow::Error) {
        self.failed.extend(ids.iter().cloned());
        self.complain(error);
    }

    fn complain(&mut self, error: &anyhow::Error) {
        crate::ui::error(error);
        self.exit_code = 1;
    }

    /// Prints the names for which it worked, and gives the exit status.
    pub(super) fn finish(self) -> Result<i32> {
        for (name, states) in &self.named {
            if let Some(name) = name
                && !states.iter().any(|state| self.failed.contains(&state.id))
            {
                crate::ui::print(&format!("{name}\n"))?;
            }
        }
        Ok(self.exit_code)
    }
}
