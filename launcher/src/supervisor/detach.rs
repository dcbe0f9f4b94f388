//! A supervisor that outlives the command that made it.

use std::path::Path;

use super::{Client, Outcome, Peer, Report, SupervisorError, kernel, own_log};
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
