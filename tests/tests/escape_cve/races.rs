//! A link that takes the place of a directory, and the other way round, while the runtime works.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use coop_tests::{Host, Rootfs};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{Prey, QUIET, wait_until_it_says};

/// Exchanges a directory and a link, again and again, as another container that shares it would.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU32>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapper {
    fn new(directory: PathBuf, link: PathBuf) -> Self {
        let (stop, swaps) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let (ends, counts) = (Arc::clone(&stop), Arc::clone(&swaps));
        let swap = move || {
            while !ends.load(Ordering::Relaxed) {
                let flags = RenameFlags::EXCHANGE;
                // The runtime may hold it for a moment as a mount point.
                if renameat_with(CWD, &directory, CWD, &link, flags).is_ok() {
                    counts.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::yield_now();
            }
        };
        Self {
            stop,
            swaps,
            thread: Some(std::thread::spawn(swap)),
        }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !std::thread::panicking() {
            let swaps = self.swaps.load(Ordering::Relaxed);
            assert!(swaps > 100, "hardly a race: {swaps} exchanges");
        }
    }
}

/// CVE-2021-30465, CVE-2024-45310, CVE-2026-41568, CVE-2026-42306, CVE-2018-15664: a mount's
/// target is exchanged for a link between the look and the mount.
#[test]
fn a_target_that_is_swapped_for_a_link_leads_no_mount_out() {
    let host = Host::new();
    let prey = Prey::new(&host);
    let root = Rootfs::new(&host);
    let shared = host.work().join("shared");
    let data = host.work().join("data");
    fs::create_dir_all(shared.join("a/b/c")).unwrap();
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(prey.climb(), shared.join("link")).unwrap();
    let volumes = [
        format!("{}:/v", shared.display()),
        format!("{}:/v/a/b", data.display()),
        format!("{}:/v/a/made/{}", data.display(), "x"),
    ];
    let swapper = Swapper::new(shared.join("a"), shared.join("link"));
    let mut begun = 0;
    for _ in 0..40 {
        let mut flags = vec!["--network", "none"];
        flags.extend(volumes.iter().flat_map(|volume| ["-v", volume]));
        let script = "cat /v/a/secret; : > /v/a/b/planted; echo begun";
        let output = host.sh(&root, &flags, script).run();
        // Some fail, for what is to be a directory has gone. None shows what is outside.
        assert!(
            [0, 1, 125].contains(&output.status.code().unwrap_or(-1)),
            "{output}"
        );
        output.does_not_say(Prey::SECRET);
        begun += usize::from(output.stdout.contains("begun"));
        prey.assert_untouched();
    }
    drop(swapper);
    assert!(begun > 0, "none of the containers has begun");
}

/// The same with `cp`, which builds the root of a container that does not run.
#[test]
fn a_target_that_is_swapped_for_a_link_leads_no_copy_out() {
    let host = Host::new();
    let prey = Prey::new(&host);
    let root = Rootfs::new(&host);
    let shared = host.work().join("shared");
    let data = host.work().join("data");
    fs::create_dir_all(shared.join("a/b")).unwrap();
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink(prey.climb(), shared.join("link")).unwrap();
    let volumes = [
        format!("{}:/v", shared.display()),
        format!("{}:/v/a/b", data.display()),
    ];
    let mut flags = QUIET.to_vec();
    flags.extend(volumes.iter().flat_map(|volume| ["-v", volume]));
    host.start("box", &root, &flags, "true");
    coop_tests::wait_until("it has ended", || host.processes().is_empty());
    host.file("evil", "evil");
    let swapper = Swapper::new(shared.join("a"), shared.join("link"));
    for _ in 0..20 {
        host.coop(["cp", "evil", "box:/v/a/b/planted"]).run();
        host.coop(["cp", "evil", "box:/v/a/planted"]).run();
        host.coop(["cp", "box:/v/a/secret", "stolen"]).run();
        prey.assert_untouched();
    }
    drop(swapper);
    let stolen = fs::read_to_string(host.work().join("stolen")).unwrap_or_default();
    assert_ne!(stolen, Prey::SECRET);
}

/// CVE-2024-9676 and its kin: `/etc/passwd` of a container that runs is whatever it wants, at any
/// moment, when a process enters it.
#[test]
fn user_files_that_change_all_the_time_hang_nobody_and_make_nobody_root() {
    let host = Host::new();
    let prey = Prey::new(&host);
    let root = Rootfs::new(&host);
    let script = format!(
        "cd /etc; busybox mkfifo fifo; ln -s /dev/zero zero; ln -s /proc/1/root/etc/shadow magic; \
         ln -s {0} out; ln -s passwd passwd.loop; busybox mknod null c 1 3; \
         printf 'app:x:0x0:0:::\\napp:x:1000' > broken; \
         busybox dd if=/dev/zero of=huge bs=1M count=0 seek=9000 2>/dev/null; \
         ln -sf fifo passwd; ln -sf fifo group; echo ready; \
         while :; do for f in fifo zero magic out passwd.loop broken huge; do \
         ln -sf $f passwd; ln -sf $f group; done; done 2>/dev/null",
        prey.path().join("secret").display()
    );
    host.start("box", &root, &QUIET, &script);
    wait_until_it_says(&host, "box", "ready");
    for _ in 0..30 {
        let output = host
            .coop(["exec", "-u", "app", "box", "/bin/id", "-u"])
            .run();
        // It is found in none of these files.
        assert_eq!(
            (output.status.code(), output.text()),
            (Some(125), ""),
            "{output}"
        );
        output.does_not_say(Prey::SECRET);
        // A number needs no entry, but a file that is none is no reason to guess.
        let look = [
            "exec",
            "-u",
            "77:77",
            "box",
            "/bin/grep",
            "Uid:",
            "/proc/self/status",
        ];
        let output = host.coop(look).run();
        assert!(
            output.text().contains("\t77\t") || output.status.code() == Some(125),
            "{output}"
        );
    }
}
