//! Files and directories of the host in a container.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coop_fs::Mount;
use coop_ns::Namespaces;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use support::{Container, HOST_BASE, owner};

tests!(
    a_volume_is_written_by_the_container_s_root_and_owned_by_the_host_s,
    a_read_only_bind_mount_is_not_written_nor_is_what_is_mounted_below,
    a_file_is_mounted_over_a_missing_one,
    a_mount_does_not_reach_the_host,
    what_the_host_mounts_later_reaches_a_slave,
    a_missing_source_is_named,
    a_bind_mount_has_no_options_of_a_new_filesystem,
    a_new_volume_gets_the_files_of_all_layers,
);

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
        if support::is_kernel_before(6, 3) {
            // No id maps on a tmpfs: the caller is told, and not given half of it.
            assert!(container.error().contains("does not support it"));
        } else {
            container.run_unchecked(|_| {}, inside, || {});
        }
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

fn a_bind_mount_has_no_options_of_a_new_filesystem() {
    let options = "ro,size=1m".parse().unwrap();
    let mount = Mount::Bind {
        source: "/etc".into(),
        target: "/data".into(),
        options,
    };
    let error = coop_fs::open_mounts(&[mount]).unwrap_err();
    assert_eq!(error.to_string(), "unknown mount option \"size=1m\"");
}

fn a_new_volume_gets_the_files_of_all_layers() {
    let container = Container::standard();
    let top = container.outside("top");
    fs::create_dir_all(container.image("data/kept")).unwrap();
    fs::write(container.image("data/removed"), "x").unwrap();
    fs::create_dir_all(top.join("data")).unwrap();
    fs::write(top.join("data/added"), "x").unwrap();
    std::os::unix::fs::chown(top.join("data/added"), Some(33), Some(4)).unwrap();
    // How an image's layer says that a file of a lower one is gone.
    let (kind, mode) = (FileType::CharacterDevice, Mode::empty());
    mknodat(CWD, top.join("data/removed"), kind, mode, 0).unwrap();
    let volumes = coop_fs::Volumes::new(&container.outside(""));
    let layers = [top, container.image("")];
    assert!(volumes.populate("v", &layers, Path::new("/data")).unwrap());
    let data = volumes.path("v").unwrap();
    assert!(data.join("kept").is_dir() && !data.join("removed").exists());
    assert_eq!(owner(data.join("added")), (33, 4));
    container
        .with(Mount::bind(&data, "/data"))
        .run(|| assert_eq!(owner("/data/added"), (33, 4)));
}
