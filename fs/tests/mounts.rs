//! The mounts of a container, seen from inside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use coop_fs::{Mount, MountOptions};
use coop_ns::Namespaces;
use rustix::io::Errno;
use support::{Container, mount_line, mount_options, owner};

tests!(
    every_mount_has_docker_s_options,
    proc_shows_the_container_s_processes,
    shared_memory_has_a_limit,
    a_tmpfs_has_its_size_mode_and_options,
    the_host_s_sysfs_stands_in_where_the_network_is_shared,
    sources_are_opened_by_an_unprivileged_child,
    a_unified_host_gives_a_unified_container,
);

fn every_mount_has_docker_s_options() {
    Container::standard().run(|| {
        let inert = ["nosuid", "nodev", "noexec"];
        for (target, readonly, wanted) in [
            ("/proc", false, &inert[..]),
            ("/dev", false, &["nosuid"]),
            ("/dev/pts", false, &["nosuid", "noexec"]),
            ("/dev/shm", false, &inert),
            ("/dev/mqueue", false, &inert),
            ("/sys", true, &inert),
            ("/sys/fs/cgroup", true, &inert),
        ] {
            let options = mount_options(target);
            assert_eq!(options[0], if readonly { "ro" } else { "rw" }, "{target}");
            for option in wanted {
                assert!(
                    options.iter().any(|it| it == option),
                    "{target}: {options:?}"
                );
            }
        }
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let below = mountinfo
            .lines()
            .filter(|line| line.contains(" /sys/fs/cgroup/"));
        for line in below {
            assert!(line.split(' ').nth(5).unwrap().starts_with("ro,"), "{line}");
            assert_eq!(
                line.split(' ').nth(3),
                Some("/"),
                "not in the namespace: {line}"
            );
        }
    });
}

fn proc_shows_the_container_s_processes() {
    Container::standard().run(|| {
        let is_process = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        let names = fs::read_dir("/proc").unwrap();
        let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
        assert_eq!(
            names.filter(|name| is_process(name)).collect::<Vec<_>>(),
            ["1"]
        );
    });
}

fn shared_memory_has_a_limit() {
    Container::standard().run(|| fill("/dev/shm/file", 1 << 20));
}

fn a_tmpfs_has_its_size_mode_and_options() {
    let sized = Mount::Tmpfs {
        target: "/var/cache/deep".into(),
        size: Some(64 << 10),
        mode: Some(0o750),
        options: MountOptions::default(),
    };
    let words = Mount::tmpfs("/run", "size=128k,mode=700,uid=33,gid=33,exec").unwrap();
    Container::standard().with(sized).with(words).run(|| {
        fill("/var/cache/deep/file", 64 << 10);
        fill("/run/file", 128 << 10);
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("/var/cache/deep"), mode("/run")), (0o750, 0o700));
        assert_eq!(owner("/run"), (33, 33));
        let has = |target, option: &str| mount_options(target).iter().any(|it| it == option);
        assert!(has("/var/cache/deep", "noexec") && !has("/run", "noexec"));
        assert!(has("/run", "nosuid") && has("/run", "nodev"));
    });
}

fn fill(path: &str, limit: u64) {
    let mut file = File::create(path).unwrap();
    let error = (0..1024)
        .find_map(|_| file.write_all(&[1; 4096]).err())
        .unwrap();
    assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    assert_eq!(file.metadata().unwrap().len(), limit);
}

fn the_host_s_sysfs_stands_in_where_the_network_is_shared() {
    let mut container = Container::standard();
    container.namespaces -= Namespaces::NET;
    container.run(|| {
        assert_eq!(mount_options("/sys")[0], "ro");
        assert!(fs::exists("/sys/class/net/lo").unwrap());
        assert_eq!(fs::read_dir("/sys/firmware").unwrap().count(), 0);
    });
}

fn sources_are_opened_by_an_unprivileged_child() {
    let mut container = Container::standard();
    let mode = PermissionsExt::from_mode(0o755);
    fs::set_permissions(container.outside(""), mode).unwrap();
    let source = container.outside("source");
    fs::write(&source, "x").unwrap();
    container.defer = true;
    container
        .with(Mount::bind_readonly(&source, "/etc/source"))
        .run(|| {
            assert_eq!(fs::read("/etc/source").unwrap(), b"x");
            assert!(fs::write("/etc/source", "y").is_err());
            let mut buffer = [1; 4];
            File::open("/dev/zero")
                .unwrap()
                .read_exact(&mut buffer)
                .unwrap();
            assert_eq!(buffer, [0; 4]);
            assert_eq!(fs::read("/dev/null").unwrap(), b"");
            assert_eq!(mount_options("/sys/fs/cgroup")[0], "ro");
        });
}

fn a_unified_host_gives_a_unified_container() {
    support::in_own_mounts(Namespaces::MOUNT, || {
        if !mount_line("/sys/fs/cgroup").contains(" - cgroup2 ") {
            let flags = rustix::mount::MountFlags::empty();
            rustix::mount::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, c"").unwrap();
        }
        Container::standard().run(|| {
            assert!(mount_line("/sys/fs/cgroup").contains(" - cgroup2 cgroup2 "));
            assert_eq!(mount_options("/sys/fs/cgroup")[0], "ro");
            assert!(fs::exists("/sys/fs/cgroup/cgroup.procs").unwrap());
        });
    });
}
