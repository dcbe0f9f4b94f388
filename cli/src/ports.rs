//! Published ports that are taken: an error before anything is made.

use anyhow::Result;
use coop_net::{Error, PortMapping};

use crate::host::Host;
use crate::load::Located;
use crate::plan::{Connection, ContainerPlan, Draft, StackPlan};
use crate::rootless::network::privileged;
use crate::stack::{Diagnostic, NodePath, Stack};

/// Tries every published port of the plan. The supervisor takes them for good.
pub(crate) fn check(host: &Host, stack: &Stack, plan: &StackPlan) -> Result<()> {
    plan.drafts
        .iter()
        .try_for_each(|draft| check_container(host, stack, draft))
}

fn check_container(host: &Host, stack: &Stack, draft: &Draft) -> Result<()> {
    let Connection::Bridge(bridged) = &draft.plan.network else {
        return Ok(());
    };
    for port in &bridged.ports {
        if let Err(error) = check_port(*port) {
            return Err(explain(host, stack, draft, *port, error));
        }
    }
    Ok(())
}

/// Of a range that gives one port, one has to be free.
fn check_port(port: PortMapping) -> Result<(), Error> {
    let Some((first, last)) = port.among else {
        // Any that is free is found when it is leased.
        let given: &[_] = if port.host_port == 0 { &[] } else { &[port] };
        return coop_net::reserve(given).map(drop);
    };
    for number in first..=last {
        match coop_net::reserve(&[port.at(number)]) {
            Err(Error::PortInUse { .. }) => {}
            tried => return tried.map(drop),
        }
    }
    Err(Error::NoFreePort { mapping: port })
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
    let number = port.among.map_or(port.host_port, |(first, _)| first);
    let (message, held, help) = match (&error, port.among) {
        (Error::PortInUse { holder, .. }, _) => {
            let held = match (publisher(host, port), holder) {
                (Some(container), _) => Some(format!("published by container {container}")),
                (None, Some(holder)) => Some(format!("held by {holder}")),
                (None, None) => None,
            };
            let other = number.checked_add(1).unwrap_or(1024);
            (
                format!("{name}: cannot publish port {number}: address already in use"),
                held,
                format!("stop it, or publish another port, such as {other}"),
            )
        }
        (Error::NoFreePort { .. }, Some((first, last))) => (
            format!("{name}: cannot publish a port of {first}-{last}: all are in use"),
            None,
            "stop what has one of them, or publish a larger range".to_owned(),
        ),
        _ => {
            let error = match host.rootless {
                Some(_) => privileged(number, error),
                None => error.into(),
            };
            return error.context(name.to_owned());
        }
    };
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
    let publishes = |plan: &ContainerPlan| {
        let mut taken = plan.network.leases().flat_map(|lease| &lease.ports);
        taken.any(|taken| taken.conflicts(&port))
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use coop_launcher::store::{Name, StackName, State};
    use coop_net::Holder;
    use insta::assert_snapshot;

    use super::*;
    use crate::plan::RunOptions;
    use crate::plan::tests::{Fixture, lease};

    const FILE: &str = "name: shop
services:
  web:
    rootfs: ./root
    command: serve
    ports:
      - 9000
      - 8079-8081:79-81
";

    fn in_use(holder: Option<Holder>) -> Error {
        Error::PortInUse {
            port: 8080,
            protocol: coop_net::Protocol::Tcp,
            holder,
        }
    }

    fn nginx() -> Holder {
        Holder {
            pid: 812,
            command: "nginx".into(),
            address: SocketAddr::from(([0, 0, 0, 0], 8080)),
        }
    }

    /// What the user reads when port 8080 of `web` is taken.
    fn message(fixture: &Fixture, error: Error) -> String {
        let loaded = fixture.load(FILE).unwrap();
        let plan = fixture.plan(FILE).unwrap();
        let port = coop_net::PortMapping::parse("8080:80").unwrap()[0];
        let error = explain(&fixture.host, &loaded.stack, &plan.drafts[0], port, error);
        format!("{:#}", loaded.explain::<()>(Err(error)).unwrap_err())
    }

    #[test]
    fn a_port_that_is_taken_is_shown_in_the_file_with_who_has_it() {
        assert_snapshot!(message(&Fixture::new(), in_use(Some(nginx()))));
        assert_snapshot!("nobody_known", message(&Fixture::new(), in_use(None)));
    }

    #[test]
    fn a_range_of_which_none_is_free_is_shown_in_the_file() {
        let fixture = Fixture::new();
        let file = FILE.replace("8079-8081:79-81", "8079-8081:80");
        let loaded = fixture.load(&file).unwrap();
        let plan = fixture.plan(&file).unwrap();
        let mapping = coop_net::PortMapping::parse("8079-8081:80").unwrap()[0];
        let error = Error::NoFreePort { mapping };
        let error = explain(
            &fixture.host,
            &loaded.stack,
            &plan.drafts[0],
            mapping,
            error,
        );
        assert_snapshot!(format!(
            "{:#}",
            loaded.explain::<()>(Err(error)).unwrap_err()
        ));
    }

    #[test]
    fn a_container_of_ours_is_known_by_its_name() {
        let fixture = Fixture::new();
        let mut plan = fixture.plan(FILE).unwrap().drafts.remove(0).plan;
        let ports = plan.network.published().to_vec();
        let lease = lease("other_default", &plan.unit.id, ports);
        plan.network.attached_mut()[0].lease = Some(lease);
        let name = Name::parse("other-web-1").unwrap();
        let mut state = State::new(plan.unit.id.clone(), name, plan.stack.clone(), "x".into());
        state.set_process(rustix::process::getpid()).unwrap();
        fixture.host.store.create(&state, &plan).unwrap();
        assert_snapshot!(message(&fixture, in_use(Some(nginx()))));
    }

    #[test]
    fn of_a_single_container_there_is_no_file_to_show() {
        let fixture = Fixture::new();
        let loaded = fixture.load(FILE).unwrap();
        let plan = crate::plan::plan_single(
            &fixture.host,
            &loaded.stack,
            &loaded.stack.services["web"],
            &RunOptions::default(),
            &loaded.variables,
            Name::parse("box").unwrap(),
            &StackName::parse("box").unwrap(),
        )
        .unwrap();
        let port = coop_net::PortMapping::parse("8080:80").unwrap()[0];
        let error = explain(
            &fixture.host,
            &Stack::default(),
            &plan.drafts[0],
            port,
            in_use(Some(nginx())),
        );
        assert_snapshot!(format!("{error:#}"));
    }

    #[test]
    fn ports_that_are_free_are_no_error() {
        let fixture = Fixture::new();
        // Port 0 is any: there is nothing to try.
        let file = FILE.replace("      - 8079-8081:79-81\n", "");
        let plan = fixture.plan(&file).unwrap();
        check(&fixture.host, &Stack::default(), &plan).unwrap();
    }
}
