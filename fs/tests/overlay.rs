//! Roots, seen from inside and from the host's disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs;
use std::os::fd::AsFd;

use coop_fs::{Mount, Overlay, RootSettings, RootSource};
use coop_ns::Namespaces;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags};
use support::{Container, HOST_BASE, chain, mount_line, mount_options, owner};

tests!(
    the_image_belongs_to_the_container_s_root,
    changes_land_in_the_upper_and_the_image_stays_as_it_was,
    upper_layers_hide_lower_ones,
    a_root_without_user_namespace_keeps_the_host_s_ids,
    no_old_root_is_left,
    a_read_only_root_leaves_its_mounts_writable,
    a_directory_as_root_is_used_as_it_is,
    a_read_only_directory_as_root_is_not_written,
    the_image_s_own_device_nodes_are_dead_in_a_user_namespace,
    a_missing_layer_is_named,
    the_kernel_s_own_words_are_passed_on,
    a_filesystem_without_id_maps_is_told_apart,
    the_classic_mount_gives_the_same_root,
    an_overlay_is_mounted_without_privilege_on_the_host,
    many_layers_fit,
    an_older_kernel_s_way_gives_the_same_root_and_leads_back,
    the_owner_of_an_unfinished_upper_is_put_right_and_a_finished_one_kept,
);

fn the_image_belongs_to_the_container_s_root() {
    Container::new().run(|| {
        assert_eq!(fs::read_to_string("/hello").unwrap(), "from the image");
        for path in ["/", "/hello", "/etc", "/etc/passwd"] {
            assert_eq!(owner(path), (0, 0), "{path}");
        }
    });
}

fn changes_land_in_the_upper_and_the_image_stays_as_it_was() {
    let container = Container::new();
    container.run(|| {
        fs::write("/new", "x").unwrap();
        fs::write("/hello", "changed").unwrap();
        fs::remove_file("/etc/group").unwrap();
        std::os::unix::fs::chown("/new", Some(33), Some(33)).unwrap();
        fs::create_dir("/etc/dir").unwrap();
        fs::rename("/etc/dir", "/etc/moved").unwrap();
    });
    assert_eq!(
        owner(container.upper("new")),
        (HOST_BASE + 33, HOST_BASE + 33)
    );
    assert_eq!(owner(container.upper("hello")), (HOST_BASE, HOST_BASE));
    assert_eq!(owner(container.upper("etc/moved")), (HOST_BASE, HOST_BASE));
    assert_eq!(
        fs::read_to_string(container.image("hello")).unwrap(),
        "from the image"
    );
    assert_eq!(owner(container.image("hello")), (0, 0));
    assert!(container.image("etc/group").exists());
    // Started again, the container finds its changes.
    container.run(|| {
        assert_eq!(fs::read_to_string("/hello").unwrap(), "changed");
        assert!(!fs::exists("/etc/group").unwrap());
        assert_eq!(owner("/new"), (33, 33));
    });
    let dir = container.outside("upper-of-box");
    coop_fs::remove_tree(&dir).unwrap();
    coop_fs::remove_tree(&dir).unwrap();
    assert!(!dir.exists());
}

fn upper_layers_hide_lower_ones() {
    let mut container = Container::new();
    let top = container.outside("top");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("hello"), "from the top").unwrap();
    if let RootSource::Overlay(overlay) = &mut container.root {
        overlay.lowers.insert(0, top);
    }
    container.run(|| {
        assert_eq!(fs::read_to_string("/hello").unwrap(), "from the top");
        assert!(fs::exists("/etc/passwd").unwrap());
    });
}

fn a_root_without_user_namespace_keeps_the_host_s_ids() {
    let container = Container::standard().sharing_users();
    container.run(|| fs::write("/new", "x").unwrap());
    assert_eq!(owner(container.upper("new")), (0, 0));
}

fn no_old_root_is_left() {
    let container = Container::standard();
    let outside = container
        .outside("")
        .into_os_string()
        .into_string()
        .unwrap();
    container.run(move || {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let roots = mountinfo
            .lines()
            .filter(|line| line.split(' ').nth(4) == Some("/"));
        assert_eq!(roots.count(), 1, "{mountinfo}");
        assert!(mount_line("/").contains(" overlay overlay "), "{mountinfo}");
        assert!(!mountinfo.contains(" ext4 "), "{mountinfo}");
        assert!(!fs::exists(&outside).unwrap());
        assert_eq!(std::env::current_dir().unwrap().to_str(), Some("/"));
    });
}

fn a_read_only_root_leaves_its_mounts_writable() {
    let mut container = Container::standard().with(Mount::tmpfs("/run", "").unwrap());
    container.settings.readonly = true;
    container.run(|| {
        let error = fs::write("/new", "x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ROFS.raw_os_error()));
        fs::write("/run/new", "x").unwrap();
        fs::write("/dev/shm/new", "x").unwrap();
    });
}

fn a_directory_as_root_is_used_as_it_is() {
    let mut container = Container::standard();
    container.root = RootSource::Bind {
        dir: container.image(""),
        readonly: false,
    };
    container.run(|| {
        assert_eq!(owner("/hello"), (0, 0));
        fs::write("/new", "x").unwrap();
    });
    assert_eq!(owner(container.image("new")), (0, 0));
}

fn a_read_only_directory_as_root_is_not_written() {
    let mut container = Container::standard();
    for dir in ["proc", "dev", "sys"] {
        fs::create_dir(container.image(dir)).unwrap();
    }
    container.root = RootSource::Bind {
        dir: container.image(""),
        readonly: true,
    };
    container.run(|| {
        assert!(fs::write("/new", "x").is_err());
        assert!(
            fs::read_to_string("/proc/self/status")
                .unwrap()
                .contains("Pid:\t1\n")
        );
    });
    assert!(!container.image("new").exists());
}

fn the_image_s_own_device_nodes_are_dead_in_a_user_namespace() {
    let container = Container::new();
    let (kind, mode) = (
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from(0o666),
    );
    let number = rustix::fs::makedev(1, 5);
    rustix::fs::mknodat(rustix::fs::CWD, container.image("zero"), kind, mode, number).unwrap();
    container.run(|| {
        let error = fs::read("/zero").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
    });
}

fn a_missing_layer_is_named() {
    let mut container = Container::new();
    if let RootSource::Overlay(overlay) = &mut container.root {
        overlay.lowers.push("/no/such/layer".into());
    }
    let error = container.error();
    assert!(
        error.contains("open /no/such/layer: No such file"),
        "{error}"
    );
    let empty = Overlay {
        lowers: Vec::new(),
        upper: "/u".into(),
        work: "/w".into(),
        marks: coop_fs::Marks::Trusted,
        context: None,
    };
    assert!(chain(&coop_fs::build_overlay(&empty, None).unwrap_err()).contains("0 layers"));
}

fn the_kernel_s_own_words_are_passed_on() {
    let container = Container::new().sharing_users();
    let RootSource::Overlay(overlay) = &container.root else {
        unreachable!()
    };
    coop_fs::prepare_upper(overlay, 0, 0).unwrap();
    support::in_own_mounts(Namespaces::MOUNT, || {
        let dir = overlay.upper.parent().unwrap();
        rustix::mount::mount_bind(dir, dir).unwrap();
        let flags = MountFlags::BIND | MountFlags::RDONLY;
        rustix::mount::mount_remount(dir, flags, c"").unwrap();
        let error = coop_fs::build_overlay(overlay, None).unwrap_err();
        let text = chain(&error);
        // It has none for the caller before Linux 6.5.
        assert!(
            support::is_kernel_before(6, 5)
                || text.contains("(overlay: ") && text.contains("is read-only"),
            "{text}"
        );
        assert!(text.ends_with("Invalid argument (os error 22)"), "{text}");
    });
}

fn a_filesystem_without_id_maps_is_told_apart() {
    let mut container = Container::new();
    // sysfs knows no id maps.
    container.root = RootSource::Bind {
        dir: "/sys/kernel".into(),
        readonly: true,
    };
    let error = container.error();
    assert!(
        error.contains("id-map /sys/kernel") && error.contains("Invalid argument"),
        "{error}"
    );
}

fn the_classic_mount_gives_the_same_root() {
    let container = Container::new().sharing_users();
    let RootSource::Overlay(overlay) = &container.root else {
        unreachable!()
    };
    coop_fs::prepare_upper(overlay, 0, 0).unwrap();
    let target = container.outside("target");
    fs::create_dir(&target).unwrap();
    support::in_own_mounts(Namespaces::MOUNT, || {
        let fd = rustix::fs::open(
            &target,
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        coop_fs::mount_overlay_classic(overlay, fd.as_fd()).unwrap();
        assert_eq!(
            fs::read_to_string(target.join("hello")).unwrap(),
            "from the image"
        );
        fs::write(target.join("new"), "x").unwrap();
    });
    assert!(container.upper("new").exists());
}

fn an_overlay_is_mounted_without_privilege_on_the_host() {
    let container = Container::new();
    let RootSource::Overlay(overlay) = &container.root else {
        unreachable!()
    };
    coop_fs::prepare_upper(overlay, HOST_BASE, HOST_BASE).unwrap();
    // Without privilege the way to the directories must be open to the user.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(container.outside(""), mode).unwrap();
    let namespaces = Namespaces::USER | Namespaces::MOUNT | Namespaces::PID;
    // Nor need the user be in a directory that is open to it.
    let here = std::env::current_dir().unwrap();
    let closed = tempfile::tempdir().unwrap();
    std::env::set_current_dir(&closed).unwrap();
    support::in_own_mounts(namespaces, || {
        let root = coop_fs::build_overlay_unprivileged(overlay).unwrap();
        let mounts = coop_fs::defer_mounts(&[
            Mount::Proc,
            Mount::Dev {
                devices: Vec::new(),
                context: None,
            },
        ]);
        coop_fs::enter(root.as_fd(), &mounts, &RootSettings::default()).unwrap();
        fs::write("/new", "x").unwrap();
        fs::remove_file("/hello").unwrap();
        assert_eq!(fs::read("/dev/null").unwrap(), b"");
        assert!(mount_options("/dev").contains(&"nosuid".to_owned()));
    });
    std::env::set_current_dir(here).unwrap();
    assert_eq!(owner(container.upper("new")), (HOST_BASE, HOST_BASE));
}

fn many_layers_fit() {
    let mut container = with_layers(200);
    container.run(|| {
        assert!(fs::exists("/file-0").unwrap() && fs::exists("/file-199").unwrap());
    });
    container.attached = true;
    container.run(|| {
        assert!(fs::exists("/file-0").unwrap() && fs::exists("/file-199").unwrap());
    });
}

fn with_layers(count: usize) -> Container {
    let mut container = Container::new();
    for number in 0..count {
        let layer = container.outside(&format!("{}-{number}", "a-long-name".repeat(10)));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(format!("file-{number}")), "x").unwrap();
        if let RootSource::Overlay(overlay) = &mut container.root {
            overlay.lowers.push(layer);
        }
    }
    container
}

fn an_older_kernel_s_way_gives_the_same_root_and_leads_back() {
    // As systemd has it, and nearly every machine: what is attached to a mount that is shared
    // appears with its peers.
    support::in_own_mounts(Namespaces::MOUNT, || {
        let all = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", all).unwrap();
        an_older_kernel_s_way();
    });
}

fn an_older_kernel_s_way() {
    let mut container = with_layers(20);
    container.attached = true;
    let here = || {
        let namespace = fs::read_link("/proc/self/ns/mnt").unwrap();
        (namespace, std::env::current_dir().unwrap())
    };
    let before = here();
    container.run(|| {
        assert_eq!(owner("/hello"), (0, 0));
        assert!(fs::exists("/file-19").unwrap());
        fs::write("/hello", "changed").unwrap();
    });
    assert_eq!(here(), before);
    assert_eq!(owner(container.upper("hello")), (HOST_BASE, HOST_BASE));
    if let RootSource::Overlay(overlay) = &mut container.root {
        overlay.work = overlay.upper.join("inside");
    }
    assert!(container.error().contains("id-map "));
    assert_eq!(here(), before);
}

fn the_owner_of_an_unfinished_upper_is_put_right_and_a_finished_one_kept() {
    let container = Container::new();
    // As left by a start that was killed between making it and giving it away.
    fs::create_dir(container.upper("")).unwrap();
    container.run(|| {
        assert_eq!(owner("/"), (0, 0));
        std::os::unix::fs::chown("/", Some(33), Some(33)).unwrap();
    });
    container.run(|| assert_eq!(owner("/"), (33, 33)));
}
