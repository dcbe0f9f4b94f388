//! What a container must not read or write, and what is set before that.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs;
use std::path::Path;

use coop_fs::{RootSettings, Sysctl};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use support::{Container, mount_line, mount_options};

tests!(
    masked_paths_show_nothing,
    read_only_paths_cannot_be_written,
    a_privileged_container_has_no_masks,
    masks_in_the_image_are_resolved_in_its_root,
    sysctls_are_set_before_they_become_read_only,
    masks_hold_in_a_nested_user_namespace,
);

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

fn masks_hold_in_a_nested_user_namespace() {
    Container::standard().run(|| {
        // What a container without privileges can do: a namespace in which it has them.
        let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
        // SAFETY: neither descriptors nor the filesystem context are unshared.
        unsafe { unshare_unsafe(flags) }.unwrap();
        for path in ["/proc/timer_list", "/sys/firmware", "/proc/sys"] {
            let error = unmount(path, UnmountFlags::DETACH).unwrap_err();
            assert_eq!(error, Errno::INVAL, "{path}");
        }
        let writable = mount_remount("/proc/sys", MountFlags::BIND, c"");
        assert_eq!(writable.unwrap_err(), Errno::PERM);
    });
}
