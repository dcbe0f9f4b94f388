//! `cargo xtask vm-shell`.

use anyhow::{Context, Result, bail};

use super::guest::{Accelerator, Guest, Job, Ports};
use super::qemu::Qemu;
use super::{ShellOptions, disk, kernel, machine, programs, run};

/// Boots the virtual machine and gives its shell.
///
/// # Errors
/// When the guest cannot be started.
pub(crate) fn shell(options: &ShellOptions) -> Result<()> {
    let kernels = kernel::chosen(&options.machine.kernel, options.machine.modules.as_deref())?;
    let [kernel] = &kernels[..] else {
        bail!("a shell is on one kernel: choose one by --kernel");
    };
    let qemu = Qemu::find()?;
    let directory = run::directory()?;
    let built = programs::build(&directory)?;
    let disks = [disk::root(&directory)?, disk::tests(&built, &directory)?];
    let guest = Guest {
        qemu: &qemu,
        accelerator: Accelerator::Tcg,
        kernel,
        init: &built.init,
        disks: &disks,
    };
    let guest = options.machine.accelerated(guest, &directory)?;
    let mut job = Job::new("shell", &options.variant);
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdout())
        && size.ws_row > 0
    {
        job = job.with("terminal", format!("{} {}", size.ws_row, size.ws_col));
    }
    let mut start = guest.command(&job, &options.variant, Ports::Interactive)?;
    machine::ends_with_this_process(&mut start.command);
    eprintln!(
        "xtask: booting Linux {}; `exit` or ctrl-A x leaves it, and nothing that you change in \
         it stays. Test programs are in /tests/programs, coop is in PATH.",
        kernel.name
    );
    let status = start.command.status().context("cannot start the machine")?;
    if !status.success() {
        bail!("the virtual machine ended with {status}");
    }
    Ok(())
}
