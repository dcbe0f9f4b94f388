//! `coop port`: where the ports of a container are published.

use anyhow::{Context, Result, bail};
use coop_net::{PortMapping, Protocol};

use crate::args::{PortArgs, StackArgs};
use crate::host::Host;
use crate::load;
use crate::plan::ContainerPlan;
use crate::ui::lines;

/// `coop port`.
pub(super) fn port(host: &Host, stack: &StackArgs, args: &PortArgs) -> Result<i32> {
    let only = args.port.as_deref().map(wanted).transpose()?;
    let state = load::resolve_replica(host, stack, &args.name, args.replica)?;
    let plan: ContainerPlan = host.store.load_config(&state.id)?;
    // Without a process, nobody is reached through them.
    let mut ports = if state.init_alive() {
        plan.network.published().to_vec()
    } else {
        Vec::new()
    };
    ports.sort_by_key(|port| (port.container_port, port.protocol, port.host_port));
    let Some((number, protocol)) = only else {
        let all = ports.iter().map(|port| {
            let (inside, outside) = (port.container_port, outside(port));
            format!("{inside}/{} -> {outside}", port.protocol)
        });
        crate::ui::print(&lines(all))?;
        return Ok(0);
    };
    ports.retain(|port| port.container_port == number && port.protocol == protocol);
    if ports.is_empty() {
        bail!(
            "no public port '{number}/{protocol}' published for {}",
            state.name
        );
    }
    crate::ui::print(&lines(ports.iter().map(outside)))?;
    Ok(0)
}

/// `80`, `80/tcp`, `53/udp`.
fn wanted(text: &str) -> Result<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let Ok(protocol) = protocol.parse() else {
        bail!("invalid port {text}: no such protocol: {protocol}\n  help: write tcp, udp or sctp")
    };
    let number = { number.parse().ok() }
        .filter(|&number| number > 0)
        .with_context(|| {
            format!("invalid port {text}\n  help: write a port of the container such as 80/tcp")
        })?;
    Ok((number, protocol))
}

fn outside(port: &PortMapping) -> String {
    std::net::SocketAddr::new(port.address(), port.host_port).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_of_tcp_unless_it_says_udp() {
        assert_eq!(wanted("80").unwrap(), (80, Protocol::Tcp));
        assert_eq!(wanted("53/UDP").unwrap(), (53, Protocol::Udp));
        assert_eq!(wanted("5/sctp").unwrap(), (5, Protocol::Sctp));
        for wrong in ["0", "http", "80/icmp", "80/", "/tcp", "65536", "-1", ""] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }
}
