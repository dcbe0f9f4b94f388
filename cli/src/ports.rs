//! Published ports that are taken: an error before anything is made.

use anyhow::Result;
use coop_net::{Error, PortMapping};

use crate::host::Host;
use crate::load::Located;
use crate::plan::{Connection, ContainerPlan, Draft, StackPlan};
use crate::stack::{Diagnostic, NodePath, Stack};

/// Tries every published port of the plan. The supervisor takes them for good.
pub(crate) fn check(host: &Host, stack: &Stack, plan: &StackPlan) -> Result<()> {
    plan.drafts
        .iter()
        .try_for_each(|draft| check_container(host, stack, draft))
}

fn check_container(host: &Host, stack: &Stack, draft: &Draft) -> Result<()> {
    let Connection::Bridge { ports, .. } = &draft.plan.network else {
        return Ok(());
    };
    for port in ports.iter().filter(|port| port.host_port != 0) {
        if let Err(error) = coop_net::reserve(std::slice::from_ref(port)) {
            return Err(explain(host, stack, draft, *port, error));
        }
    }
    Ok(())
}

fn explain(
    host: &Host,
    stack: &Stack,
    draft: &Draft,
    port: PortMapping,
    error: Error,
) -> anyhow::Error {
    let name = draft
        .plan
        .service
        .as_deref()
        .unwrap_or(&draft.plan.unit.name);
    let Error::PortInUse { holder, .. } = &error else {
        return anyhow::Error::from(error).context(name.to_owned());
    };
    let number = port.host_port;
    let message = format!("{name}: cannot publish port {number}: address already in use");
    let held = match (publisher(host, port), holder) {
        (Some(container), _) => Some(format!("published by container {container}")),
        (None, Some(holder)) => Some(format!("held by {holder}")),
        (None, None) => None,
    };
    let other = number.checked_add(1).unwrap_or(1024);
    let help = format!("stop it, or publish another port, such as {other}");
    if draft.plan.service.is_none() {
        let held = held.map(|held| format!("\n  {held}")).unwrap_or_default();
        return anyhow::anyhow!("{message}{held}\n  help: {help}");
    }
    let lines = stack
        .services
        .get(name)
        .map(|service| service.ports.as_slice())
        .unwrap_or_default();
    let ports = NodePath::service(name).key("ports");
    let path = match lines
        .iter()
        .position(|line| line.mappings().contains(&port))
    {
        Some(line) => ports.index(line),
        None => ports,
    };
    let diagnostic = Diagnostic::at(path, message).help(help);
    Located(match held {
        Some(held) => diagnostic.note(held),
        None => diagnostic,
    })
    .into()
}

/// The container of ours that publishes the port.
fn publisher(host: &Host, port: PortMapping) -> Option<String> {
    let publishes = |plan: &ContainerPlan| match &plan.network {
        Connection::Bridge {
            lease: Some(lease), ..
        } => lease.ports.iter().any(|taken| taken.conflicts(&port)),
        _ => false,
    };
    let states = host.store.list().ok()?;
    states
        .into_iter()
        .filter(coop_launcher::store::State::init_alive)
        .find_map(|state| {
            let plan = host.store.load_config(&state.id).ok()?;
            publishes(&plan).then(|| state.name.to_string())
        })
}
