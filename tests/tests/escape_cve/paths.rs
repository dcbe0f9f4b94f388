//! Links and mounts of an image in the way of what the runtime mounts, masks and writes.

use std::fs;

use coop_tests::{Host, Rootfs};

use crate::{Prey, QUIET, SLEEP, link, program, wait_until_it_says};

/// CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867, CVE-2026-41579: a link in the
/// place of `/proc`, `/sys` or `/dev`.
#[test]
fn a_link_for_proc_sys_or_dev_is_refused() {
    for name in ["proc", "sys", "dev"] {
        let host = Host::new();
        let prey = Prey::new(&host);
        let root = Rootfs::new(&host);
        for target in [
            "/tmp",
            "../../../../tmp",
            prey.path().to_str().unwrap(),
            "/nowhere",
        ] {
            link(&root, target, name);
            host.sh(&root, &["--network", "none"], "true")
                .run()
                .fails(125, &[&format!("/{name} is a symlink in the image")]);
        }
        prey.assert_untouched();
    }
}

/// CVE-2025-31133: the container's own `/dev/null`, which masks are made of, is a link.
#[test]
fn masks_are_not_made_of_what_the_image_has() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for name in ["null", "zero", "console", "ptmx"] {
        link(
            &root,
            "/proc/sys/kernel/core_pattern",
            &format!("dev/{name}"),
        );
    }
    let hidden = "for file in /proc/kcore /proc/keys /proc/timer_list /dev/null; do \
                  test -e $file && stat -c '%n %F %t:%T' $file; done; \
                  ls /proc/acpi /sys/firmware; cat /proc/keys; \
                  echo 0 > /proc/sys/kernel/core_pattern; echo 3 > /proc/sys/vm/drop_caches; echo end";
    let output = host.sh(&root, &["--network", "none"], hidden).run();
    output.success().does_not_say("regular").says("end");
    for line in output
        .stdout
        .lines()
        .filter(|line| line.starts_with("/proc/k"))
    {
        assert!(line.ends_with("character special file 1:3"), "{output}");
    }
    assert_eq!(
        output.stderr.matches("Read-only file system").count(),
        2,
        "{output}"
    );
}

/// CVE-2025-52565: `/dev/pts/0` is a link when it becomes `/dev/console`.
#[test]
fn the_console_is_the_containers_own_terminal() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    fs::create_dir_all(root.path().join("dev/pts")).unwrap();
    for name in ["dev/pts/0", "dev/console"] {
        link(&root, "/proc/sysrq-trigger", name);
    }
    let script = "stat -c '%F %t:%T' /dev/console /dev/pts/0; echo to-console > /dev/console; \
                  grep -c ' /dev/console ' /proc/self/mountinfo";
    let mut running = host
        .sh(&root, &["-t", "--network", "none"], script)
        .pty(80, 24);
    running.wait_for("to-console");
    let output = running.wait();
    let terminals = output
        .success()
        .stdout
        .matches("character special file 88:0")
        .count();
    assert_eq!(terminals, 2, "{output}");
}

/// CVE-2025-52881, CVE-2019-16884: what is meant for the kernel is written to a file of the
/// container's, or to another one of the kernel's.
#[test]
fn kernel_parameters_are_told_to_the_kernel_alone() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let fake = host.file("fake/ipv4/ping_group_range", "untouched");
    host.file("fake/ipv4/ip_unprivileged_port_start", "untouched");
    let mount = format!("{}:/fake", host.work().join("fake").display());
    // A link in the image leads the volume over the kernel's own directory.
    for target in ["/proc/sys/net", "/proc/sys/kernel/../net"] {
        link(&root, target, "fake");
        let output = host
            .sh(&root, &["--network", "none", "-v", &mount], "true")
            .run();
        output.code(125);
        assert_eq!(fs::read_to_string(&fake).unwrap(), "untouched");
    }
}

/// CVE-2022-0811: a parameter that has another one in its value.
#[test]
fn a_parameter_smuggles_in_no_other() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    let pattern = || fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let before = pattern();
    for sysctl in [
        "kernel.shm_rmid_forced=1+kernel.core_pattern=|/evil",
        "kernel.shm_rmid_forced=1\nkernel.core_pattern=|/evil",
        "kernel/shm_rmid_forced/../core_pattern=|/evil",
        "kernel.core_pattern=|/evil",
        "net/../kernel/core_pattern=|/evil",
    ] {
        let flags = ["--network", "none", "--sysctl", sysctl];
        host.sh(&root, &flags, "true").run().code(125);
    }
    assert_eq!(pattern(), before);
}

/// CVE-2026-55686, CVE-2024-45310: a directory that is made on the host, through a link in the
/// image.
#[test]
fn directories_are_made_inside() {
    let host = Host::new();
    let prey = Prey::new(&host);
    let root = Rootfs::new(&host);
    link(&root, prey.climb(), "work");
    link(&root, prey.path(), "other");
    let volume = host.work().join("volume");
    fs::create_dir(&volume).unwrap();
    let data = format!("{}:/work/volume", volume.display());
    let file = format!("{}:/other/file", host.file("file", "x").display());
    let flags = [
        "--network",
        "none",
        "-w",
        "/work/new",
        "-v",
        &data,
        "-v",
        &file,
    ];
    let script = "pwd; touch here /work/there; ls /other; ls /work/new";
    let output = host.sh(&root, &flags, script).run();
    // The same path as the prey's, in the container.
    output
        .success()
        .says("prey/new")
        .says("there")
        .does_not_say("secret");
    prey.assert_untouched();
}

/// CVE-2019-14271, CVE-2026-41567: `cp` loads a library, or runs a program, of the container.
#[test]
fn nothing_of_the_container_runs_for_cp() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for name in [
        "gzip", "pigz", "unpigz", "xz", "bzip2", "zstd", "tar", "id", "getent",
    ] {
        program(&root, &format!("bin/{name}"), "#!/bin/sh\n: > /pwned\n");
    }
    // Whoever opens one of these waits for ever.
    for name in [
        "etc/nsswitch.conf",
        "etc/ld.so.cache",
        "etc/ld.so.preload",
        "etc/localtime",
        "lib/x86_64-linux-gnu/libnss_files.so.2",
        "lib64/libnss_files.so.2",
        "usr/lib/x86_64-linux-gnu/libnss_compat.so.2",
    ] {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (mode, fifo) = (
            rustix::fs::Mode::from_raw_mode(0o666),
            rustix::fs::FileType::Fifo,
        );
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
    }
    host.start("box", &root, &QUIET, SLEEP);
    host.file("tree/file", "content");
    for stopped in [false, true] {
        if stopped {
            host.coop(["stop", "-t", "0", "box"]).run().success();
        }
        host.coop(["cp", "-a", "tree", "box:/srv"]).run().success();
        host.coop(["cp", "-a", "box:/srv/tree", "out"])
            .run()
            .success();
        let packed = host.coop(["cp", "-", "box:/srv"]);
        packed
            .through_shell("/bin/tar cz tree | \"$@\"")
            .run()
            .code(1);
        let list = host.coop(["cp", "box:/pwned", "pwned"]).run();
        list.fails(1, &["no such file or directory"]);
    }
}

/// CVE-2022-1227: `top` runs a program of the container with more rights than it has.
#[test]
fn nothing_of_the_container_runs_for_top() {
    let host = Host::new();
    let root = Rootfs::new(&host);
    for name in ["ps", "nsenter", "top"] {
        program(&root, &format!("bin/{name}"), "#!/bin/sh\n: > /pwned\n");
    }
    host.start("box", &root, &QUIET, &format!("echo up; {SLEEP}"));
    wait_until_it_says(&host, "box", "up");
    host.coop(["top", "box"]).run().success().says("sleep 1000");
    host.coop(["exec", "box", "/bin/test", "!", "-e", "/pwned"])
        .run()
        .success();
}

/// CVE-2021-20206: the name of a network is a path.
#[test]
fn names_are_no_paths() {
    let host = Host::new();
    let prey = Prey::new(&host);
    let root = Rootfs::new(&host);
    for name in ["../../prey", "/etc", "a/../../b", ".."] {
        for flags in [
            vec!["--name".to_owned(), name.to_owned()],
            vec!["-v".to_owned(), format!("{name}x/..:")],
        ] {
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            host.sh(&root, &flags, "true").run().code(125);
        }
        let yaml = format!(
            "services:\n  web:\n    rootfs: {}\n    command: 'true'\n    networks: [n]\n\
             networks:\n  n: {{name: '{name}'}}\n",
            root.path().display()
        );
        host.stack(&yaml)
            .coop("up")
            .arg("-d")
            .run()
            .stack_fails(&[]);
    }
    prey.assert_untouched();
}
