use super::*;
use crate::{LeaseRequest, PortMapping};

fn network(internal: bool) -> Network {
    let subnet: crate::Ipv4Net = "10.208.1.0/24".parse().unwrap();
    Network {
        name: "shop".into(),
        subnet,
        gateway: subnet.first_host(),
        range: None,
        ipv6: None,
        reserved: std::collections::BTreeMap::new(),
        bridge: "coop-0123456789".into(),
        internal,
        apart: false,
        routed: false,
        mtu: 1500,
        kept: false,
        name_port: None,
        partitions: Vec::new(),
        labels: std::collections::BTreeMap::new(),
    }
}

fn leases(network: &Network, ports: &[&str]) -> Vec<Lease> {
    let requests: Vec<_> = ports
        .iter()
        .enumerate()
        .map(|(n, ports)| LeaseRequest {
            container: format!("c{n}"),
            ports: ports
                .split_whitespace()
                .flat_map(|text| PortMapping::parse(text).unwrap())
                .collect(),
            ..LeaseRequest::default()
        })
        .collect();
    crate::allocate::allocate(
        std::path::Path::new("/run/coop/networks"),
        network,
        &[],
        &requests,
    )
    .unwrap()
}

fn rendered(network: &Network, ports: &[&str], opened: &Opened, departed: &Departed) -> Ruleset {
    let leases = leases(network, ports);
    render("coop_0123456789", network, &leases, opened, departed)
}

fn text(network: &Network, ports: &[&str], opened: &Opened) -> String {
    rendered(network, ports, opened, &Departed::default()).replacement()
}

#[test]
fn a_network_without_published_ports() {
    insta::assert_snapshot!(text(&network(false), &["", ""], &Opened::default()));
}

#[test]
fn a_name_server_gets_the_questions_before_anyone_who_publishes_its_port() {
    let ipv6 = crate::Ipv6Subnet {
        subnet: "fd00:1::/64".parse().unwrap(),
        gateway: "fd00:1::1".parse().unwrap(),
        range: None,
    };
    let network = Network {
        name_port: Some(20053),
        ipv6: Some(ipv6),
        ..network(true)
    };
    insta::assert_snapshot!(text(&network, &[""], &Opened::default()));
}

#[test]
fn published_ports_and_an_interface_that_was_opened() {
    let ports = ["8080:80 127.0.0.1:5432:5432", "5353:53/udp"];
    insta::assert_snapshot!(text(
        &network(false),
        &ports,
        &Opened {
            v4: vec!["eth0".into(), "wlan0".into()],
            ..Opened::default()
        }
    ));
}

#[test]
fn an_internal_network() {
    insta::assert_snapshot!(text(&network(true), &[""], &Opened::default()));
}

#[test]
fn the_mark_changes_with_the_content_and_only_then() {
    let network = network(false);
    let none = (Opened::default(), Departed::default());
    let render = |ports: &[&str]| rendered(&network, ports, &none.0, &none.1).mark;
    assert_eq!(render(&[""]), render(&["", "", ""]));
    assert_ne!(render(&[""]), render(&["80:80"]));
    assert_ne!(render(&["80:80"]), render(&["81:80"]));
}

#[test]
fn an_interface_with_a_name_that_nft_would_read_otherwise_is_not_named() {
    for name in ["", "eth*", "a\"b", "a b", "a\\b", "ü"] {
        assert!(!can_name(name), "{name}");
    }
    assert!(can_name("enp0s31f6.100@x"));
}
