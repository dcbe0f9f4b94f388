//! Process 1 of the virtual machine of `cargo xtask vm-test` and `vm-shell`.
//!
//! It starts in an initramfs that holds itself, kernel modules and `/job`, which says what is
//! to be done. It loads the modules, moves to the disk, makes an ordinary system of it, and
//! runs the test programs one after the other. What happens is told on the second serial
//! port, in lines (`report.rs`); the first one is the console.
//!
//! # What a test program finds
//!
//! - cgroup v2 at `/sys/fs/cgroup`, with every controller that the kernel has.
//! - `COOP_BIN` and `COOP_BIN_FAULT`, as in `cargo xtask test`.
//! - `COOP_GUEST_VARIANT`: `full`, or what the guest lacks: `userns=limited` (four user
//!   namespaces), `userns=forbidden` (none), `no-nft` (neither program nor modules), `no-idmap`
//!   (temporary files are on a tmpfs, whose files Linux before 6.3 cannot id-map). It is
//!   `coop.variant=` on the kernel's command line as well. Variants run only the programs whose
//!   name begins with `vm_matrix`. `selinux` lacks nothing: its kernel has `SELinux` in place of
//!   `AppArmor`, with no policy yet, and it runs `vm_selinux`.
//!
//! Programs run as root, and in the root cgroup, but those whose name begins with
//! `rootless_delegated`: they run as the user 1000, `user`, as systemd would have started them
//! in a session of that user with a delegated subtree:
//!
//! - `COOP_TEST_DELEGATED` is the slice
//!   `/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice`. It and the group
//!   above it belong to the user, as do their `cgroup.procs`, `cgroup.threads` and
//!   `cgroup.subtree_control`. It holds no process, and has the controllers `cpu`, `memory` and
//!   `pids`.
//! - The program itself is in `tests.scope` below it, which belongs to the user too.
//! - `HOME=/home/user`, which is the working directory, `XDG_RUNTIME_DIR=/run/user/1000`.
//! - `/etc/subuid` and `/etc/subgid` give `user` 65,536 ids from 165536, and root the
//!   65,536,000 from 1000000.

mod accounts;
mod boot;
mod job;
mod report;
mod suite;
mod system;

use std::convert::Infallible;

use anyhow::{Context, Result};
use rustix::system::RebootCommand;

use crate::job::{Job, Mode};
use crate::report::Report;

fn main() {
    if rustix::process::getpid().as_raw_nonzero().get() != 1 {
        eprintln!("guest-init: only for process 1 of a virtual machine");
        std::process::exit(2);
    }
    if let Err(error) = run() {
        // On the console: the host shows its end when the guest has not come to its own.
        eprintln!("guest-init: {error:#}");
    }
    // Nothing on the disk outlives this machine: there is nothing to save.
    let Err(error): Result<Infallible, _> = power_off();
    eprintln!("guest-init: cannot power off: {error}");
}

fn run() -> Result<()> {
    boot::mount_kernel_filesystems()?;
    let job = Job::read("/job")?;
    if job.mode == Mode::Probe {
        return Report::open()?.ready();
    }
    boot::load_modules(&job.variant)?;
    boot::move_to_disk()?;
    system::prepare(&job)?;
    match job.mode {
        Mode::Test => {
            let mut report = Report::open()?;
            report.ready()?;
            for program in &job.programs {
                suite::run(program, &job, &mut report)
                    .with_context(|| format!("run {}", program.name))?;
            }
            report.done()
        }
        Mode::Shell => system::shell(&job),
        Mode::Probe => Ok(()),
    }
}

fn power_off() -> rustix::io::Result<Infallible> {
    rustix::system::reboot(RebootCommand::PowerOff)?;
    // The kernel is about to stop this machine.
    loop {
        std::thread::park();
    }
}
