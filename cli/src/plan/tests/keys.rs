//! Nothing is ignored in silence: each key changes what is planned.

use super::*;
use crate::stack::value::{BindOptions, Mount, TmpfsOptions, VolumeOptions};
use crate::stack::{
    Attachment, BlkioConfig, Dependency, Deploy, DeployedRestart, EnvFile, Grant, Grants,
    Healthcheck, Instances, Isolation, Logging, Networking, Reservations, ResourceLimits,
    Resources, Rootfs, Service, Volume,
};
use coop_net::Shape;

const SECRET: &str = "secrets: [{source: password}]";
const ON_FAILURE: &str = "deploy: {restart_policy: {condition: on-failure}}";

/// What a key is tried with: the keys of a service without it, and with it.
type Trial = (&'static str, &'static str, &'static str);

/// The trials of all fields of a type. A field without one does not compile.
macro_rules! trials {
    ($type:ident { $($field:ident: $trial:expr,)* }) => {{
        let _ = |$type { $($field: _,)* }: $type| {};
        vec![$((stringify!($field), $trial.0, $trial.1)),*]
    }};
}

/// For a key that is tried as a part of another one, or has no meaning by design.
const ELSEWHERE: (&str, &str) = ("", "");

fn assert_each_changes_the_plan(trials: Vec<Trial>) {
    let fixture = Fixture::new();
    for file in ["web.env", "password", "key"] {
        std::fs::write(fixture.path().join(file), "A=1\n").unwrap();
    }
    let planned = |keys: &str| {
        let mut draft = fixture
            .web(keys)
            .unwrap_or_else(|error| panic!("{keys}\n{error:#}"));
        // It is of the file, not of what is made.
        draft.plan.config_hash.clear();
        format!("{draft:?}")
    };
    for (field, without, with) in trials {
        if (without, with) != ELSEWHERE {
            assert_ne!(planned(without), planned(with), "{field} is ignored");
            assert_eq!(
                planned(with),
                planned(with),
                "{field} is a matter of chance"
            );
        }
    }
}

#[test]
fn each_key_of_a_service_changes_the_plan() {
    assert_each_changes_the_plan(trials!(Service {
        cap_add: ("", "cap_add: [NET_ADMIN]"),
        cap_drop: ("", "cap_drop: [CHOWN]"),
        command: ("", "command: other"),
        cpu_period: ("cpu_quota: 5000", "cpu_quota: 5000\ncpu_period: 50000"),
        cpu_quota: ("", "cpu_quota: 5000"),
        cpu_shares: ("", "cpu_shares: 512"),
        cpus: ("", "cpus: 0.5"),
        cpuset: ("", "cpuset: '0'"),
        depends_on: ("", "depends_on: [db]"),
        deploy: ("", "deploy: {resources: {limits: {cpus: 0.5}}}"),
        entrypoint: ("command: a", "command: a\nentrypoint: b"),
        env_file: ("", "env_file: web.env"),
        environment: ("", "environment: {A: b}"),
        healthcheck: ("", "healthcheck: {test: 'true'}"),
        hostname: ("", "hostname: other"),
        image: ELSEWHERE, // the integration tests run images
        labels: ("", "labels: {a: b}"),
        logging: ("", "logging: {options: {max-size: 1m}}"),
        mem_limit: ("", "mem_limit: 64m"),
        mem_reservation: ("", "mem_reservation: 64m"),
        memswap_limit: ("mem_limit: 64m", "mem_limit: 64m\nmemswap_limit: 256m"),
        network_mode: ("", "network_mode: none"),
        pids_limit: ("", "pids_limit: 10"),
        ports: ("", "ports: ['8080:80']"),
        read_only: ("", "read_only: true"),
        restart: ("", "restart: always"),
        rootfs: ("", "rootfs: {path: ./root, mode: ro}"),
        stop_grace_period: ("", "stop_grace_period: 1s"),
        stop_signal: ("", "stop_signal: SIGINT"),
        tmpfs: ("", "tmpfs: /tmp"),
        user: ("", "user: 1000:www"),
        userns_mode: ("", "userns_mode: host"),
        volumes: ("", "volumes: ['./root:/mnt']"),
        working_dir: ("", "working_dir: /srv"),
        links: ("", "links: ['db:store']"),
        grants: ELSEWHERE,
        instances: ELSEWHERE,
        networking: ELSEWHERE,
        isolation: ELSEWHERE,  // see below
        extensions: ELSEWHERE, // `x-` keys are for others
    }));
    assert_each_changes_the_plan(trials!(Grants {
        configs: ("", "configs: [site]"),
        secrets: ("", "secrets: [password]"),
    }));
    assert_each_changes_the_plan(trials!(Instances {
        attach: ("", "attach: false"),
        container_name: ("", "container_name: other"),
        platform: ELSEWHERE,    // that of this machine or an error
        profiles: ELSEWHERE,    // `up` acts on it: see the tests of the order
        pull_policy: ELSEWHERE, // images are local
        scale: ELSEWHERE,       // how many plans there are: see below
    }));
    assert_each_changes_the_plan(trials!(Networking {
        dns: ("", "dns: 192.0.2.53"),
        dns_opt: ("", "dns_opt: [rotate]"),
        dns_search: ("", "dns_search: example.org"),
        expose: ELSEWHERE, // containers reach every port of each other
        extra_hosts: ("", "extra_hosts: ['a:192.0.2.1']"),
        mac_address: ("", "mac_address: '02:00:00:00:00:01'"),
        networks: ("", "networks: [back]"),
        shape: ("", "x-net: {rate: 1mbit}"),
    }));
    assert_each_changes_the_plan(trials!(Shape {
        rate: ("", "x-net: {rate: 1mbit}"),
        delay: ("", "x-net: {delay: 20ms}"),
        jitter: ("x-net: {delay: 20ms}", "x-net: {delay: 20ms, jitter: 5ms}"),
        loss: ("", "x-net: {loss: 1%}"),
    }));
    assert_each_changes_the_plan(trials!(Attachment {
        aliases: ("networks: {back: }", "networks: {back: {aliases: [www]}}"),
        gw_priority: ("networks: {back: }", "networks: {back: {gw_priority: 1}}"),
        interface_name: (
            "networks: {back: }",
            "networks: {back: {interface_name: lan}}"
        ),
        ipv4_address: (
            "networks: {back: }",
            "networks: {back: {ipv4_address: 10.9.0.9}}"
        ),
        ipv6_address: (
            "networks: {back: }",
            "networks: {back: {ipv6_address: 'fd00::9'}}"
        ),
        link_local_ips: (
            "networks: {back: }",
            "networks: {back: {link_local_ips: [169.254.9.9]}}"
        ),
        mac_address: (
            "networks: {back: }",
            "networks: {back: {mac_address: '02:00:00:00:00:01'}}"
        ),
        priority: (
            "networks: {back: , default: }",
            "networks: {back: , default: {priority: 1}}"
        ),
        shape: (
            "networks: {back: }",
            "networks: {back: {x-net: {loss: 1%}}}"
        ),
    }));
    assert_each_changes_the_plan(trials!(Grant {
        source: (SECRET, "secrets: [{source: key}]"),
        target: (SECRET, "secrets: [{source: password, target: other}]"),
        uid: (SECRET, "secrets: [{source: password, uid: '7'}]"),
        gid: (SECRET, "secrets: [{source: password, gid: '7'}]"),
        mode: (SECRET, "secrets: [{source: password, mode: 0o400}]"),
    }));
}

#[test]
fn each_key_about_the_process_changes_the_plan() {
    assert_each_changes_the_plan(trials!(Isolation {
        annotations: ("", "annotations: {a: b}"),
        blkio_config: ("", "blkio_config: {weight: 300}"),
        cgroup: ("", "cgroup: host"),
        cgroup_parent: ("", "cgroup_parent: /batch"),
        device_cgroup_rules: ("", "device_cgroup_rules: ['c 1:3 r']"),
        devices: ("", "devices: [/dev/null:/dev/nothing:r]"),
        domainname: ("", "domainname: example"),
        group_add: ("", "group_add: [5, audio]"),
        id_maps: ELSEWHERE, // see the tests of isolation
        init: ("", "init: true"),
        ipc: ("", "ipc: service:db"),
        label_file: ("", "label_file: web.env"),
        landlock: ("", "x-landlock: {read: [/]}"),
        mem_swappiness: ("", "mem_swappiness: 5"),
        oom_score_adj: ("", "oom_score_adj: -5"),
        pid: ("", "pid: service:db"),
        privileged: ("", "privileged: true"),
        security_opt: ("", "security_opt: ['no-new-privileges:false']"),
        shm_size: ("", "shm_size: 1m"),
        stdin_open: ("", "stdin_open: true"),
        sysctls: ("", "sysctls: {net.core.somaxconn: 5}"),
        tty: ("", "tty: true"),
        ulimits: ("", "ulimits: {nofile: 64}"),
        uts: ("", "uts: host"),
        seccomp: ("", "x-seccomp: {deny: [mkdir]}"),
    }));
    // The rates need a block device.
    assert_each_changes_the_plan(trials!(BlkioConfig {
        weight: ("", "blkio_config: {weight: 300}"),
        device_read_bps: ELSEWHERE,
        device_read_iops: ELSEWHERE,
        device_write_bps: ELSEWHERE,
        device_write_iops: ELSEWHERE,
    }));
}

#[test]
fn each_key_of_what_a_service_holds_changes_the_plan() {
    const CHECK: &str = "healthcheck: {test: 'true'}";
    const STARTED: &str = "depends_on: [db]";
    assert_each_changes_the_plan(trials!(Healthcheck {
        disable: (CHECK, "healthcheck: {test: 'true', disable: true}"),
        interval: (CHECK, "healthcheck: {test: 'true', interval: 7s}"),
        retries: (CHECK, "healthcheck: {test: 'true', retries: 7}"),
        start_interval: (CHECK, "healthcheck: {test: 'true', start_interval: 7s}"),
        start_period: (CHECK, "healthcheck: {test: 'true', start_period: 7s}"),
        test: (CHECK, "healthcheck: {test: 'false'}"),
        timeout: (CHECK, "healthcheck: {test: 'true', timeout: 7s}"),
    }));
    assert_each_changes_the_plan(trials!(Dependency {
        condition: (STARTED, "depends_on: {db: {condition: service_healthy}}"),
        required: (
            STARTED,
            "depends_on: {db: {condition: service_started, required: false}}"
        ),
        restart: ELSEWHERE, // `up` acts on it, not the container
    }));
    assert_each_changes_the_plan(trials!(EnvFile {
        path: ("", "env_file: web.env"),
        required: ELSEWHERE, // an error or none: see below
    }));
    assert_each_changes_the_plan(trials!(Rootfs {
        path: ("rootfs: ./root", "rootfs: ."),
        mode: ("rootfs: ./root", "rootfs: {path: ./root, mode: rw}"),
    }));
    assert_each_changes_the_plan(trials!(Deploy {
        replicas: ELSEWHERE, // how many plans there are: see below
        resources: ELSEWHERE,
        restart_policy: ("", "deploy: {restart_policy: {}}"),
    }));
    assert_each_changes_the_plan(trials!(DeployedRestart {
        condition: (ON_FAILURE, "deploy: {restart_policy: {condition: any}}"),
        max_attempts: (
            ON_FAILURE,
            "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}"
        ),
    }));
    assert_each_changes_the_plan(trials!(Logging {
        driver: ("", "logging: {driver: none}"),
        max_size: ("", "logging: {options: {max-size: 10m}}"),
        max_file: ("", "logging: {options: {max-file: 3}}"),
    }));
    assert_each_changes_the_plan(trials!(Resources {
        limits: ("", "deploy: {resources: {limits: {memory: 1g}}}"),
        reservations: ("", "deploy: {resources: {reservations: {memory: 1g}}}"),
    }));
    assert_each_changes_the_plan(trials!(ResourceLimits {
        cpus: ("", "deploy: {resources: {limits: {cpus: 2}}}"),
        memory: ("", "deploy: {resources: {limits: {memory: 1g}}}"),
        pids: ("", "deploy: {resources: {limits: {pids: 7}}}"),
    }));
    assert_each_changes_the_plan(trials!(Reservations {
        memory: ("", "deploy: {resources: {reservations: {memory: 1g}}}"),
    }));
}

#[test]
fn each_key_of_a_mount_changes_the_plan() {
    const BIND: &str = "volumes: [{type: bind, source: ./root, target: /mnt}]";
    const VOLUME: &str = "volumes: [{type: volume, source: data, target: /mnt}]";
    const TMPFS: &str = "volumes: [{type: tmpfs, target: /mnt}]";
    assert_each_changes_the_plan(trials!(Mount {
        kind: (BIND, VOLUME),
        target: (
            BIND,
            "volumes: [{type: bind, source: ./root, target: /srv}]"
        ),
        read_only: (
            BIND,
            "volumes: [{type: bind, source: ./root, target: /mnt, read_only: true}]"
        ),
    }));
    assert_each_changes_the_plan(vec![
        (
            "read_only",
            VOLUME,
            "volumes: [{type: volume, source: data, target: /mnt, read_only: true}]",
        ),
        (
            "read_only",
            TMPFS,
            "volumes: [{type: tmpfs, target: /mnt, read_only: true}]",
        ),
    ]);
    assert_each_changes_the_plan(trials!(BindOptions {
        propagation: (
            BIND,
            "volumes: [{type: bind, source: ./root, target: /mnt, bind: {propagation: rslave}}]"
        ),
        create_host_path: ELSEWHERE, // an error or none: see below
        selinux: (
            BIND,
            "volumes: [{type: bind, source: ./root, target: /mnt, bind: {selinux: z}}]"
        ),
    }));
    assert_each_changes_the_plan(trials!(VolumeOptions {
        nocopy: (
            VOLUME,
            "volumes: [{type: volume, source: data, target: /mnt, volume: {nocopy: true}}]"
        ),
    }));
    assert_each_changes_the_plan(trials!(TmpfsOptions {
        size: (
            TMPFS,
            "volumes: [{type: tmpfs, target: /mnt, tmpfs: {size: 1m}}]"
        ),
        mode: (
            TMPFS,
            "volumes: [{type: tmpfs, target: /mnt, tmpfs: {mode: 0o700}}]"
        ),
        uid: ("tmpfs: /mnt", "tmpfs: '/mnt:uid=7'"),
        gid: ("tmpfs: /mnt", "tmpfs: '/mnt:gid=7'"),
        exec: ("tmpfs: /mnt", "tmpfs: '/mnt:exec'"),
        read_only: ("tmpfs: /mnt", "tmpfs: '/mnt:ro'"),
    }));
}

#[test]
fn each_key_of_a_volume_changes_the_plan() {
    let fixture = Fixture::new();
    let planned = |volume: &str| {
        let file = web("volumes: ['data:/mnt']").replace("data: }", &format!("data: {volume}}}"));
        format!("{:?}", fixture.plan(&file).unwrap().drafts[0].volumes)
    };
    let _ = |Volume {
                 name: _,
                 external: _,
                 labels: _,
             }: Volume| {};
    assert_ne!(planned(""), planned("{name: other}"));
    assert_ne!(planned(""), planned("{external: true}"));
    assert_ne!(planned(""), planned("{labels: {a: b}}"));
}

#[test]
fn what_need_not_be_there_may_be_missing() {
    let fixture = Fixture::new();
    let refused = |keys: &str| fixture.web(keys).unwrap_err().to_string();
    refused("env_file: no.env");
    fixture
        .web("env_file: [{path: no.env, required: false}]")
        .unwrap();
    refused("volumes: [{type: bind, source: ./no, target: /mnt}]");
    let made = fixture
        .web("volumes: [{type: bind, source: ./no, target: /mnt, bind: {create_host_path: true}}]")
        .unwrap();
    assert_eq!(made.host_directories, [fixture.path().join("no")]);
}

#[test]
fn a_service_has_as_many_containers_as_it_says() {
    let fixture = Fixture::new();
    let names = |keys: &str| {
        let plan = fixture.plan(&web(keys)).unwrap();
        let of_web = |draft: &&Draft| draft.plan.service.as_deref() == Some("web");
        let web = plan.drafts.iter().filter(of_web);
        web.map(|draft| draft.plan.unit.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["shop-web-1"]);
    assert_eq!(names("scale: 2"), ["shop-web-1", "shop-web-2"]);
    assert_eq!(names("deploy: {replicas: 3}").len(), 3);
    assert_eq!(names("scale: 0"), [""; 0]);
}
