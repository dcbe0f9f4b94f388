use proptest::prelude::*;

use super::*;

fn network(subnet: &str) -> Network {
    let subnet: crate::Ipv4Net = subnet.parse().unwrap();
    Network {
        name: "net".into(),
        subnet,
        gateway: subnet.first_host(),
        range: None,
        ipv6: None,
        reserved: BTreeMap::new(),
        bridge: "coop-0123456789".into(),
        internal: false,
        apart: false,
        routed: false,
        mtu: 1500,
        kept: false,
        name_port: None,
        partitions: Vec::new(),
        labels: BTreeMap::new(),
    }
}

fn ask(container: &str, address: Option<&str>, ports: &str) -> LeaseRequest {
    LeaseRequest {
        container: container.into(),
        names: vec![],
        ports: ports
            .split_whitespace()
            .flat_map(|text| PortMapping::parse(text).unwrap())
            .collect(),
        address: address.map(|text| text.parse().unwrap()),
        ..LeaseRequest::default()
    }
}

fn plan(
    network: &Network,
    existing: &[Lease],
    requests: &[LeaseRequest],
) -> Result<Vec<Lease>, Error> {
    allocate(Path::new("/run/coop/networks"), network, existing, requests)
}

fn last_bytes(leases: &[Lease]) -> Vec<u8> {
    leases
        .iter()
        .map(|lease| lease.address.octets()[3])
        .collect()
}

#[test]
fn addresses_follow_the_gateway_in_order() {
    let network = network("10.208.1.0/24");
    let leases = plan(
        &network,
        &[],
        &[ask("a", None, ""), ask("b", None, ""), ask("c", None, "")],
    )
    .unwrap();
    assert_eq!(last_bytes(&leases), [2, 3, 4]);
    assert_eq!(leases[0].mac.to_string(), "02:42:0a:d0:01:02");
}

#[test]
fn a_fixed_address_is_served_before_the_others() {
    let network = network("10.208.1.0/24");
    let requests = [ask("a", None, ""), ask("b", Some("10.208.1.2"), "")];
    assert_eq!(last_bytes(&plan(&network, &[], &requests).unwrap()), [3, 2]);
}

#[test]
fn a_fixed_address_that_is_taken_names_the_holder() {
    let network = network("10.208.1.0/24");
    let held = plan(&network, &[], &[ask("db", None, "")]).unwrap();
    let error = plan(&network, &held, &[ask("web", Some("10.208.1.2"), "")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "container web: address 10.208.1.2 of network net is leased to db"
    );
    for address in ["10.208.1.0", "10.208.1.1", "10.208.1.255", "10.208.2.2"] {
        let error = plan(&network, &[], &[ask("web", Some(address), "")]).unwrap_err();
        assert!(matches!(error, Error::AddressOutside { .. }), "{error}");
    }
}

#[test]
fn a_small_subnet_is_full_soon() {
    let network = network("10.208.1.0/30");
    assert_eq!(
        last_bytes(&plan(&network, &[], &[ask("a", None, "")]).unwrap()),
        [2]
    );
    let error = plan(&network, &[], &[ask("a", None, ""), ask("b", None, "")]).unwrap_err();
    assert!(matches!(error, Error::SubnetFull { .. }), "{error}");
}

#[test]
fn a_bridge_has_so_many_ports_and_no_more() {
    let network = network("10.208.0.0/16");
    let ask = |count: usize| -> Vec<_> {
        let names = (0..count).map(|number| format!("c{number}"));
        names.map(|name| ask(&name, None, "")).collect()
    };
    let held = plan(&network, &[], &ask(1023)).unwrap();
    // Those that have their places may ask again.
    plan(&network, &held, &ask(1023)).unwrap();
    let error = plan(&network, &held[..1022], &ask(1024)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("network net: 1024 containers, but a bridge"),
        "{error}"
    );
}

#[test]
fn one_host_port_has_one_container() {
    let network = network("10.208.1.0/24");
    let held = plan(&network, &[], &[ask("a", None, "127.0.0.1:80:80")]).unwrap();
    let error = plan(&network, &held, &[ask("b", None, "80:8080")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "container b: port 0.0.0.0:80:8080/tcp is published by container a too"
    );
    plan(
        &network,
        &held,
        &[ask("b", None, "80:8080/udp 127.0.0.2:80:80")],
    )
    .unwrap();
    // The same container may change its mind.
    plan(&network, &held, &[ask("a", None, "80:8080")]).unwrap();
}

#[test]
fn a_port_chosen_once_is_kept() {
    let network = network("10.208.1.0/24");
    let mut held = plan(&network, &[], &[ask("a", None, "80 81")]).unwrap();
    held[0].ports[0].host_port = 40001;
    held[0].ports[1].host_port = 40002;
    let again = plan(&network, &held, &[ask("a", None, "81 82")]).unwrap();
    assert_eq!(again[0].ports[0].host_port, 40002);
    assert_eq!(again[0].ports[1].host_port, 0);
}

#[test]
fn an_internal_network_publishes_nothing() {
    let network = Network {
        internal: true,
        ..network("10.208.1.0/24")
    };
    let error = plan(&network, &[], &[ask("a", None, "80:80")]).unwrap_err();
    assert!(matches!(error, Error::InternalPort { .. }), "{error}");
}

/// A few containers that come (some with a fixed address), come again, and go.
fn steps() -> impl Strategy<Value = Vec<(u8, Option<u8>, bool)>> {
    proptest::collection::vec(
        (
            0_u8..12,
            proptest::option::weighted(0.2, any::<u8>()),
            any::<bool>(),
        ),
        1..60,
    )
}

proptest! {
    #[test]
    fn no_two_containers_ever_share_an_address(steps in steps()) {
        let network = network("10.208.1.0/28");
        let mut held: Vec<Lease> = Vec::new();
        for (container, fixed, stays) in steps {
            let id = format!("c{container}");
            if !stays {
                held.retain(|lease| lease.container != id);
                continue;
            }
            let fixed = fixed.map(|byte| format!("10.208.1.{byte}"));
            let before = held.iter().find(|lease| lease.container == id).cloned();
            let Ok(new) = plan(&network, &held, &[ask(&id, fixed.as_deref(), "")]) else { continue };
            if let (Some(before), None) = (&before, &fixed) {
                prop_assert_eq!(&new[0], before);
            }
            held.retain(|lease| lease.container != id);
            held.extend(new);
            let addresses: BTreeSet<_> = held.iter().map(|lease| lease.address).collect();
            prop_assert_eq!(addresses.len(), held.len());
            for lease in &held {
                prop_assert!(network.subnet.contains(lease.address));
                prop_assert!(!addresses.contains(&network.gateway));
            }
        }
    }

    #[test]
    fn one_call_is_as_good_as_many(count in 1_usize..12) {
        let network = network("10.208.1.0/28");
        let requests: Vec<_> = (0..count).map(|n| ask(&format!("c{n}"), None, "")).collect();
        let at_once = plan(&network, &[], &requests).unwrap();
        let mut one_by_one = Vec::new();
        for request in &requests {
            let new = plan(&network, &one_by_one, std::slice::from_ref(request)).unwrap();
            one_by_one.extend(new);
        }
        prop_assert_eq!(at_once, one_by_one);
    }
}
