//! `coop seccomp`: looks at profiles, and makes them.

use crate::stack::value::SeccompProfile;
use clap::{Args, Subcommand};
use coop_seccomp::Arch;
use std::path::PathBuf;

/// `coop seccomp`.
#[derive(Debug, Args)]
pub(crate) struct SeccompArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SeccompCommand,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum SeccompCommand {
    /// Say what a profile makes of a system call, and why
    Explain(ExplainArgs),
    /// Print the program that a profile is compiled to
    Dump(DumpArgs),
    /// Show what two profiles make of system calls differently
    Diff(DiffProfilesArgs),
    /// Run a command on this host, and write the profile of what it calls
    Record(RecordArgs),
}

/// For whom a profile is resolved.
#[derive(Debug, Clone, Args)]
pub(crate) struct ContextArgs {
    /// The kernel's architecture.
    #[arg(
        long,
        value_name = "ARCH",
        help = "x86_64, aarch64 or riscv64 [default: this machine's]"
    )]
    pub arch: Option<Arch>,
    /// Add a capability to the default ones, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Drop a default capability, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
}

/// `coop seccomp explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop seccomp explain default openat\n  \
    coop seccomp explain default clone --cap-add SYS_ADMIN\n  \
    coop seccomp explain default socket 38")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub context: ContextArgs,
    /// default, strict, or a profile's file
    #[arg(value_name = "PROFILE")]
    pub profile: SeccompProfile,
    /// The system call, by name or number
    #[arg(value_name = "CALL")]
    pub call: String,
    /// Arguments, in decimal or with 0x: what then happens
    #[arg(
        value_name = "ARGUMENT",
        value_parser = number,
        num_args = 0..=6,
        allow_negative_numbers = true
    )]
    pub arguments: Vec<u64>,
}

/// `coop seccomp dump`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop seccomp dump strict\n  \
    coop seccomp dump ./profile.json --arch aarch64")]
pub(crate) struct DumpArgs {
    #[command(flatten)]
    pub context: ContextArgs,
    /// default, strict, or a profile's file
    #[arg(value_name = "PROFILE")]
    pub profile: SeccompProfile,
}

/// `coop seccomp diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop seccomp diff default strict\n  \
    coop seccomp diff /usr/share/containers/seccomp.json default\n\n\
    Exit status: 0 when they mean the same, 1 when they do not, 2 when Coop fails.")]
pub(crate) struct DiffProfilesArgs {
    #[command(flatten)]
    pub context: ContextArgs,
    /// default, strict, unconfined, or a profile's file
    #[arg(value_name = "A")]
    pub a: SeccompProfile,
    /// The other
    #[arg(value_name = "B")]
    pub b: SeccompProfile,
}

/// `coop seccomp record`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    coop seccomp record -o p.json -- python3 -c 'print(1)'\n  \
    coop run --security-opt seccomp=p.json coop/host python3 -c 'print(1)'\n\n\
    In a container: coop run --seccomp-record FILE …\n\
    Exit status: the command's own; 125 when Coop fails.")]
pub(crate) struct RecordArgs {
    /// Where to write the profile [default: standard output, when the command has ended]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub command: Vec<String>,
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        // A descriptor or a process may be -1.
        None if text.starts_with('-') => text.parse().map(|number: i64| number as u64),
        None => text.parse(),
    };
    parsed.map_err(|_| "write a number, such as 16 or 0x10".to_owned())
}
