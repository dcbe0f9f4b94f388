//! A stack's plan: its containers, named, in order, with what each waits for.

use std::collections::HashMap;

use anyhow::{Context, Result};
use coop_launcher::store::{ContainerId, Name, StackName};
use coop_launcher::supervisor::{Condition, Dependency};

use super::container::{Draft, Identity, RunOptions, draft};
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

/// Plans the services of `order`. Containers that exist already keep their ids, so that the
/// others can depend on them.
pub(crate) fn plan_stack(
    host: &Host,
    stack: &Stack,
    order: &[String],
    variables: &Variables,
    existing: &HashMap<String, ContainerId>,
) -> Result<StackPlan> {
    let name = StackName::parse(&stack.name)?;
    let mut ids = HashMap::new();
    let mut drafts = Vec::with_capacity(order.len());
    for service_name in order {
        let Some(service) = stack.services.get(service_name) else {
            continue;
        };
        let id = match existing.get(service_name) {
            Some(id) => id.clone(),
            None => ContainerId::random()?,
        };
        let container = container_name(&name, service_name)?;
        ids.insert(service_name.clone(), (id.clone(), container.to_string()));
        let identity = Identity {
            id,
            name: container,
            stack: &name,
            service: Some(service_name),
        };
        let mut draft = draft(
            host,
            stack,
            service,
            &RunOptions::default(),
            variables,
            identity,
        )
        .with_context(|| service_name.clone())?;
        draft.plan.unit.depends_on = dependencies(service, &ids);
        drafts.push(draft);
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
) -> Result<StackPlan> {
    let stack_name = StackName::from(&name);
    let identity = Identity {
        id: ContainerId::random()?,
        name,
        stack: &stack_name,
        service: None,
    };
    let drafts = vec![draft(host, stack, service, options, variables, identity)?];
    Ok(StackPlan {
        name: stack_name,
        drafts,
    })
}

/// Compose's name of a service's first container.
fn container_name(stack: &StackName, service: &str) -> Result<Name> {
    Ok(Name::parse(&format!("{stack}-{service}-1"))?)
}

fn dependencies(
    service: &Service,
    ids: &HashMap<String, (ContainerId, String)>,
) -> Vec<Dependency> {
    let of = |(name, dependency): (&String, &stack::Dependency)| {
        let (id, _) = ids.get(name)?;
        Some(Dependency {
            id: id.clone(),
            name: name.clone(),
            condition: match dependency.condition {
                stack::Condition::ServiceStarted => Condition::ServiceStarted,
                stack::Condition::ServiceHealthy => Condition::ServiceHealthy,
                stack::Condition::ServiceCompletedSuccessfully => {
                    Condition::ServiceCompletedSuccessfully
                }
            },
            required: dependency.required,
        })
    };
    service.depends_on.iter().filter_map(of).collect()
}
