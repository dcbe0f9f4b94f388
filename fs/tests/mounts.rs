//! The mounts of a container, seen from inside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use coop_fs::{Device, DeviceKind, DeviceNode, Mount, MountOptions, RootSettings, Sysctl};
use coop_ns::Namespaces;
use rustix::io::Errno;
use support::{Container, HOST_BASE, mount_line, mount_options, owner};

tests!(
    every_mount_has_docker_s_options,
    proc_shows_the_container_s_processes,
    devices_work_in_a_user_namespace,
    devices_of_the_plan_are_there,
    a_device_outside_of_dev_is_refused,
    terminals_belong_to_the_container,
    masked_paths_show_nothing,
    read_only_paths_cannot_be_written,
    a_privileged_container_has_no_masks,
    masks_in_the_image_are_resolved_in_its_root,
    shared_memory_has_a_limit,
    a_tmpfs_has_its_size_mode_and_options,
    a_volume_is_written_by_the_container_s_root_and_owned_by_the_host_s,
    a_read_only_bind_mount_is_not_written_nor_is_what_is_mounted_below,
    a_file_is_mounted_over_a_missing_one,
    a_mount_does_not_reach_the_host,
    what_the_host_mounts_later_reaches_a_slave,
    the_host_s_sysfs_stands_in_where_the_network_is_shared,
    sysctls_are_set_before_they_become_read_only,
    sources_are_opened_by_an_unprivileged_child,
    a_missing_source_is_named,
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

fn devices_work_in_a_user_namespace() {
    Container::standard().run(devices_work);
    Container::standard().sharing_users().run(devices_work);
}

fn devices_work() {
    let mut buffer = [1; 16];
    File::open("/dev/zero")
        .unwrap()
        .read_exact(&mut buffer)
        .unwrap();
    assert_eq!(buffer, [0; 16]);
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut buffer)
        .unwrap();
    File::options()
        .write(true)
        .open("/dev/null")
        .unwrap()
        .write_all(b"x")
        .unwrap();
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .write_all(b"x");
    assert_eq!(
        full.unwrap_err().raw_os_error(),
        Some(Errno::NOSPC.raw_os_error())
    );
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let metadata = fs::metadata(Path::new("/dev").join(name)).unwrap();
        assert!(metadata.file_type().is_char_device(), "{name}");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o666, "{name}");
        assert_eq!(owner(Path::new("/dev").join(name)), (0, 0), "{name}");
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("ptmx", "pts/ptmx"),
        ("core", "/proc/kcore"),
    ] {
        assert_eq!(
            fs::read_link(Path::new("/dev").join(name)).unwrap(),
            Path::new(target)
        );
    }
    fs::write("/dev/own", "x").unwrap();
    assert_eq!(owner("/dev"), (0, 0));
}

fn devices_of_the_plan_are_there() {
    let node = |target: &str, node| Device {
        target: target.into(),
        node,
    };
    let number = DeviceNode::Number {
        kind: DeviceKind::Char,
        major: 1,
        minor: 5,
        mode: 0o640,
        uid: 33,
        gid: 4,
    };
    let devices = vec![
        node("/dev/deep/zero", number),
        node("/dev/nothing", DeviceNode::Host("/dev/null".into())),
        node("/dev/null", DeviceNode::Host("/dev/null".into())),
    ];
    let mut container = Container::new();
    container.mounts = vec![Mount::Dev { devices }];
    container.settings = RootSettings::unmasked();
    container.run(|| {
        assert_eq!(owner("/dev/deep/zero"), (33, 4));
        let mode = fs::metadata("/dev/deep/zero").unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read("/dev/nothing").unwrap(), b"");
        File::open("/dev/deep/zero")
            .unwrap()
            .read_exact(&mut [1])
            .unwrap();
    });
}

fn a_device_outside_of_dev_is_refused() {
    for target in ["/etc/null", "/dev", "/dev/../etc/null"] {
        let node = DeviceNode::Host("/dev/null".into());
        let devices = vec![Device {
            target: target.into(),
            node,
        }];
        let error = coop_fs::open_mounts(&[Mount::Dev { devices }]).unwrap_err();
        assert!(error.to_string().contains("must be below /dev"), "{error}");
    }
    let node = DeviceNode::Host("/etc/passwd".into());
    let devices = vec![Device {
        target: "/dev/x".into(),
        node,
    }];
    let error = coop_fs::open_mounts(&[Mount::Dev { devices }]).unwrap_err();
    assert_eq!(error.to_string(), "/etc/passwd is not a device");
}

fn terminals_belong_to_the_container() {
    Container::standard().run(|| {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        assert_eq!(name.to_str().unwrap(), "/dev/pts/0");
        // The group `tty` may write to it.
        assert_eq!(owner("/dev/pts/0"), (0, 5));
        assert_eq!(
            fs::metadata("/dev/pts/0").unwrap().permissions().mode() & 0o777,
            0o620
        );
        File::open("/dev/pts/0").unwrap();
    });
}

fn masked_paths_show_nothing() {
    Container::standard().run(|| {
        for path in coop_fs::DEFAULT_MASKED_PATHS {
            let Ok(metadata) = fs::metadata(path) else {
                continue;
            };
            if metadata.is_dir() {
                assert_eq!(fs::read_dir(path).unwrap().count(), 0, "{path}");
                assert!(fs::write(Path::new(path).join("x"), "").is_err(), "{path}");
            } else {
                assert_eq!(fs::read(path).unwrap(), b"", "{path}");
            }
        }
        // One filesystem is behind all hidden directories.
        assert_ne!(fs::read("/proc/uptime").unwrap(), b"");
        assert!(mount_line("/proc/timer_list").starts_with("/null "));
    });
}

fn read_only_paths_cannot_be_written() {
    Container::standard().run(|| {
        for path in coop_fs::DEFAULT_READONLY_PATHS {
            if fs::exists(path).unwrap() {
                assert_eq!(mount_options(path)[..1], ["ro"], "{path}");
            }
        }
        let error = fs::write("/proc/sys/kernel/shmmax", "1").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ROFS.raw_os_error()));
    });
}

fn a_privileged_container_has_no_masks() {
    let mut container = Container::standard().sharing_users();
    container.settings = RootSettings::unmasked();
    container.run(|| {
        assert_ne!(fs::read("/proc/timer_list").unwrap(), b"");
        fs::write("/proc/sys/kernel/shmmax", "123456").unwrap();
    });
}

fn masks_in_the_image_are_resolved_in_its_root() {
    let mut container = Container::standard();
    fs::create_dir(container.image("secret")).unwrap();
    fs::write(container.image("secret/key"), "x").unwrap();
    fs::write(container.image("config"), "x").unwrap();
    fs::create_dir(container.image("kept")).unwrap();
    std::os::unix::fs::symlink("/hello", container.image("link")).unwrap();
    let settings = &mut container.settings;
    settings
        .masked_paths
        .extend(["/secret", "/config", "/link", "/missing"].map(Into::into));
    settings
        .readonly_paths
        .extend(["/kept", "/missing"].map(Into::into));
    container.run(|| {
        assert_eq!(fs::read_dir("/secret").unwrap().count(), 0);
        assert_eq!(fs::read("/config").unwrap(), b"");
        assert_eq!(fs::read("/hello").unwrap(), b"");
        assert!(fs::write("/kept/new", "x").is_err());
        assert!(!fs::exists("/missing").unwrap());
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

/// Writes to a file until the filesystem is full, which must be at `limit` bytes.
fn fill(path: &str, limit: u64) {
    let mut file = File::create(path).unwrap();
    let error = (0..1024)
        .find_map(|_| file.write_all(&[1; 4096]).err())
        .unwrap();
    assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
    assert_eq!(file.metadata().unwrap().len(), limit);
}

fn a_volume_is_written_by_the_container_s_root_and_owned_by_the_host_s() {
    let container = Container::standard();
    let volumes = coop_fs::Volumes::new(&container.outside(""));
    let data = volumes.create("db").unwrap();
    let container = container.with(Mount::bind(&data, "/data"));
    container.run(|| {
        fs::write("/data/row", "1").unwrap();
        std::os::unix::fs::chown("/data/row", Some(33), Some(4)).unwrap();
        fs::write("/data/own", "1").unwrap();
        assert_eq!(owner("/data"), (0, 0));
        assert_eq!(owner("/data/row"), (33, 4));
    });
    assert_eq!(owner(data.join("own")), (0, 0));
    assert_eq!(owner(data.join("row")), (33, 4));
}

fn a_read_only_bind_mount_is_not_written_nor_is_what_is_mounted_below() {
    let container = Container::standard();
    let source = container.outside("source");
    fs::create_dir_all(source.join("below")).unwrap();
    // On the host of this test: a mount namespace of its own.
    support::in_own_mounts(Namespaces::MOUNT, || {
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", source.join("below"), "tmpfs", flags, c"").unwrap();
        fs::write(source.join("below/file"), "x").unwrap();
        let inside = || {
            for path in ["/data/new", "/data/below/new", "/data/below/file"] {
                let error = fs::write(path, "x").unwrap_err();
                let readonly = Some(Errno::ROFS.raw_os_error());
                assert_eq!(error.raw_os_error(), readonly, "{path}");
            }
        };
        let container = container.with(Mount::bind_readonly(&source, "/data"));
        container.run_unchecked(|_| {}, inside, || {});
    });
}

fn a_file_is_mounted_over_a_missing_one() {
    let container = Container::standard();
    let hosts = container.outside("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let container = container
        .with(Mount::bind_readonly(&hosts, "/etc/hosts"))
        .with(Mount::bind(&hosts, "/run/secrets/deep/file"));
    container.run(|| {
        assert_eq!(
            fs::read_to_string("/etc/hosts").unwrap(),
            "127.0.0.1 localhost\n"
        );
        assert!(fs::write("/etc/hosts", "x").is_err());
        fs::write("/run/secrets/deep/file", "changed").unwrap();
        assert_eq!(
            fs::metadata("/run/secrets").unwrap().permissions().mode() & 0o777,
            0o755
        );
    });
    assert_eq!(fs::read_to_string(&hosts).unwrap(), "changed");
    assert_eq!(
        owner(container.upper("run/secrets/deep")),
        (HOST_BASE, HOST_BASE)
    );
}

fn a_mount_does_not_reach_the_host() {
    let container = Container::standard().sharing_users();
    let source = container.outside("source");
    fs::create_dir_all(source.join("below")).unwrap();
    support::in_own_mounts(Namespaces::MOUNT, || {
        rustix::mount::mount_bind(&source, &source).unwrap();
        let shared = rustix::mount::MountPropagationFlags::SHARED;
        rustix::mount::mount_change(&source, shared).unwrap();
        container.with(Mount::bind(&source, "/data")).run_unchecked(
            |_| {},
            || {
                let flags = rustix::mount::MountFlags::empty();
                rustix::mount::mount("tmpfs", "/data/below", "tmpfs", flags, c"").unwrap();
            },
            || {
                let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
                assert!(!mountinfo.contains("source/below"), "{mountinfo}");
            },
        );
    });
}

fn what_the_host_mounts_later_reaches_a_slave() {
    let container = Container::standard();
    let source = container.outside("source");
    fs::create_dir_all(source.join("below")).unwrap();
    support::in_own_mounts(Namespaces::MOUNT, || {
        rustix::mount::mount_bind(&source, &source).unwrap();
        let shared = rustix::mount::MountPropagationFlags::SHARED;
        rustix::mount::mount_change(&source, shared).unwrap();
        let options = "rslave".parse().unwrap();
        let mount = Mount::Bind {
            source: source.clone(),
            target: "/data".into(),
            options,
        };
        container.with(mount).run_unchecked(
            |_| {
                let flags = rustix::mount::MountFlags::empty();
                rustix::mount::mount("tmpfs", source.join("below"), "tmpfs", flags, c"").unwrap();
                fs::write(source.join("below/later"), "x").unwrap();
            },
            || assert!(fs::exists("/data/below/later").unwrap()),
            || {},
        );
    });
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

fn sysctls_are_set_before_they_become_read_only() {
    let mut container = Container::standard();
    let sysctl = |name: &str, value: &str| Sysctl {
        name: name.into(),
        value: value.into(),
    };
    container.settings.sysctls = vec![
        sysctl("net.ipv4.ip_unprivileged_port_start", "80"),
        sysctl("net/ipv4/conf/lo/forwarding", "1"),
        sysctl("kernel.shmmax", "1234567"),
        sysctl("fs.mqueue.msg_max", "20"),
        sysctl("kernel.domainname", "example"),
    ];
    container.run(|| {
        let value = |path: &str| fs::read_to_string(path).unwrap();
        assert_eq!(
            value("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
            "80\n"
        );
        assert_eq!(value("/proc/sys/net/ipv4/conf/lo/forwarding"), "1\n");
        assert_eq!(value("/proc/sys/kernel/shmmax"), "1234567\n");
        assert_eq!(value("/proc/sys/fs/mqueue/msg_max"), "20\n");
        assert_eq!(value("/proc/sys/kernel/domainname"), "example\n");
        let error = coop_fs::set_sysctl("kernel.shmmax", "1").unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ROFS));
    });
    container.settings.sysctls = vec![sysctl("kernel.panic", "1")];
    assert!(
        container
            .error()
            .contains("sysctl kernel.panic is not bound to")
    );
    container.settings.sysctls = vec![sysctl("net.no.such", "1")];
    assert!(
        container
            .error()
            .contains("set sysctl net.no.such: No such file")
    );
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

fn a_missing_source_is_named() {
    let container = Container::standard().with(Mount::bind("/no/such/source", "/data"));
    let error = container.error();
    assert!(
        error.starts_with("open /no/such/source: No such file"),
        "{error}"
    );
    let container = Container::standard().with(Mount::bind("/etc", "relative"));
    assert!(
        container
            .error()
            .contains("\"relative\" is not an absolute path")
    );
}
