//! A stack's plan: its containers, named, in order, with what each waits for.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use coop_launcher::store::{ContainerId, Name, StackName, State};
use coop_launcher::supervisor::{Condition, Dependency};

use super::ContainerPlan;
use super::container::{Draft, Identity, RunOptions, draft};
use super::namespaces::Peers;
use crate::host::Host;
use crate::stack::{self, Service, Stack, Variables};

/// What has to be made for a stack, or for a single container.
#[derive(Debug)]
pub(crate) struct StackPlan {
    /// The stack.
    pub name: StackName,
    /// Its containers, each after those that it depends on.
    pub drafts: Vec<Draft>,
}

/// The containers of a stack that exist already: services, numbers from 1, ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Existing(HashMap<String, BTreeMap<u32, ContainerId>>);

impl Existing {
    /// Remembers a container.
    pub(crate) fn insert(&mut self, service: &str, replica: u32, id: ContainerId) {
        let replicas = self.0.entry(service.to_owned()).or_default();
        replicas.insert(replica, id);
    }

    /// Those of a stack's containers that are of a service.
    pub(crate) fn of_states(host: &Host, states: &[State]) -> Self {
        let mut existing = Self::default();
        for state in states {
            let Some(service) = &state.service else {
                continue;
            };
            // One whose plan is of another version is replaced, under its number.
            let plan = host.store.load_config::<ContainerPlan>(&state.id);
            let replica = plan.map_or_else(|_| number(state), |plan| plan.replica);
            existing.insert(service, replica, state.id.clone());
        }
        existing
    }

    /// The containers of a service, in the order of their numbers.
    pub(crate) fn of(&self, service: &str) -> impl Iterator<Item = &ContainerId> {
        self.0.get(service).into_iter().flat_map(BTreeMap::values)
    }

    /// Adds others.
    pub(crate) fn extend(&mut self, others: &Self) {
        for (service, replicas) in &others.0 {
            for (&replica, id) in replicas {
                self.insert(service, replica, id.clone());
            }
        }
    }

    /// Forgets all but these.
    pub(crate) fn retain(&mut self, ids: &[ContainerId]) {
        for replicas in self.0.values_mut() {
            replicas.retain(|_, id| ids.contains(id));
        }
    }

    /// Whether it is one of them.
    pub(crate) fn contains(&self, id: &ContainerId) -> bool {
        self.0
            .values()
            .any(|replicas| replicas.values().any(|other| other == id))
    }

    /// Those that are more than a service is to have: its highest numbers.
    pub(crate) fn surplus(&self, service: &str, wanted: u32) -> impl Iterator<Item = &ContainerId> {
        self.of(service).skip(wanted as usize)
    }

    /// The numbers that the containers of a service are to have: those that there are, the
    /// lowest first, and then the lowest that are free.
    fn numbers(&self, service: &str, wanted: u32) -> Vec<u32> {
        let wanted = wanted as usize;
        let there: Vec<u32> = { self.0.get(service).into_iter() }
            .flat_map(BTreeMap::keys)
            .copied()
            .take(wanted)
            .collect();
        let free = (1..).filter(|number| !there.contains(number));
        let mut numbers: Vec<u32> = free.take(wanted - there.len()).collect();
        numbers.extend(&there);
        numbers.sort_unstable();
        numbers
    }
}

/// The number that a container's name ends in.
fn number(state: &State) -> u32 {
    let number = state.name.as_str().rsplit('-').next();
    number.and_then(|number| number.parse().ok()).unwrap_or(1)
}

/// The containers of each service that has been planned, with their names for messages.
type Planned = HashMap<String, Vec<(ContainerId, String)>>;

/// Plans the services of `order`. Containers that exist already keep their ids, so that the
/// others can depend on them.
pub(crate) fn plan_stack(
    host: &Host,
    stack: &Stack,
    order: &[String],
    variables: &Variables,
    existing: &Existing,
) -> Result<StackPlan> {
    let name = StackName::parse(&stack.name)?;
    let mut planned = Planned::new();
    let mut drafts = Vec::with_capacity(order.len());
    for service_name in order {
        let Some(service) = stack.services.get(service_name) else {
            continue;
        };
        let numbers = existing.numbers(service_name, service.replicas());
        let several = numbers.len() > 1;
        for replica in numbers {
            let id = match { existing.0.get(service_name) }.and_then(|ids| ids.get(&replica)) {
                Some(id) => id.clone(),
                None => ContainerId::random()?,
            };
            let container = container_name(&name, service_name, service, replica)?;
            let shown = if several {
                container.to_string()
            } else {
                service_name.clone()
            };
            let replicas = planned.entry(service_name.clone()).or_default();
            replicas.push((id.clone(), shown));
            let identity = Identity {
                id,
                name: container,
                stack: &name,
                service: Some(service_name),
                replica,
            };
            let mut draft = draft(
                host,
                stack,
                service,
                &RunOptions::default(),
                variables,
                identity,
                &Peers {
                    host,
                    drafts: &drafts,
                },
            )
            .with_context(|| service_name.clone())?;
            draft.plan.unit.depends_on = dependencies(service, &planned);
            drafts.push(draft);
        }
    }
    for draft in &drafts {
        check_conditions(draft, &drafts)?;
    }
    Ok(StackPlan { name, drafts })
}

/// Only a container with a health check, its own or its image's, can ever be healthy.
fn check_conditions(draft: &Draft, drafts: &[Draft]) -> Result<()> {
    for dependency in &draft.plan.unit.depends_on {
        let needed = dependency.condition == Condition::ServiceHealthy;
        let checked =
            |other: &Draft| other.plan.unit.id == dependency.id && other.plan.unit.health.is_some();
        if needed && !drafts.iter().any(checked) {
            let service = draft.plan.service.as_deref().unwrap_or_default();
            let name = &dependency.name;
            let message = format!(
                "{service}: waits for {name} to be healthy, but {name} has no health check"
            );
            let path = stack::NodePath::service(service)
                .key("depends_on")
                .key(name);
            let help = format!("give {name} a healthcheck, or wait for service_started");
            return Err(
                crate::load::Located(stack::Diagnostic::at(path, message).help(help)).into(),
            );
        }
    }
    Ok(())
}

/// Plans one container that is a stack of its own.
pub(crate) fn plan_single(
    host: &Host,
    stack: &Stack,
    service: &Service,
    options: &RunOptions,
    variables: &Variables,
    name: Name,
    stack_name: &StackName,
) -> Result<StackPlan> {
    let identity = Identity {
        id: ContainerId::random()?,
        name,
        stack: stack_name,
        service: None,
        replica: 1,
    };
    let peers = Peers { host, drafts: &[] };
    let drafts = vec![draft(
        host, stack, service, options, variables, identity, &peers,
    )?];
    Ok(StackPlan {
        name: stack_name.clone(),
        drafts,
    })
}

/// The name that the service says, or compose's.
fn container_name(
    stack: &StackName,
    service_name: &str,
    service: &Service,
    replica: u32,
) -> Result<Name> {
    Ok(match &service.instances.container_name {
        Some(name) => Name::parse(name)?,
        None => Name::parse(&format!("{stack}-{service_name}-{replica}"))?,
    })
}

/// A service waits for all containers of another one.
fn dependencies(service: &Service, planned: &Planned) -> Vec<Dependency> {
    let mut all = Vec::new();
    for (name, dependency) in &service.depends_on {
        for (id, shown) in planned.get(name).into_iter().flatten() {
            all.push(Dependency {
                id: id.clone(),
                name: shown.clone(),
                condition: match dependency.condition {
                    stack::Condition::ServiceStarted => Condition::ServiceStarted,
                    stack::Condition::ServiceHealthy => Condition::ServiceHealthy,
                    stack::Condition::ServiceCompletedSuccessfully => {
                        Condition::ServiceCompletedSuccessfully
                    }
                },
                required: dependency.required,
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_gaps_and_the_highest_goes_first() {
        let mut existing = Existing::default();
        let id = |digit: &str| ContainerId::parse(&digit.repeat(64)).unwrap();
        existing.insert("web", 1, id("1"));
        existing.insert("web", 3, id("3"));
        assert_eq!(existing.numbers("web", 1), [1]);
        assert_eq!(existing.numbers("web", 2), [1, 3]);
        assert_eq!(existing.numbers("web", 4), [1, 2, 3, 4]);
        assert_eq!(existing.numbers("db", 2), [1, 2]);
        assert_eq!(existing.numbers("web", 0), [0; 0]);
        assert_eq!(existing.surplus("web", 1).collect::<Vec<_>>(), [&id("3")]);
    }
}
