//! The machine, its kernel's first files, and what it is told to do.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create};

use super::initramfs::Archive;
use super::kernel::Kernel;
use super::modules;
use super::qemu::Qemu;
use super::run::SELINUX;
use crate::cargo::workspace;

/// What emulates the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// QEMU itself: slow, and everywhere.
    Tcg,
    /// The kernel of this machine.
    Kvm,
}

/// Where console and report of the guest go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ports<'a> {
    /// The console to this file, the report to standard output.
    Watched { console: &'a Path },
    /// The console to the terminal.
    Interactive,
}

/// What the guest does; `tests/guest/job.rs` reads it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Job {
    lines: String,
}

impl Job {
    /// A job of `mode` (test, shell or probe) on a guest of this variant.
    pub(crate) fn new(mode: &str, variant: &str) -> Self {
        Self::default()
            .with("mode", mode)
            .with("variant", variant)
            .with("workspace", workspace().display())
    }

    /// Adds a line.
    pub(crate) fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        let value = value.to_string().replace('\n', " ");
        let _ = writeln!(self.lines, "{key} {value}");
        self
    }
}

/// A machine as it will be started.
#[derive(Clone, Copy)]
pub(crate) struct Guest<'a> {
    pub(crate) qemu: &'a Qemu,
    pub(crate) accelerator: Accelerator,
    pub(crate) kernel: &'a Kernel,
    pub(crate) init: &'a Path,
    /// Images; the guest has one disk of each, and writes to none.
    pub(crate) disks: &'a [PathBuf],
}

/// A command, and what it inherits.
pub(crate) struct Start {
    pub(crate) command: Command,
    _initramfs: File,
}

impl Guest<'_> {
    /// The command that runs it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn command(&self, job: &Job, variant: &str, ports: Ports<'_>) -> Result<Start> {
        // In memory, and inherited: there is no file to remove.
        let mut initramfs = File::from(memfd_create(c"initramfs", MemfdFlags::empty())?);
        initramfs.write_all(&self.first_files(job)?)?;
        let mut command = self.qemu.command();
        let accelerator = match self.accelerator {
            Accelerator::Tcg => "tcg,thread=multi",
            Accelerator::Kvm => "kvm",
        };
        command
            .args([
                "-accel",
                accelerator,
                "-cpu",
                "max",
                "-smp",
                "2",
                "-m",
                "3072",
            ])
            .args(["-display", "none", "-no-reboot", "-nic", "none"]);
        match ports {
            Ports::Watched { console } => {
                let mut file = OsString::from("file:");
                file.push(console);
                command.args(["-monitor", "none", "-serial"]).arg(file);
                command.args(["-serial", "stdio"]);
            }
            Ports::Interactive => {
                command.args(["-serial", "mon:stdio", "-serial", "null"]);
            }
        }
        command.args(["-device", "nvme,id=disks,serial=coop"]);
        for (index, image) in self.disks.iter().enumerate() {
            let number = index + 1;
            let mut drive = OsString::from(format!(
                "if=none,id=disk{number},format=raw,snapshot=on,cache=unsafe,file="
            ));
            // A comma in the value is written twice.
            drive.push(image.to_string_lossy().replace(',', ",,"));
            command.arg("-drive").arg(drive);
            let device = format!("nvme-ns,bus=disks,drive=disk{number},nsid={number}");
            command.args(["-device", &device]);
        }
        let security = match variant {
            SELINUX => "security=selinux enforcing=0",
            _ => "security=apparmor",
        };
        command
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(format!("/proc/self/fd/{}", initramfs.as_raw_fd()))
            .arg("-append")
            // A panic ends the machine at once, by a reboot that it may not do. The test of the
            // timer fails when the emulator has to wait for a processor.
            .arg(format!(
                "console=ttyS0 quiet panic=-1 no_timer_check {security} coop.variant={variant}"
            ));
        Ok(Start {
            command,
            _initramfs: initramfs,
        })
    }

    fn first_files(&self, job: &Job) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        archive.directory("dev")?;
        archive.device("dev/console", 5, 1)?;
        let init = fs::read(self.init).with_context(|| format!("{}", self.init.display()))?;
        archive.program("init", &init)?;
        archive.file("job", job.lines.as_bytes())?;
        archive.directory("modules")?;
        let mut order = String::new();
        if let Some(directory) = &self.kernel.modules {
            for module in modules::in_order(directory, modules::WANTED)? {
                archive.file(&format!("modules/{}.ko", module.name), &module.content)?;
                let _ = writeln!(order, "{}", module.name);
            }
        }
        archive.file("modules/order", order.as_bytes())?;
        archive.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_lines_of_keys_and_values() {
        let job = Job::new("test", "no-nft").with("filter", "a\nmode shell");
        assert!(
            job.lines
                .starts_with("mode test\nvariant no-nft\nworkspace /")
        );
        assert!(
            job.lines.ends_with("\nfilter a mode shell\n"),
            "{}",
            job.lines
        );
    }
}
