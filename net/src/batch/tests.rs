use super::*;
use crate::{Mac, PortMapping};

fn lease(mtu: u32, ports: &str) -> Lease {
    let address = std::net::Ipv4Addr::new(10, 208, 1, 2);
    Lease {
        network: "shop".into(),
        container: "web".into(),
        names: vec![],
        address,
        prefix_len: 24,
        gateway: [10, 208, 1, 1].into(),
        internal: false,
        mac: Mac::for_address(address),
        mtu,
        bridge: "coop-0123456789".into(),
        host_interface: "coopv0123456789".into(),
        interface: "eth0".into(),
        ports: ports
            .split_whitespace()
            .flat_map(|text| PortMapping::parse(text).unwrap())
            .collect(),
        ipv6: None,
        gw_priority: 0,
        link_local: vec![],
        apart: false,
    }
}

fn pid() -> Pid {
    Pid::from_raw(4711).unwrap()
}

#[test]
fn one_command_makes_a_link() {
    insta::assert_snapshot!(
        commands(&lease(1500, ""), pid(), false),
        @"link add name coopv0123456789 up master coop-0123456789 type veth peer name eth0 address 02:42:0a:d0:01:02 netns 4711"
    );
}

#[test]
fn a_stale_link_an_mtu_and_a_port_take_more() {
    insta::assert_snapshot!(commands(&lease(1400, "8080:80"), pid(), true), @r"
    link del dev coopv0123456789
    link add name coopv0123456789 up mtu 1400 master coop-0123456789 type veth peer name eth0 address 02:42:0a:d0:01:02 mtu 1400 netns 4711
    link set dev coopv0123456789 type bridge_slave hairpin on
    ");
}

#[test]
fn a_failed_line_is_the_container_s() {
    let lines: Vec<Line> = ["a", "b"]
        .iter()
        .map(|id| Line {
            container: (*id).to_owned(),
            interface: format!("coopv{id}"),
        })
        .collect();
    let error = explain(
        &lines,
        "RTNETLINK answers: File exists\nCommand failed -:2\n",
    );
    assert_eq!(
        error.to_string(),
        "container b: ip could not make the link coopvb: RTNETLINK answers: File exists"
    );
    let error = explain(&lines, "exit status: 127, and not a word");
    assert_eq!(
        error.to_string(),
        "ip failed: exit status: 127, and not a word"
    );
    assert!(matches!(
        explain(&lines, "Command failed -:9"),
        Error::Links { .. }
    ));
    assert!(matches!(
        explain(&lines, "Command failed -:0"),
        Error::Links { .. }
    ));
}
