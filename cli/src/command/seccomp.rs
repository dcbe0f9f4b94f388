//! `coop seccomp`.

mod record;
mod show;

use anyhow::Result;
use coop_seccomp::{Capabilities, Context, KernelVersion};

use crate::args::{ContextArgs, SeccompCommand};
use crate::plan;

pub(super) use record::Recorder;

/// `coop seccomp`.
pub(super) fn seccomp(command: &SeccompCommand) -> Result<i32> {
    match command {
        SeccompCommand::Explain(args) => show::explain(args),
        SeccompCommand::Dump(args) => show::dump(args),
        SeccompCommand::Diff(args) => show::diff(args),
        SeccompCommand::Record(args) => record::record(args),
    }
}

/// For whom profiles are resolved: a container with these capabilities.
fn context(args: &ContextArgs) -> Result<Context> {
    let capabilities = plan::capabilities(&args.cap_add, &args.cap_drop, false)?;
    let own = plan::seccomp_context(Capabilities::from_bits(capabilities.bits()));
    let arch = args.arch.unwrap_or(own.arch);
    Ok(Context {
        arch,
        // Of another machine nobody knows more than that it is of today.
        kernel: if arch == own.arch {
            own.kernel
        } else {
            KernelVersion { major: 6, minor: 1 }.max(own.kernel)
        },
        ..own
    })
}
