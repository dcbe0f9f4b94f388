//! What a container's filter refuses, told to who runs it.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};
use coop_launcher::logs::Stream;
use coop_seccomp::{Action, Filter, Filtered, Flags, Refusal};

use super::oversee::Overseeing;
use crate::plan::ContainerPlan;
use crate::stage::Overseer;
use crate::ui::try_print_bytes;

/// So many different refusals are told: a program that tries everything is known by then.
const MOST: usize = 20;

/// A process that says which calls are refused to whom. For a profile that asks for its refusals to
/// be logged: the kernel's log has them, by number, where it has such things at all, and only
/// root may read it.
pub(in crate::command) struct Watcher(Overseeing);

impl Watcher {
    /// Starts it, when the plan's filter asks for it.
    pub(in crate::command) fn start(plan: &ContainerPlan) -> Result<Option<Self>> {
        match &plan.seccomp {
            Filter::Filtered(filtered) if filtered.flags.contains(Flags::LOG) => {
                Overseeing::start(|socket| watch(socket, filtered)).map(|it| Some(Self(it)))
            }
            _ => Ok(None),
        }
    }

    /// Where containers hand over.
    pub(in crate::command) fn overseer(&self) -> Overseer {
        Overseer::Watcher(Rc::clone(&self.0.socket))
    }

    /// Waits until all is said. Nobody else must have the socket any more.
    pub(in crate::command) fn finish(self) -> Result<()> {
        self.0.finish().map(drop)
    }
}

fn watch(socket: &OwnedFd, filtered: &Filtered) -> Result<()> {
    let profile = Path::new(&filtered.profile);
    let profile = profile.file_name().unwrap_or(profile.as_os_str());
    // A raw terminal does not begin a line at its left by itself.
    let end = if rustix::termios::isatty(rustix::stdio::stderr()) {
        "\r\n"
    } else {
        "\n"
    };
    let mut told = BTreeSet::new();
    coop_seccomp::Watcher::new(socket, &filtered.program)
        .run(|refusal| {
            let line = line(&refusal);
            if told.len() < MOST && told.insert(line.clone()) {
                let text = format!("seccomp: {}: {line}{end}", profile.display());
                let _ = try_print_bytes(Stream::Stderr, text.as_bytes());
            }
        })
        .context("listen for refused system calls")
}

/// `socket refused to python3: errno EPERM`
fn line(refusal: &Refusal) -> String {
    let call = match refusal.arch.name_of(refusal.number) {
        Some(name) => name.to_owned(),
        None => format!("system call {} of {}", refusal.number, refusal.arch),
    };
    let name = refusal.thread.and_then(|thread| {
        let path = format!("/proc/{}/comm", thread.as_raw_nonzero());
        std::fs::read_to_string(path).ok()
    });
    // It waits for the answer, but may have been killed and its number be another's: this is for
    // people to read, and no more.
    let who = match name.as_deref().map(str::trim_end) {
        Some(name) => format!(" to {}", name.escape_debug()),
        None => String::new(),
    };
    format!("{call} refused{who}: {}", Action::Errno(refusal.errno))
}
