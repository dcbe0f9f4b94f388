//! `coop exec`: one more process in a running container.

use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use coop_launcher::session::{Session, SessionEnd};
use coop_launcher::stdio::Pipes;
use coop_launcher::store::{State, Status};
use coop_launcher::supervisor::{self, Outcome, Report};
use coop_launcher::terminal::RawMode;
use coop_ns::privileges::CapabilitySet;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::args::{ExecArgs, StackArgs};
use crate::host::Host;
use crate::load;
use crate::plan::{ContainerPlan, ProcessPlan};
use crate::{supervise, wire};

/// `coop exec`.
pub(crate) fn exec(host: &Host, stack: &StackArgs, args: &ExecArgs) -> Result<i32> {
    let state = load::resolve_replica(host, stack, &args.name, args.replica)?;
    drop(supervise::keeper(host, &state.stack)?);
    let state = host.store.load_state(&state.id)?;
    let Some(init) = state.live_init() else {
        bail!(
            "container {} is not running\n  help: start it with `coop start {}`",
            state.name,
            state.name
        );
    };
    // Until its program is executed, its namespaces have the host's files in them.
    if matches!(state.status, Status::Creating | Status::Created) {
        bail!(
            "container {} is being started\n  help: try again when it runs",
            state.name
        );
    }
    if state.status == Status::Paused {
        bail!(
            "container {} is paused\n  help: let it go on with `coop unpause {}`",
            state.name,
            state.name
        );
    }
    let mut plan: ContainerPlan = host.store.load_config(&state.id)?;
    if args.privileged {
        plan.privileges.capabilities = CapabilitySet::ALL;
        plan.privileges.no_new_privileges = false;
    }
    let process = process(&plan, args)?;
    let mut session = Session::new()?;
    let streams = if args.detach || args.tty {
        Pipes::null()?
    } else {
        pipes(&mut session, args)?
    };
    let pipeline = wire::exec_pipeline(&plan, &process, host, init, streams, None)?;
    // Looked at after its namespaces were opened: the number may be another process's by now, and
    // those may be the host's.
    if state.live_init() != Some(init) {
        bail!("container {} has ended", state.name);
    }

    let raw = (args.tty && args.interactive && std::io::stdin().is_terminal())
        .then(|| RawMode::enter(std::io::stdin()))
        .transpose()?;
    let started = pipeline.clone_child(None).and_then(|mut cloned| {
        cloned.attach()?;
        let mut created = cloned.finish()?;
        let terminal = created.take_terminal();
        Ok((created.start()?, terminal))
    });
    let (pidfd, terminal) = match started {
        Ok(started) => started,
        Err(error) => {
            drop(raw);
            let code = error.exit_code();
            crate::ui::error(&anyhow::Error::from(error).context(state.name.to_string()));
            return Ok(code);
        }
    };
    if args.detach {
        return Ok(0);
    }
    if let Some(master) = terminal {
        session.connect_terminal(master)?;
    }
    session.streams().detach_by(&args.detach_keys);
    let end = session.run(&pidfd).context("wait for the command")?;
    drop(raw);
    match end {
        SessionEnd::Ended(status) => Ok(status.code()),
        SessionEnd::Detached(session) => leave(host, &state, *session, &pidfd),
    }
}

/// The command goes on without the user: somebody has to take what it prints.
fn leave(host: &Host, state: &State, session: Session, pidfd: &Rc<OwnedFd>) -> Result<i32> {
    let client = supervisor::detach(&host.store.dirs().stack_run(&state.stack), |peer| {
        drop(peer.take());
        if let Err(error) = session.discard_output(pidfd) {
            log::warn!("{error}");
        }
        Ok(Outcome {
            interrupted: false,
            detached: false,
        })
    })?;
    // End of file: it has left the user's terminal, whose end would end it.
    while let Some(report) = client.next()? {
        if let Report::Broken { error } = report {
            bail!("{}: leave the command to itself: {error}", state.name);
        }
    }
    super::attach::detached()
}

fn process(plan: &ContainerPlan, args: &ExecArgs) -> Result<ProcessPlan> {
    let mut process = plan.process.clone();
    process.argv.clone_from(&args.command);
    process.terminal = args.tty;
    process.stdin_open = args.interactive;
    if let Some(user) = &args.user {
        process.user = user.to_string();
    }
    if let Some(dir) = &args.workdir {
        process.cwd.clone_from(dir);
    }
    if args.tty {
        process.env.push("TERM=xterm".into());
    }
    let given = crate::single::variables(&args.env, &args.env_file)?;
    process.env.extend(given);
    Ok(process)
}

/// Pipes between the user's streams and the command's: no descriptor of the host's, a terminal
/// least of all, gets into the container.
fn pipes(session: &mut Session, args: &ExecArgs) -> Result<Pipes> {
    let pipe =
        || -> Result<(OwnedFd, OwnedFd)> { pipe_with(PipeFlags::CLOEXEC).context("make a pipe") };
    let mut stdin = None;
    if args.interactive {
        let (theirs, ours) = pipe()?;
        session.streams().add_input(std::io::stdin(), ours)?;
        stdin = Some(theirs);
    }
    let (ours, stdout) = pipe()?;
    session.streams().add_output(ours, std::io::stdout())?;
    let (ours, stderr) = pipe()?;
    session.streams().add_output(ours, std::io::stderr())?;
    Ok(Pipes::given(stdin, stdout, stderr))
}
