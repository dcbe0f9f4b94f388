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
fn what_is_added_by_name_is_for_every_user() {
    let fixture = Fixture::new();
    let ambient = |keys: &str| fixture.web(keys).unwrap().plan.privileges.ambient;
    assert!(ambient("").is_empty());
    // Docker's one word for all of them does not reach another user than root.
    assert!(ambient("cap_add: [ALL]").is_empty());
    assert_eq!(
        ambient("cap_drop: [ALL]\ncap_add: [ALL, NET_RAW]").to_string(),
        "CAP_NET_RAW"
    );
}

#[test]
fn ids_are_mapped_by_name() {
    let fixture = Fixture::new();
    let maps = |keys: &str| match fixture.web(keys).map(|draft| draft.ids) {
        Ok(Ids::Named(maps)) => maps,
        other => panic!("{keys}: {other:?}"),
    };
    let both = maps("x-userns: {uid_map: ['0:100000:10', '10:5']}");
    assert_eq!(both.uids, both.gids);
    assert_eq!(
        (both.host_uid(9), both.host_uid(10)),
        (Some(100_009), Some(5))
    );
    let own = maps("x-userns: {uid_map: ['0:100000:10'], gid_map: ['0:7:3']}");
    assert_eq!((own.host_uid(0), own.host_gid(0)), (Some(100_000), Some(7)));
    // No group beyond may ping.
    let few = fixture.web("x-userns: {gid_map: ['0:7:3']}").unwrap().plan;
    assert_eq!(few.sysctls[0].value, "0 2");
    let refused = |keys: &str| format!("{:#}", fixture.web(keys).unwrap_err());
    for (lines, why) in [
        ("['0:1000:10', '5:2000:10']", "lines 1 and 2 overlap"),
        ("['0:1000:10', '10:1009:10']", "lines 1 and 2 overlap"),
        ("['1:1000:10']", "no id 0 of the container"),
    ] {
        let error = refused(&format!("x-userns: {{uid_map: {lines}}}"));
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_label_takes_a_host_that_has_the_module() {
    let fixture = Fixture::new();
    for (option, module, is_there) in [
        (
            "apparmor=x",
            "AppArmor",
            coop_ns::privileges::apparmor_is_enabled(),
        ),
        (
            "label=type:x",
            "SELinux",
            coop_ns::privileges::selinux_is_enabled(),
        ),
    ] {
        let draft = fixture.web(&format!("security_opt: ['{option}']"));
        match draft {
            Ok(draft) => assert!(is_there && draft.plan.privileges.labels.len() == 1),
            Err(error) => {
                let error = format!("{error:#}");
                assert!(!is_there && error.contains(module), "{error}");
            }
        }
    }
    let none = fixture.web("security_opt: ['apparmor=unconfined', 'label=disable']");
    assert!(none.unwrap().plan.privileges.labels.is_empty());
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

#[test]
fn anothers_network_comes_with_its_names() {
    let fixture = Fixture::new();
    let plan = fixture
        .plan(
            "name: shop\nservices:\n  web: {rootfs: ./root, command: a, network_mode: service:db}\n  \
             db: {rootfs: ./root, command: a, hostname: store, domainname: example}\n  \
             third: {rootfs: ./root, command: a, network_mode: service:web}\n",
        )
        .unwrap();
    let of = |service: &str| {
        let is = |draft: &&Draft| draft.plan.service.as_deref() == Some(service);
        &plan.drafts.iter().find(is).unwrap().plan
    };
    let db = of("db");
    for name in ["web", "third"] {
        let plan = of(name);
        // One that joins a joiner joins the one that has it.
        assert_eq!(*plan.names_of(), db.unit.id, "{name}");
        assert!(matches!(plan.network, Connection::Container(_)), "{name}");
        assert_eq!(plan.joined[&coop_ns::Namespace::Net].id, db.unit.id);
        assert_eq!(plan.joined[&coop_ns::Namespace::User].id, db.unit.id);
        assert_eq!(plan.namespaces.to_string(), "pid uts ipc mnt cgroup");
        assert_eq!(plan.hostname.as_deref(), Some("store"));
        assert_eq!(plan.domainname.as_deref(), Some("example"));
        assert_eq!(plan.sysctls, Vec::new());
    }
    let refused = |db: &str, web: &str| {
        let text = format!(
            "services:\n  web: {{rootfs: ./root, command: a, network_mode: service:db{web}}}\n  \
             db: {{rootfs: ./root, command: a, {db}}}\n"
        );
        format!("{:#}", fixture.plan(&text).unwrap_err())
    };
    let has_hosts = refused("network_mode: host", "");
    assert!(has_hosts.contains("has the host's"), "{has_hosts}");
    let has_ids = refused("userns_mode: host", "");
    assert!(has_ids.contains("userns_mode: host"), "{has_ids}");
}
