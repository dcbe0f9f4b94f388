use std::time::{Duration, UNIX_EPOCH};

use coop_cgroup::{CgroupPath, CpuQuota, Limits, Max};
use coop_fs::{Mount, Overlay, RootSource};
use coop_launcher::store::{ContainerId, Health, HealthCheck, Name, StackName};
use coop_launcher::supervisor::{HealthTiming, UnitSpec};
use coop_net::PortMapping;
use coop_ns::Namespaces;
use coop_ns::privileges::CapabilitySet;
use coop_seccomp::Filter;

use super::*;
use crate::plan::tests::lease;
use crate::plan::{
    Attached, Bridged, Connection, NetworkOptions, PrivilegesPlan, ProcessPlan, Resolver, Wanted,
};

fn id() -> ContainerId {
    ContainerId::parse(&"a".repeat(ContainerId::LEN)).unwrap()
}

fn plan() -> ContainerPlan {
    let ports = PortMapping::parse("127.0.0.1:8080:80").unwrap();
    ContainerPlan {
        unit: UnitSpec {
            id: id(),
            name: "shop-web-1".into(),
            depends_on: Vec::new(),
            stop_signal: 15,
            stop_grace_period: Duration::from_secs(10),
            health: Some(HealthTiming {
                interval: Duration::from_secs(30),
                timeout: Duration::from_secs(5),
                retries: 3,
                start_period: Duration::ZERO,
                start_interval: Duration::from_secs(5),
            }),
            terminal: false,
            stdin_open: false,
            restart: coop_launcher::supervisor::RestartPolicy::No,
            log: coop_launcher::logs::LogOptions::default(),
        },
        stack: StackName::parse("shop").unwrap(),
        service: Some("web".into()),
        replica: 1,
        attach: true,
        resolver: Resolver::default(),
        granted: Vec::new(),
        config_hash: "sha256:0".into(),
        image: "coop/host:latest".into(),
        labels: [("a".to_owned(), "b".to_owned())].into(),
        annotations: std::collections::BTreeMap::new(),
        root: RootSource::Overlay(Overlay {
            lowers: vec!["/images/layer".into()],
            upper: "/data/c/upper".into(),
            work: "/data/c/work".into(),
            marks: coop_fs::Marks::Trusted,
            context: None,
        }),
        root_readonly: true,
        mounts: vec![
            Mount::Proc,
            Mount::Shm {
                size: 64 << 20,
                context: None,
            },
            Mount::bind("/data/c/hosts", "/etc/hosts"),
            Mount::bind("/data/volumes/shop_site/_data", "/site"),
            Mount::bind_readonly("/srv/www", "/www"),
            Mount::tmpfs("/tmp", "size=1m").unwrap(),
        ],
        anonymous_volumes: Vec::new(),
        namespaces: Namespaces::all() - Namespaces::TIME,
        joined: std::collections::BTreeMap::new(),
        ipc_sharing: crate::plan::IpcSharing::Shareable,
        id_maps: None,
        hostname: Some("web".into()),
        domainname: None,
        sysctls: Vec::new(),
        cgroup: CgroupPath::new("coop/shop/a").unwrap(),
        cgroup_parent: None,
        system_paths_unconfined: false,
        init: false,
        limits: Limits {
            memory_max: Some(Max::At(64 << 20)),
            cpu_quota: Some(CpuQuota::cpus(0.5)),
            pids_max: Some(Max::Unlimited),
            ..Limits::default()
        },
        network: Connection::Bridge(Bridged {
            ports: ports.clone(),
            attached: vec![Attached {
                network: "shop_default".into(),
                options: NetworkOptions::default(),
                names: vec!["web".into(), "shop-web-1".into()],
                interface: "eth0".into(),
                wanted: Wanted::default(),
                shape: None,
                gw_priority: 0,
                lease: Some(lease("shop_default", &id(), ports)),
            }],
        }),
        process: ProcessPlan {
            argv: vec!["httpd".into(), "-f".into()],
            env: vec!["PATH=/bin".into()],
            cwd: "/".into(),
            user: "0:0".into(),
            terminal: false,
            stdin_open: false,
        },
        privileges: PrivilegesPlan {
            privileged: false,
            group_add: Vec::new(),
            oom_score_adj: None,
            ambient: CapabilitySet::EMPTY,
            labels: Vec::new(),
            landlock: Vec::new(),
            capabilities: CapabilitySet::DEFAULT,
            no_new_privileges: true,
            rlimits: vec!["nofile=1024:4096".parse().unwrap()],
        },
        seccomp: Filter::default(),
        health_command: Some(vec!["true".into()]),
        remove_at_exit: false,
        stack_file: None,
    }
}

fn state() -> State {
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(1_714_564_800 + seconds);
    let name = Name::parse("shop-web-1").unwrap();
    let mut state = State::new(
        id(),
        name,
        StackName::parse("shop").unwrap(),
        "coop/host".into(),
    );
    state.created = at(0);
    state.started = Some(at(1));
    state.pid = Some(812);
    state.health = Some(Health::Healthy);
    state
}

fn text(state: &State, status: Status) -> String {
    let files = Files {
        names: Path::new("/data/c"),
        log: Path::new("/data/c/log"),
        volumes: Path::new("/data/volumes"),
    };
    serde_json::to_string_pretty(&Container::new(state, status, &plan(), None, &files)).unwrap()
}

fn shown(state: &State, status: Status) -> serde_json::Value {
    serde_json::from_str(&text(state, status)).unwrap()
}

#[test]
fn a_running_container_has_dockers_shape() {
    let text = text(&state(), Status::Running);
    let (dockers, whole_plan) = text.split_once("  \"Plan\": ").unwrap();
    insta::assert_snapshot!(dockers);
    assert!(
        whole_plan.contains("\"name\": \"shop-web-1\""),
        "{whole_plan}"
    );
}

#[test]
fn an_end_that_nobody_saw_has_no_exit_code() {
    let mut state = state();
    state.set_stopped(None);
    let value = shown(&state, Status::Stopped);
    assert_eq!(value["State"]["Status"], "exited");
    assert_eq!(value["State"]["ExitCode"], serde_json::Value::Null);
    assert_eq!(value["State"]["Pid"], 0);
    assert_eq!(value["State"]["Running"], false);
}

#[test]
fn health_has_its_last_checks() {
    let mut state = state();
    state.failing_streak = 2;
    state.health_log = vec![HealthCheck {
        start: UNIX_EPOCH + Duration::from_secs(1_714_564_800),
        end: UNIX_EPOCH + Duration::from_secs(1_714_564_801),
        exit_code: 4,
        output: "not well\n".into(),
    }];
    let health = &shown(&state, Status::Running)["State"]["Health"];
    assert_eq!(
        *health,
        serde_json::json!({
            "Status": "healthy",
            "FailingStreak": 2,
            "Log": [{
                "Start": "2024-05-01T12:00:00.000000000Z",
                "End": "2024-05-01T12:00:01.000000000Z",
                "ExitCode": 4,
                "Output": "not well\n",
            }],
        })
    );
}

#[test]
fn what_has_not_happened_has_gos_zero_time() {
    let value = shown(&state(), Status::Running);
    assert_eq!(value["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
}
