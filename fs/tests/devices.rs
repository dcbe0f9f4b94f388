//! `/dev` and the container's terminals.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use coop_fs::{Device, DeviceKind, DeviceNode, Mount, RootSettings};
use rustix::io::Errno;
use support::{Container, owner};

tests!(
    devices_work_in_a_user_namespace,
    devices_of_the_plan_are_there,
    a_device_outside_of_dev_is_refused,
    terminals_belong_to_the_container,
);

fn devices_work_in_a_user_namespace() {
    Container::standard().run(devices_work);
    Container::standard().sharing_users().run(devices_work);
    let mut older = Container::standard();
    older.attached = true;
    older.run(devices_work);
}

fn with(devices: Vec<Device>) -> Mount {
    let context = None;
    Mount::Dev { devices, context }
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
    container.mounts = vec![with(devices)];
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
        let error = coop_fs::open_mounts(&[with(devices)]).unwrap_err();
        assert!(error.to_string().contains("must be below /dev"), "{error}");
    }
    let node = DeviceNode::Host("/etc/passwd".into());
    let devices = vec![Device {
        target: "/dev/x".into(),
        node,
    }];
    let error = coop_fs::open_mounts(&[with(devices)]).unwrap_err();
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
        let open = |path| {
            let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
            rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap()
        };
        // What somebody has put in the place of the terminal is not mounted.
        let error = coop_fs::mount_console(open("/dev/null").as_fd()).unwrap_err();
        assert_eq!(error.errno(), Some(rustix::io::Errno::NOTTY));
        coop_fs::mount_console(open("/dev/pts/0").as_fd()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let empty = rustix::fs::Mode::empty();
        let console = rustix::fs::open("/dev/console", flags, empty).unwrap();
        rustix::io::write(&console, b"hello\n").unwrap();
        let mut buffer = [0; 16];
        let length = rustix::io::read(&master, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello\r\n");
    });
}
