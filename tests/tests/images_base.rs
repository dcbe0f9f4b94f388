//! Root filesystems as distributions publish them: the tarballs `alpine-base.tar.gz`,
//! `ubuntu-base.tar.gz` and `arch-base.tar.gz`, made here in the shape of the real ones.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall say where"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use coop_tests::{Host, Rootfs};
use rustix::fs::{CWD, FileType, Mode};

/// A root filesystem of a distribution, to be packed.
struct Tree<'h> {
    host: &'h Host,
    root: PathBuf,
}

impl<'h> Tree<'h> {
    /// With what every distribution has: users, links that are absolute, hard links, a
    /// program that is set-user-id, a sticky directory and device nodes.
    fn new(host: &'h Host, name: &str, release: &str) -> Self {
        let root = host.work().join(name);
        let tree = Self { host, root };
        for directory in [
            "dev", "etc", "proc", "root", "sys", "tmp", "usr/bin", "usr/lib", "var/lib",
        ] {
            fs::create_dir_all(tree.path(directory)).unwrap();
        }
        tree.file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nmail:x:8:8:mail:/var/mail:/bin/false\n",
        );
        tree.file("etc/group", "root:x:0:\nmail:x:8:\n");
        tree.file("usr/lib/os-release", &format!("{release}\n"));
        tree.link("../usr/lib/os-release", "etc/os-release");
        tree.link("/proc/self/mounts", "etc/mtab");
        tree.file("usr/bin/su", "#!/bin/sh\n");
        tree.mode("usr/bin/su", 0o4755);
        tree.mode("tmp", 0o1777);
        tree.file("usr/bin/perl", "a program with two names");
        fs::hard_link(tree.path("usr/bin/perl"), tree.path("usr/bin/perl5.36.0")).unwrap();
        rustix::fs::chown(
            tree.path("usr/bin/su"),
            None,
            Some(rustix::fs::Gid::from_raw(8)),
        )
        .unwrap();
        // chown(2) takes the bit.
        tree.mode("usr/bin/su", 0o4755);
        for (node, minor) in [("null", 3), ("zero", 5), ("random", 8)] {
            let device = rustix::fs::makedev(1, minor);
            let path = tree.path(&format!("dev/{node}"));
            rustix::fs::mknodat(
                CWD,
                path,
                FileType::CharacterDevice,
                Mode::from_raw_mode(0o666),
                device,
            )
            .unwrap();
        }
        tree
    }

    /// As distributions with one directory of programs have it.
    fn merged(self) -> Self {
        self.link("usr/bin", "bin");
        self.link("usr/lib", "lib");
        self
    }

    /// Busybox in `directory`, with `applets` that lead to `target`.
    fn busybox(self, directory: &str, target: &str) -> Self {
        let from = Rootfs::new(self.host);
        fs::create_dir_all(self.path(directory)).unwrap();
        fs::copy(
            from.path().join("bin/busybox"),
            self.path(&format!("{directory}/busybox")),
        )
        .unwrap();
        for applet in ["sh", "cat", "ls", "stat", "id", "readlink", "test"] {
            self.link(target, &format!("{directory}/{applet}"));
        }
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn file(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    fn link(&self, target: &str, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Packs with `tar FLAGS -f ARCHIVE WHAT…` in `directory`.
    fn pack(&self, archive: &str, directory: &Path, flags: &[&str], what: &[&str]) {
        let tar = self
            .host
            .tool("tar")
            .arg("-caf")
            .arg(self.host.work().join(archive));
        tar.args(flags)
            .arg("-C")
            .arg(directory)
            .args(what)
            .run()
            .success();
    }
}

/// Imports by the file's own name, and looks at what runs from it.
fn import_and_look(host: &Host, archive: &str, release: &str) {
    let before = host.snapshot();
    host.coop(["image", "import", archive]).run().success();
    let image = archive.strip_suffix(".tar.gz").unwrap();
    host.coop(["images", "--format", "{{.Repository}}:{{.Tag}}"])
        .run()
        .success()
        .prints(&format!("{image}:latest"));

    let script = "\
        cat /etc/os-release; \
        stat -c '%a %u:%g' /usr/bin/su; \
        stat -c %a /tmp; \
        stat -c %h /usr/bin/perl; \
        cat /usr/bin/perl5.36.0; echo; \
        readlink /etc/mtab; \
        test -c /dev/null && echo > /dev/null && echo devices work; \
        test -e /dev/random && id -u";
    let run = host.coop(["run", "--rm", image, "sh", "-c", script]).run();
    let expected = [
        release,
        "4755 0:8",
        "1777",
        "2",
        "a program with two names",
        "/proc/self/mounts",
        "devices work",
        "0",
    ];
    assert_eq!(run.success().lines(), expected, "{run}");
    host.coop(["image", "rm", image]).run().success();
    host.assert_nothing_left(&before);
}

#[test]
fn alpines_tarball_is_an_image_of_its_name() {
    let host = Host::new();
    let tree = Tree::new(&host, "alpine", "ID=alpine").busybox("bin", "/bin/busybox");
    tree.pack(
        "alpine-base.tar.gz",
        &tree.root,
        &["--format=ustar"],
        &["./"],
    );
    import_and_look(&host, "alpine-base.tar.gz", "ID=alpine");
}

#[test]
fn ubuntus_tarball_is_an_image_of_its_name() {
    let host = Host::new();
    let tree = Tree::new(&host, "ubuntu", "ID=ubuntu")
        .merged()
        .busybox("usr/bin", "busybox");
    let names: Vec<_> = fs::read_dir(&tree.root)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    // No prefix and no entry for the root itself; times and attributes in pax headers.
    tree.pack(
        "ubuntu-base.tar.gz",
        &tree.root,
        &["--format=posix", "--xattrs"],
        &names,
    );
    import_and_look(&host, "ubuntu-base.tar.gz", "ID=ubuntu");
}

/// The bootstrap archive has its root filesystem one directory down.
fn arch(host: &Host) -> Tree<'_> {
    let tree = Tree::new(host, "arch/root.x86_64", "ID=arch")
        .merged()
        .busybox("usr/bin", "busybox");
    host.file("arch/version", "2026.11.01\n");
    host.file("arch/pkglist.x86_64.txt", "core/base 3-2\n");
    tree
}

#[test]
fn archs_tarball_is_an_image_of_its_name() {
    let host = Host::new();
    let tree = arch(&host);
    tree.pack(
        "arch-base.tar.gz",
        &host.work().join("arch"),
        &[],
        &["root.x86_64", "version", "pkglist.x86_64.txt"],
    );
    import_and_look(&host, "arch-base.tar.gz", "ID=arch");
}

#[test]
fn archs_files_beside_the_root_are_not_in_the_image() {
    let host = Host::new();
    let tree = arch(&host);
    tree.pack("arch-base.tar.gz", &host.work().join("arch"), &[], &["."]);
    host.coop(["image", "import", "arch-base.tar.gz"])
        .run()
        .success();
    let run = host.coop(["run", "--rm", "arch-base", "ls", "/"]).run();
    run.success()
        .does_not_say("version")
        .does_not_say("pkglist")
        .does_not_say("root.x86_64");
    // The owner and the mode of the root are those of the directory, and not of what is above.
    let above = fs::metadata(tree.path(".")).unwrap();
    assert_eq!(above.mode() & 0o777, 0o755);
    host.coop(["run", "--rm", "arch-base", "stat", "-c", "%a %u", "/"])
        .run()
        .success()
        .prints("755 0");
}

#[test]
fn the_name_may_come_last_or_first() {
    let host = Host::new();
    let tree = Tree::new(&host, "alpine", "ID=alpine").busybox("bin", "/bin/busybox");
    tree.pack("alpine-base.tar.gz", &tree.root, &[], &["."]);
    host.coop(["image", "import", "alpine-base.tar.gz", "alpine:3.20"])
        .run()
        .success();
    host.coop(["image", "import", "alpine:3.21", "alpine-base.tar.gz"])
        .run()
        .success();
    let archive = fs::read(host.work().join("alpine-base.tar.gz")).unwrap();
    host.coop(["image", "import", "-", "alpine:3.22"])
        .stdin(archive)
        .run()
        .success();
    let output = host.coop(["images", "--format", "{{.Tag}}"]).run();
    assert_eq!(output.success().lines(), ["3.20", "3.21", "3.22"]);
    host.coop(["image", "import", "-"])
        .run()
        .fails(1, &["standard input has no name", "help:"]);
    host.coop(["image", "import", "ghost.tar.gz"])
        .run()
        .fails(1, &["ghost.tar.gz"]);
}

#[test]
fn an_imported_image_is_changed_as_a_dockerfile_says() {
    let host = Host::new();
    let tree = Tree::new(&host, "alpine", "ID=alpine").busybox("bin", "/bin/busybox");
    tree.pack("alpine-base.tar.gz", &tree.root, &[], &["."]);
    let import = host.coop(["image", "import", "alpine-base.tar.gz"]);
    let changes = [
        r#"CMD ["sh", "-c", "echo $GREETING from $PWD as $(id -u)"]"#,
        "ENV GREETING='good day'",
        "WORKDIR /usr",
        "USER mail",
        "LABEL org.opencontainers.image.version=3.20",
    ];
    let import = changes
        .iter()
        .fold(import, |import, change| import.args(["--change", change]));
    import.run().success();
    host.coop(["run", "--rm", "alpine-base"])
        .run()
        .success()
        .prints("good day from /usr as 8");
    let label = "{{index .Config.Labels \"org.opencontainers.image.version\"}}";
    host.coop(["image", "inspect", "-f", label, "alpine-base"])
        .run()
        .success()
        .prints("3.20");

    let import = [
        "image",
        "import",
        "--change",
        "RUN make",
        "alpine-base.tar.gz",
        "other",
    ];
    host.coop(import)
        .run()
        .fails(1, &["RUN make", "not an instruction"]);
    let import = [
        "image",
        "import",
        "--platform",
        "linux/arm64",
        "alpine-base.tar.gz",
        "other",
    ];
    host.coop(import).run().success();
    host.coop([
        "image",
        "inspect",
        "-f",
        "{{.Os}}/{{.Architecture}}",
        "other",
    ])
    .run()
    .success()
    .prints("linux/arm64");
}
