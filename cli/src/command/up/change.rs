//! What `up` changes: the difference of the file and what is there.

use std::collections::BTreeSet;

use anyhow::Result;
use coop_launcher::store::{ContainerId, State};

use crate::args::UpArgs;
use crate::host::Host;
use crate::load::Loaded;
use crate::plan::{self, ContainerPlan, Draft, Existing, StackPlan};
use crate::supervise;
use crate::ui::Progress;

/// What is asked for.
pub(super) struct Change<'a> {
    pub host: &'a Host,
    pub loaded: &'a Loaded,
    /// The services that it is about.
    pub order: &'a [String],
    pub args: &'a UpArgs,
}

/// What has to be done, after what is there.
pub(super) struct Todo {
    /// Containers to make.
    pub plan: StackPlan,
    /// Containers to start, new and old, each after what it depends on.
    pub to_start: Vec<ContainerId>,
}

impl Change<'_> {
    fn plan(&self, existing: &Existing) -> Result<StackPlan> {
        self.loaded.explain(plan::plan_stack(
            self.host,
            &self.loaded.stack,
            self.order,
            &self.loaded.variables,
            existing,
        ))
    }

    /// `replaced` are the containers that were removed to be made anew: what stays knows them
    /// by their ids.
    pub(super) fn todo(&self, existing: &[State], replaced: &Existing) -> Result<Todo> {
        let staying: BTreeSet<_> = existing.iter().map(|state| &state.id).collect();
        let mut ids = Existing::of_states(self.host, existing);
        ids.extend(replaced);
        let mut plan = self.plan(&ids)?;
        let running: BTreeSet<_> = existing
            .iter()
            .filter(|state| state.init_alive())
            .map(|state| &state.id)
            .collect();
        let to_start = plan
            .drafts
            .iter()
            .map(|draft| draft.plan.unit.id.clone())
            .filter(|id| !running.contains(id))
            .collect();
        for draft in &plan.drafts {
            // What came from variables is gone when the machine was started anew.
            let id = &draft.plan.unit.id;
            if staying.contains(id) && !running.contains(id) {
                crate::grants::leave(&draft.texts)?;
            }
        }
        for draft in { plan.drafts.iter() }.filter(|it| staying.contains(&it.plan.unit.id)) {
            self.relink(draft)?;
        }
        for draft in &mut plan.drafts {
            draft.plan.stack_file = self.loaded.file();
        }
        plan.drafts
            .retain(|draft| !staying.contains(&draft.plan.unit.id));
        Ok(Todo { plan, to_start })
    }

    /// What a container that stays depends on may have been removed and be made anew, with
    /// another id.
    fn relink(&self, draft: &Draft) -> Result<()> {
        let id = &draft.plan.unit.id;
        let store = &self.host.store;
        let _lock = store.lock(id)?;
        // One of another version, kept by --no-recreate, is told of when it is started.
        let Ok(mut saved) = store.load_config::<ContainerPlan>(id) else {
            return Ok(());
        };
        if saved.unit.depends_on != draft.plan.unit.depends_on {
            saved
                .unit
                .depends_on
                .clone_from(&draft.plan.unit.depends_on);
            store.save_config(id, &saved)?;
        }
        Ok(())
    }

    /// Removes the containers that are more than a service is to have.
    pub(super) fn remove_surplus(
        &self,
        existing: &mut Vec<State>,
        progress: &mut Progress,
    ) -> Result<()> {
        let there = Existing::of_states(self.host, existing);
        let services = &self.loaded.stack.services;
        let wanted = { self.order.iter() }
            .filter_map(|name| Some((name.as_str(), services.get(name)?.replicas())));
        let surplus: Vec<_> = wanted
            .flat_map(|(name, wanted)| there.surplus(name, wanted).cloned())
            .collect();
        self.remove(existing, &surplus, progress)
    }

    fn remove(
        &self,
        existing: &mut Vec<State>,
        ids: &[ContainerId],
        progress: &mut Progress,
    ) -> Result<()> {
        let name = self.loaded.name()?;
        let timeout = self.args.timeout();
        super::super::rm::stop_and_remove(self.host, &name, ids, timeout, progress)?;
        existing.retain(|state| !ids.contains(&state.id));
        Ok(())
    }

    /// Removes the containers whose service has changed since they were made, and gives their
    /// ids. Those that depend on them with `restart: true` are stopped, so that they start
    /// again.
    pub(super) fn remove_outdated(
        &self,
        existing: &mut Vec<State>,
        progress: &mut Progress,
    ) -> Result<Existing> {
        if existing.is_empty() || self.args.no_recreate {
            return Ok(Existing::default());
        }
        let there = Existing::of_states(self.host, existing);
        let plan = self.plan(&there)?;
        let outdated: Vec<_> = { plan.drafts.iter() }
            .filter(|draft| there.contains(&draft.plan.unit.id))
            .filter(|draft| self.is_outdated(draft))
            .map(|draft| draft.plan.unit.id.clone())
            .collect();
        let restarted: Vec<_> = { plan.drafts.iter() }
            .filter(|draft| !outdated.contains(&draft.plan.unit.id))
            .filter(|draft| self.restarts_with(draft, &there, &outdated))
            .map(|draft| draft.plan.unit.id.clone())
            .collect();
        let timeout = self.args.timeout();
        supervise::stop(self.host, &plan.name, &restarted, timeout, &mut |report| {
            progress.report(report);
        })?;
        self.remove(existing, &outdated, progress)?;
        let mut replaced = there;
        replaced.retain(&outdated);
        Ok(replaced)
    }

    fn is_outdated(&self, draft: &Draft) -> bool {
        let service = draft.plan.service.as_ref();
        let named = self.args.services.is_empty()
            || service.is_some_and(|name| self.args.services.contains(name));
        if self.args.force_recreate && named {
            return true;
        }
        let store = &self.host.store;
        let saved = store.load_config::<ContainerPlan>(&draft.plan.unit.id);
        saved.map_or(true, |saved| saved.config_hash != draft.plan.config_hash)
            || crate::grants::differ(&draft.texts)
    }

    /// Whether it depends on one of `outdated` with `restart: true`.
    fn restarts_with(&self, draft: &Draft, there: &Existing, outdated: &[ContainerId]) -> bool {
        let services = &self.loaded.stack.services;
        let service = { draft.plan.service.as_ref() }.and_then(|name| services.get(name));
        service.is_some_and(|service| {
            { service.depends_on.iter() }
                .filter(|(_, dependency)| dependency.restart)
                .any(|(name, _)| there.of(name).any(|id| outdated.contains(id)))
        })
    }
}
