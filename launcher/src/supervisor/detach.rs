//! A supervisor that outlives the command that made it.

use std::path::Path;

use super::{Client, Outcome, Peer, Report, Supervisor, SupervisorError, kernel, own_log};
use crate::error::{Error, chain};

/// Forks a supervisor that outlives this command: in a session of its own, with no terminal.
///
/// `body` runs in the new process and takes the other end of the returned connection. When it
/// fails before it has, the command is told why ([`Report::Broken`]). What is logged there goes
/// to a file in `stack_dir`, the stack's run directory.
///
/// # Errors
/// When the process cannot be made.
pub fn detach(
    stack_dir: &Path,
    body: impl FnOnce(&mut Option<Peer>) -> Result<Outcome, SupervisorError>,
) -> Result<Client, SupervisorError> {
    let (client, peer) = Client::pair()?;
    let args = coop_ns::CloneArgs {
        namespaces: coop_ns::Namespaces::empty(),
        cgroup: None,
    };
    // SAFETY: commands of this program have a single thread (see the crate's documentation).
    match unsafe { coop_ns::clone3(&args) }.map_err(Error::Clone)? {
        coop_ns::Forked::Parent(_) => Ok(client),
        coop_ns::Forked::Child => {
            drop(client);
            let mut peer = Some(peer);
            let code = match leave_terminal(stack_dir).and_then(|()| body(&mut peer)) {
                Ok(_) => 0,
                Err(error) => {
                    let error = chain(&error);
                    log::error!("{error}");
                    if let Some(peer) = &mut peer {
                        peer.report(&Report::Broken { error }, None);
                    }
                    1
                }
            };
            coop_ns::exit_child(code)
        }
    }
}

impl Supervisor<'_> {
    /// Goes on in the background: the user has left.
    ///
    /// The containers stay children of this process, which ends: the other one learns of their
    /// ends as after an adoption. All else it has by the fork.
    pub(super) fn leave_user(mut self) -> Result<Outcome, SupervisorError> {
        if let Some(foreground) = &mut self.foreground {
            foreground.unwatch(&self.reactor);
        }
        for unit in &mut self.units {
            // It is a child of this process, too; the next one is in time.
            unit.end_check(&self.reactor);
        }
        let dir = self.store.dirs().stack_run(&self.stack);
        let mut own = Some(self);
        let client = detach(&dir, |peer| {
            let Some(mut own) = own.take() else {
                return Ok(DETACHED);
            };
            own.foreground = None;
            if let Some(lock) = &own.lock {
                lock.record_owner()?;
            }
            drop(peer.take());
            own.run()
        })?;
        // End of file: it has the stack.
        while let Some(report) = client.next()? {
            if let Report::Broken { error } = report {
                return Err(SupervisorError::Detach(error));
            }
        }
        if let Some(mut own) = own {
            own.foreground = None;
            // What it watches and holds is the other one's as well.
            std::mem::forget(own);
        }
        Ok(DETACHED)
    }
}

const DETACHED: Outcome = Outcome {
    interrupted: false,
    detached: true,
};

fn leave_terminal(stack_dir: &Path) -> Result<(), SupervisorError> {
    use rustix::fs::{Mode, OFlags};

    rustix::process::setsid().map_err(kernel("setsid"))?;
    // Not to keep a filesystem busy that the user wants to unmount.
    rustix::process::chdir("/").map_err(kernel("chdir /"))?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(kernel("open /dev/null"))?;
    rustix::stdio::dup2_stdin(&null).map_err(kernel("redirect standard input"))?;
    rustix::stdio::dup2_stdout(&null).map_err(kernel("redirect standard output"))?;
    // Where nothing can be written, nothing can be said: that is no reason not to start.
    let words = own_log::open(stack_dir);
    rustix::stdio::dup2_stderr(words.as_ref().unwrap_or(&null))
        .map_err(kernel("redirect standard error"))?;
    // Whoever started us with more than these may wait for their end just as well.
    // The command may have blocked some for itself.
    crate::signals::unblock_all()?;
    crate::sys::redirect_inherited(&null).map_err(kernel("redirect an inherited descriptor"))
}
