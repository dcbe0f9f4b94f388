//! Namespaces, capabilities, names.

use coop_ns::Namespaces;
use coop_ns::privileges::{Capability, CapabilitySet};

use super::*;

#[test]
fn every_namespace_is_new_unless_it_is_shared_by_name() {
    let fixture = Fixture::new();
    let namespaces = |keys: &str| fixture.web(keys).unwrap().plan.namespaces.to_string();
    assert_eq!(namespaces(""), "user pid uts ipc net mnt cgroup");
    assert_eq!(
        namespaces("network_mode: none"),
        "user pid uts ipc net mnt cgroup"
    );
    assert_eq!(
        namespaces("network_mode: host"),
        "user pid uts ipc mnt cgroup"
    );
    assert_eq!(
        namespaces("userns_mode: host"),
        "pid uts ipc net mnt cgroup"
    );
    assert_eq!(
        namespaces("userns_mode: host\nnetwork_mode: host"),
        "pid uts ipc mnt cgroup"
    );
}

#[test]
fn capabilities_are_added_and_dropped_as_docker_does() {
    let fixture = Fixture::new();
    let has = |keys: &str| fixture.web(keys).unwrap().plan.privileges.capabilities;
    let cap = |name: &str| name.parse::<Capability>().unwrap();
    let only = |names: &[&str]| {
        names
            .iter()
            .map(|name| cap(name))
            .collect::<CapabilitySet>()
    };

    assert_eq!(has(""), CapabilitySet::DEFAULT);
    let added = has("cap_add: [NET_ADMIN, cap_sys_time]");
    assert!(added.contains(cap("NET_ADMIN")) && added.contains(cap("SYS_TIME")));
    assert!(added.contains(cap("CHOWN")));
    assert!(!has("cap_drop: [CHOWN]").contains(cap("CHOWN")));
    assert_eq!(has("cap_drop: [ALL]"), CapabilitySet::EMPTY);
    assert_eq!(has("cap_add: [all]"), CapabilitySet::ALL);
    assert_eq!(
        has("cap_drop: [ALL]\ncap_add: [NET_BIND_SERVICE]"),
        only(&["NET_BIND_SERVICE"])
    );
    let mut all_but_one = CapabilitySet::ALL;
    all_but_one.remove(cap("SYS_ADMIN"));
    assert_eq!(has("cap_add: [ALL]\ncap_drop: [SYS_ADMIN]"), all_but_one);
}

#[test]
fn nothing_can_be_gained_by_execve() {
    let draft = Fixture::new().web("cap_add: [ALL]").unwrap();
    assert!(draft.plan.privileges.no_new_privileges);
}

#[test]
fn the_hosts_network_comes_with_its_name_and_its_settings() {
    let fixture = Fixture::new();
    let plan = |keys: &str| fixture.web(keys).unwrap().plan;
    let own = plan("");
    assert_eq!(own.hostname.as_deref(), Some(own.unit.id.short()));
    assert_eq!(own.sysctls.len(), 2);
    let shared = plan("network_mode: host");
    assert_eq!((shared.hostname, shared.sysctls), (None, Vec::new()));
    assert_eq!(shared.network, Connection::Host);
    let named = plan("network_mode: host\nhostname: other");
    assert_eq!(named.hostname.as_deref(), Some("other"));
    // Settings of its own network, even when that is only a loopback interface.
    assert_eq!(plan("network_mode: none").sysctls, own.sysctls);
    assert!(!own.namespaces.contains(Namespaces::TIME));
}
