//! Published ports that are taken: an error before anything is made.

use anyhow::Result;
use coop_net::Error;

use crate::load::Located;
use crate::plan::{Connection, Draft, StackPlan};
use crate::stack::{Diagnostic, NodePath};

/// Tries every published port of the plan. The supervisor takes them for good.
pub(crate) fn check(plan: &StackPlan) -> Result<()> {
    plan.drafts.iter().try_for_each(check_container)
}

fn check_container(draft: &Draft) -> Result<()> {
    let Connection::Bridge { ports, .. } = &draft.plan.network else {
        return Ok(());
    };
    for port in ports.iter().filter(|port| port.host_port != 0) {
        if let Err(error) = coop_net::reserve(std::slice::from_ref(port)) {
            return Err(explain(draft, port.host_port, error));
        }
    }
    Ok(())
}

fn explain(draft: &Draft, port: u16, error: Error) -> anyhow::Error {
    let name = draft
        .plan
        .service
        .as_deref()
        .unwrap_or(&draft.plan.unit.name);
    let Error::PortInUse { holder, .. } = &error else {
        return anyhow::Error::from(error).context(name.to_owned());
    };
    let message = format!("{name}: cannot publish port {port}: address already in use");
    let path = NodePath::service(name).key("ports");
    let other = port.checked_add(1).unwrap_or(1024);
    let mut diagnostic = Diagnostic::at(path, message)
        .help(format!("stop it, or publish another port, such as {other}"));
    if let Some(holder) = holder {
        diagnostic = diagnostic.note(format!("held by {holder}"));
    }
    if draft.plan.service.is_some() {
        return Located(diagnostic).into();
    }
    let held = holder
        .as_ref()
        .map(|holder| format!("\n  held by {holder}"))
        .unwrap_or_default();
    anyhow::anyhow!(
        "{}{held}\n  help: {}",
        diagnostic.message,
        diagnostic.help.unwrap_or_default()
    )
}
