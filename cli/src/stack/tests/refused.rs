//! Wrong values of the keys about a service's process and network, and what they conflict with:
//! one line of the table each.

use super::*;
use insta::assert_snapshot;

/// What the user reads for each of these, as the only keys of a service beside its image.
fn told(trials: &[&str]) -> String {
    let one = |keys: &&str| {
        let lines: Vec<String> = keys.lines().map(|line| format!("    {line}\n")).collect();
        let text = format!(
            "services:\n  db: {{image: x}}\n  web:\n    image: x\n{}",
            lines.concat()
        );
        format!("{keys}\n--\n{}\n", errors(&text))
    };
    trials.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn wrong_values() {
    assert_snapshot!(told(&[
        "annotations: 5",
        "blkio_config: {weight: 5}",
        "blkio_config: {weight_device: []}",
        "blkio_config: {device_read_bps: [{path: /dev/sda}]}",
        "blkio_config: {device_write_iops: [{path: /dev/sda, rate: many}]}",
        "cgroup: none",
        "cgroup_parent: ../other",
        "device_cgroup_rules: [\"x 1:3 r\"]",
        "devices: [null]",
        "devices: [/dev/null:/dev/null:rx]",
        "devices: [{target: /dev/null}]",
        "domainname: -x-",
        "dns: [not-an-address]",
        "extra_hosts: [db]",
        "group_add: [-1]",
        "init: maybe",
        "ipc: db",
        "mem_swappiness: 101",
        "network_mode: task:db",
        "network_mode: 'service:'",
        "oom_score_adj: 1001",
        "pid: private",
        "privileged: 2",
        "security_opt: [no-new-privileges:perhaps]",
        "security_opt: ['seccomp=']",
        "x-seccomp: strict",
        "x-seccomp: {allow: [opennat]}",
        "x-seccomp: {architectures: [x32]}",
        "x-seccomp: {allow: [ptrace], deny: [ptrace]}",
        "x-seccomp: {base: strict, refuse: [ptrace]}",
        "security_opt: ['label=disable:x']",
        "shm_size: big",
        "stdin_open: yes please",
        "sysctls: {kernel.panic: 1}",
        "sysctls: [net.core.somaxconn]",
        "sysctls: {net.core.somaxconn: [1]}",
        "tty: 1",
        "ulimits: {files: 5}",
        "ulimits: {nofile: {soft: 5}}",
        "ulimits: {nofile: {soft: 6, hard: 5}}",
        "ulimits: [nofile=5]",
        "uts: private",
        "userns_mode: keep-id:uid=x",
        "x-landlock: {read: etc, write: [tmp], exec: [/]}",
        "x-landlock: {}",
        "x-userns: {uid_map: ['0:1'], gid_map: [a]}",
        "x-userns: {}",
    ]));
}

#[test]
fn what_does_not_go_together() {
    assert_snapshot!(told(&[
        "network_mode: service:dbb",
        "network_mode: service:web",
        "network_mode: service:db\nnetworks: [default]",
        "network_mode: service:db\nports: ['8080:80']\nexpose: ['80']\nlinks: [db]",
        "network_mode: container:db\nhostname: web\ndomainname: example",
        "network_mode: service:db\ndns: 192.0.2.1\ndns_search: a\ndns_opt: [rotate]\n\
         extra_hosts: ['a:192.0.2.1']",
        "network_mode: service:db\nsysctls: {net.core.somaxconn: 5}",
        "network_mode: host\nsysctls: {net.core.somaxconn: 5}",
        "ipc: service:db\nsysctls: {kernel.shmmax: 5}\nshm_size: 1m",
        "ipc: none\nshm_size: 1m",
        "uts: host\nhostname: web\ndomainname: example",
        "privileged: true\nsecurity_opt: ['seccomp=default']",
        "privileged: true\nuserns_mode: keep-id",
        "userns_mode: host\nx-userns: {uid_map: ['0:1000:5']}",
        "pid: container:a\nx-userns: {uid_map: ['0:1000:5']}",
        "privileged: true\nx-seccomp: {deny: [ptrace]}",
        "security_opt: ['seccomp=strict']\nx-seccomp: {allow: [ptrace]}",
    ]));
}

#[test]
fn keys_that_are_refused_by_name() {
    assert_snapshot!(told(&[
        "cpu_count: 1",
        "cpu_rt_runtime: 1",
        "credential_spec: {}",
        "extends: {service: db}",
        "gpus: all",
        "isolation: hyperv",
        "oom_kill_disable: true",
        "post_start: []",
        "pre_stop: []",
        "runtime: runc",
        "storage_opt: {size: 1G}",
        "volumes_from: [db]",
    ]));
}
