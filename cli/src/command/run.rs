//! `coop run`: a stack of one.

use std::io::IsTerminal;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use coop_launcher::supervisor::{Foreground, OnSignal, Supervisor};
use coop_launcher::terminal::{DetachKeys, RawMode};

use super::FAILED;
use super::seccomp::{Recorder, Watcher};
use super::up::Failures;
use crate::args::RunArgs;
use crate::host::Host;
use crate::plan::{self, ContainerPlan};
use crate::single;
use crate::stage::Overseer;
use crate::supervise::{self, Keeper, Vacancy};
use crate::ui::ContainerOutput;
use crate::wire::Wires;
use crate::{ports, realize};

/// `coop run`.
pub(crate) fn run(host: &Host, args: &RunArgs) -> Result<i32> {
    if args.tty && args.interactive && !args.detach && !std::io::stdin().is_terminal() {
        anyhow::bail!("the input device is not a TTY\n  help: leave out -t");
    }
    let (stack, service, options) = single::from_args(args)?;
    let output = args.isolation.seccomp_record.as_deref();
    let recorder = output.map(|path| Recorder::start(Some(path))).transpose()?;
    let (name, vacancy) = crate::name::take(host, args.name.as_deref())?;
    let plan = plan::plan_single(
        host,
        &stack,
        &service,
        &options,
        &std::env::vars().collect(),
        name,
        vacancy.stack(),
    )?;
    ports::check(host, &stack, &plan)?;
    let made = realize::realize(host, plan)?;
    let Some(plan) = made.first() else {
        anyhow::bail!("nothing to run")
    };
    if args.detach {
        detached(host, plan, vacancy)
    } else {
        foreground(host, plan, vacancy, args, recorder)
    }
}

fn detached(host: &Host, plan: &ContainerPlan, vacancy: Vacancy<'_>) -> Result<i32> {
    let id = &plan.unit.id;
    let mut failures = Failures::default();
    supervise::start_detached(
        host,
        &plan.stack,
        Keeper::Nobody(vacancy),
        std::slice::from_ref(id),
        &mut |report| {
            failures.note(report);
        },
    )?;
    if let Some(code) = failures.exit_code {
        supervise::remove(host, id)?;
        failures
            .result()
            .map_err(|error| crate::ui::error(&error))
            .ok();
        return Ok(code);
    }
    crate::ui::print(&format!("{id}\n"))?;
    Ok(0)
}

fn foreground(
    host: &Host,
    plan: &ContainerPlan,
    vacancy: Vacancy<'_>,
    args: &RunArgs,
    recorder: Option<Recorder>,
) -> Result<i32> {
    let watcher = match recorder {
        Some(_) => None,
        None => Watcher::start(plan)?,
    };
    let overseer = match (&recorder, &watcher) {
        (Some(recorder), _) => Some(recorder.overseer()),
        (None, watcher) => watcher.as_ref().map(Watcher::overseer),
    };
    let part = Part {
        input: args.interactive,
        usage: args.usage,
        detach_keys: &args.detach_keys,
        overseer: overseer.as_ref(),
    };
    let output = watch(host, plan, vacancy, part)?;
    let code = finish(&output);
    drop(overseer);
    // A container that the user has left goes on, and those who answer for its filter with it.
    if !output.detached {
        match (recorder, output.failures.exit_code) {
            (Some(recorder), None) => recorder.finish()?,
            (Some(recorder), Some(_)) => recorder.discard()?,
            (None, _) => {}
        }
        watcher.map(Watcher::finish).transpose()?;
    }
    if output.failures.exit_code.is_some() {
        supervise::remove(host, &plan.unit.id)?;
    }
    Ok(code)
}

/// What the user has to do with a run besides its output.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// The user's input goes to the container.
    pub(super) input: bool,
    /// At the end, the user is told what it has used.
    pub(super) usage: bool,
    /// What leaves a container with a terminal.
    pub(super) detach_keys: &'a DetachKeys,
    /// Who answers for its filter.
    pub(super) overseer: Option<&'a Overseer>,
}

/// Runs a container in the foreground: this process is its supervisor.
pub(super) fn watch(
    host: &Host,
    plan: &ContainerPlan,
    vacancy: Vacancy<'_>,
    part: Part<'_>,
) -> Result<ContainerOutput> {
    let terminal = plan.process.terminal;
    let stdin = std::io::stdin();
    let mut output = ContainerOutput::new();
    let mut foreground = Foreground::new(&mut output, OnSignal::Forward)?;
    let mut wires = Wires::new(host);
    if part.usage {
        wires = wires.with_usage();
    }
    if let Some(overseer) = part.overseer {
        wires = wires.with_overseer(overseer.clone());
    }
    if part.input {
        if terminal {
            let user = rustix::io::fcntl_dupfd_cloexec(&stdin, 3).context("copy standard input")?;
            let raw = RawMode::enter(&stdin)?;
            foreground = foreground.with_terminal(user, raw, part.detach_keys);
        } else {
            let (container_end, our_end) = input_pipe()?;
            wires = wires.with_stdin(container_end);
            foreground = foreground.with_input(&stdin, our_end)?;
        }
    }
    let mut supervisor = Supervisor::new(&host.store, &wires, &plan.stack, vacancy.take()?)?
        .in_foreground(foreground)?;
    supervisor.start_containers(std::slice::from_ref(&plan.unit.id))?;
    output.detached = supervisor.run()?.detached;
    if part.usage && !output.detached {
        crate::usage::print(&wires.usage())?;
    }
    Ok(output)
}

/// The exit status, after telling why it could not be started.
pub(super) fn finish(output: &ContainerOutput) -> i32 {
    if let Some(code) = output.failures.exit_code {
        if let Err(error) = output.failures.result() {
            crate::ui::error(&error);
        }
        return code;
    }
    if output.detached {
        // As Docker has it, without a word.
        return 0;
    }
    output.exit_code.unwrap_or(FAILED)
}

/// A pipe for the container's standard input: its end and ours.
fn input_pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context("make a pipe")
}
