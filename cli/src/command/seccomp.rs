//! `coop seccomp`.

mod oversee;
mod record;
mod show;
mod watch;

use anyhow::Result;
use coop_seccomp::{Capabilities, Context, KernelVersion};

use crate::args::{ContextArgs, SeccompCommand};
use crate::plan;
use crate::ui::print;

pub(super) use record::Recorder;
pub(super) use watch::Watcher;

/// `coop seccomp`.
pub(super) fn seccomp(command: &SeccompCommand) -> Result<i32> {
    match command {
        SeccompCommand::Explain(args) => answer(&show::explain(args)?),
        SeccompCommand::Dump(args) => answer(&show::dump(args)?),
        SeccompCommand::Diff(args) => {
            let differences = show::diff(args)?;
            print(&differences)?;
            Ok(i32::from(!differences.is_empty()))
        }
        SeccompCommand::Record(args) => record::record(args),
    }
}

fn answer(text: &str) -> Result<i32> {
    print(text)?;
    Ok(0)
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
