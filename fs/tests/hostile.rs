//! Images that try to lead a mount, a file or a process out of the container.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
mod support;

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use coop_fs::{Error, Mount};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use support::{Container, owner};

tests!(
    a_symlink_for_proc_dev_or_sys_is_refused,
    a_symlink_in_the_place_of_a_file_stays_in_the_root,
    a_dangling_symlink_is_made_whole_in_the_root,
    a_volume_s_target_through_a_symlink_stays_in_the_root,
    a_volume_s_target_through_proc_is_refused,
    symlinks_in_a_circle_are_refused,
    a_target_below_a_file_is_refused,
    a_file_cannot_be_mounted_on_a_directory,
    magic_links_are_not_followed,
    the_working_directory_cannot_leave_the_root,
    a_working_directory_is_made_when_missing,
    users_are_read_from_the_image_alone,
    a_pipe_as_passwd_does_not_hang,
    what_the_container_leaves_is_removed,
);

/// A directory of the host that a hostile image aims at: nothing may change in it.
struct Prey(PathBuf);

impl Prey {
    fn new(container: &Container) -> Self {
        let dir = container.outside("prey");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), "precious").unwrap();
        Self(dir)
    }

    fn assert_untouched(&self) {
        let names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        assert_eq!(names, [self.0.join("file")]);
        assert_eq!(fs::read_to_string(self.0.join("file")).unwrap(), "precious");
    }
}

fn a_symlink_for_proc_dev_or_sys_is_refused() {
    for name in ["proc", "dev", "sys"] {
        for target in ["/etc", "../../../../tmp", "/nowhere"] {
            let container = Container::standard();
            symlink(target, container.image(name)).unwrap();
            let error = container.error();
            assert_eq!(
                error,
                format!("/{name} is a symlink in the image; it must be a directory")
            );
        }
    }
}

fn a_symlink_in_the_place_of_a_file_stays_in_the_root() {
    let container = Container::standard();
    let prey = Prey::new(&container);
    let hosts = container.outside("hosts");
    fs::write(&hosts, "ours").unwrap();
    let up = Path::new("../../../../../../../../../..");
    let aim = up.join(prey.0.join("file").strip_prefix("/").unwrap());
    symlink(&aim, container.image("etc/hosts")).unwrap();
    let inside = prey.0.join("file");
    let container = container.with(Mount::bind(&hosts, "/etc/hosts"));
    container.run(|| {
        assert_eq!(fs::read_to_string("/etc/hosts").unwrap(), "ours");
        // The same path as the host's, below the container's root.
        assert_eq!(fs::read_to_string(&inside).unwrap(), "ours");
    });
    prey.assert_untouched();
}

fn a_dangling_symlink_is_made_whole_in_the_root() {
    let container = Container::standard();
    let resolv = container.outside("resolv.conf");
    fs::write(&resolv, "nameserver").unwrap();
    // As on every image of a distribution with systemd.
    symlink(
        "../run/systemd/stub.conf",
        container.image("etc/resolv.conf"),
    )
    .unwrap();
    symlink("/missing/../run", container.image("varrun")).unwrap();
    let container = container
        .with(Mount::bind(&resolv, "/etc/resolv.conf"))
        .with(Mount::bind(&resolv, "/varrun/new"));
    container.run(|| {
        assert_eq!(
            fs::read_to_string("/etc/resolv.conf").unwrap(),
            "nameserver"
        );
        assert_eq!(
            fs::read_to_string("/run/systemd/stub.conf").unwrap(),
            "nameserver"
        );
        assert_eq!(fs::read_to_string("/run/new").unwrap(), "nameserver");
        assert_eq!(owner("/run/systemd"), (0, 0));
    });
}

fn a_volume_s_target_through_a_symlink_stays_in_the_root() {
    for aim in ["/", "../../../../../../..", "/etc/../.."] {
        let container = Container::standard();
        let prey = Prey::new(&container);
        let volume = container.outside("volume");
        fs::create_dir(&volume).unwrap();
        symlink(aim, container.image("out")).unwrap();
        let target = Path::new("/out").join(prey.0.strip_prefix("/").unwrap());
        let container = container.with(Mount::bind(&volume, &target));
        container.run(|| fs::write(target.join("written"), "x").unwrap());
        prey.assert_untouched();
        assert!(volume.join("written").exists());
    }
}

fn a_volume_s_target_through_proc_is_refused() {
    for aim in ["/proc/1/root", "/proc/self/cwd", "../proc/self/root"] {
        let mut container = Container::standard();
        let prey = Prey::new(&container);
        let volume = container.outside("volume");
        fs::create_dir(&volume).unwrap();
        symlink(aim, container.image("out")).unwrap();
        let target = Path::new("/out").join(prey.0.strip_prefix("/").unwrap());
        container.mounts.push(Mount::bind(&volume, &target));
        let error = container.error();
        assert!(
            error.contains("Too many levels of symbolic links"),
            "{error}"
        );
        // While /proc is still the image's own, it is a directory like any other.
        container.mounts.rotate_right(1);
        container.run(|| {});
        prey.assert_untouched();
    }
}

fn symlinks_in_a_circle_are_refused() {
    let container = Container::standard();
    symlink("b", container.image("a")).unwrap();
    symlink("a", container.image("b")).unwrap();
    let error = container.with(Mount::bind("/etc", "/a/data")).error();
    assert!(
        error.contains("/a/data: Too many levels of symbolic links"),
        "{error}"
    );
}

fn a_target_below_a_file_is_refused() {
    let error = Container::standard()
        .with(Mount::bind("/etc", "/hello/data"))
        .error();
    assert_eq!(error, "open /hello/data: Not a directory (os error 20)");
}

fn a_file_cannot_be_mounted_on_a_directory() {
    let container = Container::standard();
    let file = container.outside("file");
    fs::write(&file, "").unwrap();
    let error = container.with(Mount::bind(&file, "/etc")).error();
    assert_eq!(error, "cannot mount a file on /etc, which is a directory");
    let error = Container::standard()
        .with(Mount::bind("/etc", "/hello"))
        .error();
    assert_eq!(error, "cannot mount a directory on /hello, which is a file");
}

fn magic_links_are_not_followed() {
    let container = Container::standard();
    // /proc/self/exe leads to this test program, on the host.
    symlink("/proc/self/exe", container.image("program")).unwrap();
    let file = container.outside("file");
    fs::write(&file, "").unwrap();
    let error = container.with(Mount::bind(&file, "/program")).error();
    assert!(
        error.contains("/program: Too many levels of symbolic links"),
        "{error}"
    );
}

fn the_working_directory_cannot_leave_the_root() {
    let container = Container::standard();
    let host = open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let link = format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&host));
    symlink(&link, container.image("leak")).unwrap();
    container.run(|| {
        for path in [link.as_str(), "/leak", "/leak/etc"] {
            let error = coop_fs::enter_working_dir(Path::new(path)).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::LOOP), "{path}");
            let error = coop_fs::create_working_dir(Path::new(path)).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::LOOP), "{path}");
        }
        let error = coop_fs::open_in_root(host.as_fd(), Path::new("/leak"), OFlags::PATH);
        assert_eq!(error.unwrap_err().errno(), Some(Errno::NOENT));
        for path in ["/etc/../../../..", "/etc"] {
            coop_fs::enter_working_dir(Path::new(path)).unwrap();
        }
        assert_eq!(std::env::current_dir().unwrap(), Path::new("/etc"));
        let error = coop_fs::enter_working_dir(Path::new("/missing")).unwrap_err();
        assert_eq!(error.to_string(), "open /missing");
    });
}

fn a_working_directory_is_made_when_missing() {
    let container = Container::standard();
    container.run(|| {
        coop_fs::create_working_dir(Path::new("/srv/app")).unwrap();
        assert_eq!(std::env::current_dir().unwrap(), Path::new("/srv/app"));
        coop_fs::create_working_dir(Path::new("/")).unwrap();
        assert_eq!(std::env::current_dir().unwrap(), Path::new("/"));
    });
    assert!(container.upper("srv/app").is_dir());
}

fn users_are_read_from_the_image_alone() {
    Container::standard().run(|| {
        let user = coop_fs::lookup_user("web").unwrap();
        assert_eq!(
            (user.uid, user.gid, user.additional_gids),
            (33, 33, vec![4])
        );
        assert_eq!(coop_fs::lookup_group("log").unwrap(), 4);
        // A user of every host, but not of this image.
        let error = coop_fs::lookup_user("daemon").unwrap_err();
        assert!(matches!(error, Error::UnknownUser { .. }), "{error}");
    });
    let container = Container::standard();
    fs::remove_file(container.image("etc/passwd")).unwrap();
    symlink("/proc/1/root/etc/passwd", container.image("etc/passwd")).unwrap();
    container.run(|| assert!(coop_fs::lookup_user("daemon").is_err()));
}

fn a_pipe_as_passwd_does_not_hang() {
    let container = Container::standard();
    fs::remove_file(container.image("etc/passwd")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let path = container.image("etc/passwd");
    rustix::fs::mknodat(rustix::fs::CWD, path, fifo, Mode::RUSR, 0).unwrap();
    container.run(|| {
        let error = coop_fs::lookup_user("web").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/etc/passwd in the image is not a regular file"
        );
    });
}

fn what_the_container_leaves_is_removed() {
    let container = Container::standard();
    let prey = Prey::new(&container);
    let aim = prey.0.clone();
    container.run(|| {
        symlink(&aim, "/link").unwrap();
        fs::create_dir("/closed").unwrap();
        fs::write("/closed/file", "x").unwrap();
        fs::set_permissions("/closed", std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
        for _ in 0..500 {
            fs::create_dir("deeper").unwrap();
            std::env::set_current_dir("deeper").unwrap();
        }
    });
    coop_fs::remove_tree(&container.outside("upper-of-box")).unwrap();
    assert!(!container.outside("upper-of-box").exists());
    prey.assert_untouched();
}
