//! `cargo xtask vm-test` and `vm-shell`: the tests on other kernels, in a virtual machine.
//!
//! Everything comes from Debian's packages (`debian.rs`): QEMU where the machine has none, the
//! kernels (`kernel.rs`) with their modules (`modules.rs`), and the guest's programs, of which a
//! disk is made (`disk.rs`). The tests and `coop` are built here (`programs.rs`) and go on a
//! second disk. The kernel starts with a few files in memory (`initramfs.rs`), the first of
//! which is process 1 (`tests/guest/`). What the guest tells (`protocol.rs`) is shown and counted
//! (`report.rs`) while the machine is watched (`machine.rs`).

mod disk;
mod guest;
mod initramfs;
mod kernel;
mod kvm;
mod machine;
mod modules;
mod programs;
mod protocol;
mod qemu;
mod report;
mod run;
mod shell;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use self::guest::{Accelerator, Guest};

pub(crate) use run::test;
pub(crate) use shell::shell;

#[derive(Args)]
pub(crate) struct TestOptions {
    /// Run only the tests whose name, or whose program's name, contains this
    filter: Option<String>,
    #[command(flatten)]
    machine: MachineOptions,
    /// What the guest lacks: full (nothing), userns=limited, userns=forbidden, no-nft,
    /// no-idmap; selinux (nothing); or all of them, one after the other
    #[arg(long, default_value = "all")]
    variant: String,
    /// Only the programs whose outcome depends on the kernel most: the crates' own, isolation,
    /// limits, networks, without root, weaker kernels
    #[arg(long)]
    quick: bool,
}

#[derive(Args)]
pub(crate) struct ShellOptions {
    #[command(flatten)]
    machine: MachineOptions,
    /// What the guest lacks; see vm-test
    #[arg(long, default_value = "full")]
    variant: String,
}

#[derive(Args)]
struct MachineOptions {
    /// A kernel of Debian (5.10, 6.1, 6.12, sid), all of them, or the path of an image
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: String,
    /// The directory with the modules of a kernel that is given by its path
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Let this machine's kernel run the guest, after a proof that it can
    #[arg(long)]
    kvm: bool,
}

impl MachineOptions {
    /// The guest with `--kvm`, where that is asked for and works.
    fn accelerated<'a>(&self, guest: Guest<'a>, directory: &Path) -> Result<Guest<'a>> {
        if !self.kvm {
            return Ok(guest);
        }
        kvm::prove(&guest, directory)?;
        Ok(Guest {
            accelerator: Accelerator::Kvm,
            ..guest
        })
    }
}
