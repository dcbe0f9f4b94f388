//! Stacks of shells: a store in a temporary directory and a wiring that knows pid namespaces.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use coop_launcher::logs::{LogReader, Record, Selection, Stream};
use coop_launcher::stdio::{Pipes, Terminal};
use coop_launcher::store::{ContainerId, Dirs, Lock, Name, StackName, State, Status, Store};
use coop_launcher::supervisor::{
    self, Client, Condition, Dependency, Foreground, HealthTiming, OnSignal, Outcome, Report,
    Request, Show, Supervisor, UnitSpec, Wiring,
};
use coop_launcher::{BoxError, Pipeline};
use coop_ns::Namespaces;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open};
use serde::{Deserialize, Serialize};

use super::stages::{Step, output_to, shell};
use super::until;

/// A program that runs until it is asked to end, and has said that it can be asked.
pub(crate) const SERVER: &str = "trap 'exit 0' TERM; echo up; sleep 1000 & wait";

/// The same, but it does not end when it is asked: the first process of a pid namespace gets
/// only signals that it handles.
pub(crate) const STUBBORN: &str = "echo up; exec sleep 1000";

/// A container's saved plan.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) unit: UnitSpec,
    pub(crate) script: String,
    pub(crate) check: Option<String>,
    /// What the child side fails with.
    pub(crate) fault: Option<String>,
    pub(crate) own_pids: bool,
}

impl Plan {
    pub(crate) fn new(name: &str, script: &str) -> Self {
        Self {
            unit: UnitSpec {
                id: ContainerId::random().unwrap(),
                name: name.to_owned(),
                depends_on: Vec::new(),
                stop_signal: libc::SIGTERM,
                stop_grace_period: Duration::from_secs(3600),
                health: None,
                terminal: false,
                stdin_open: false,
                restart: coop_launcher::supervisor::RestartPolicy::No,
                log: coop_launcher::logs::LogOptions::default(),
            },
            script: script.to_owned(),
            check: None,
            fault: None,
            own_pids: true,
        }
    }

    pub(crate) fn after(mut self, other: &Self, condition: Condition) -> Self {
        self.unit.depends_on.push(Dependency {
            id: other.id(),
            name: other.unit.name.clone(),
            condition,
            required: true,
        });
        self
    }

    /// Checked by a script, every millisecond unless said otherwise; three failures count.
    pub(crate) fn checked(mut self, script: &str) -> Self {
        self.check = Some(script.to_owned());
        self.unit.health = Some(HealthTiming {
            interval: Duration::from_millis(1),
            timeout: Duration::from_secs(3600),
            retries: 3,
            start_period: Duration::ZERO,
            start_interval: Duration::from_millis(1),
        });
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn id(&self) -> ContainerId {
        self.unit.id.clone()
    }
}

/// A stack with its own store. Everything that it started ends with it.
pub(crate) struct Stack {
    temp: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) name: StackName,
}

impl Stack {
    /// Saves the containers.
    pub(crate) fn new(plans: &[&Plan]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let stack = Self {
            store: Store::new(Dirs::below(temp.path())),
            temp,
            name: StackName::parse("test").unwrap(),
        };
        for plan in plans {
            let name = Name::parse(&plan.unit.name).unwrap();
            let state = State::new(plan.id(), name, stack.name.clone(), "none".into());
            stack.store.create(&state, plan).unwrap();
        }
        stack
    }

    /// A file in the directory that scripts run in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// The lines of a file that scripts write.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn lock(&self) -> Lock {
        self.store.stack_lock(&self.name).unwrap().unwrap()
    }

    /// Starts the containers under a supervisor that is made for them.
    pub(crate) fn up(&self, plans: &[&Plan]) -> Client {
        let ids = plans.iter().map(|plan| plan.id()).collect();
        let lock = self.lock();
        supervisor::detach(&self.store.dirs().stack_run(&self.name), |peer| {
            lock.record_owner()?;
            let wires = Wires(self);
            let mut supervisor = Supervisor::new(&self.store, &wires, &self.name, lock)?;
            supervisor.first_client(peer, Request::Start { ids })?;
            supervisor.run()
        })
        .unwrap()
    }

    /// As [`up`](Self::up), to the end of the request.
    pub(crate) fn start(&self, plans: &[&Plan]) -> Vec<Report> {
        reports(&self.up(plans))
    }

    /// A new supervisor for containers whose old one is gone. Returns when it has them.
    pub(crate) fn adopt(&self, plans: &[&Plan]) {
        let ids: Vec<_> = plans.iter().map(|plan| plan.id()).collect();
        let lock = until(|| self.store.stack_lock(&self.name).unwrap());
        let client = supervisor::detach(&self.store.dirs().stack_run(&self.name), |peer| {
            lock.record_owner()?;
            let wires = Wires(self);
            let mut supervisor = Supervisor::new(&self.store, &wires, &self.name, lock)?;
            supervisor.adopt(&ids);
            drop(peer.take());
            supervisor.run()
        })
        .unwrap();
        assert_eq!(client.next().unwrap(), None);
    }

    /// Runs containers in this very process, with a user who watches.
    pub(crate) fn in_foreground(
        &self,
        show: &mut dyn Show,
        on_signal: OnSignal,
        plans: &[&Plan],
    ) -> Outcome {
        let ids: Vec<_> = plans.iter().map(|plan| plan.id()).collect();
        let wires = Wires(self);
        let user = Foreground::new(show, on_signal).unwrap();
        let supervisor = Supervisor::new(&self.store, &wires, &self.name, self.lock()).unwrap();
        let mut supervisor = supervisor.in_foreground(user).unwrap();
        supervisor.start_containers(&ids).unwrap();
        supervisor.run().unwrap()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.store.dirs().stack_run(&self.name))
            .unwrap()
            .expect("a supervisor")
    }

    /// Changes the saved plan of a container.
    pub(crate) fn rewrite(&self, plan: &Plan) {
        let path = self.store.dirs().container(&plan.id()).join("config.json");
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(plan).unwrap()).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    pub(crate) fn ask(&self, request: &Request) -> Vec<Report> {
        let client = self.connect();
        client.request(request).unwrap();
        reports(&client)
    }

    pub(crate) fn stop(&self, plans: &[&Plan], timeout: Option<Duration>) -> Vec<Report> {
        // The first process of a pid namespace never sees a signal that came before its trap.
        for plan in plans.iter().filter(|plan| plan.script.contains("echo up")) {
            let state = self.store.load_state(&plan.id());
            let running = state.is_ok_and(|state| state.status == Status::Running);
            if running && plan.unit.depends_on.is_empty() {
                self.until_logged(plan, "up");
            }
        }
        self.ask(&stop_request(plans, timeout))
    }

    pub(crate) fn state(&self, plan: &Plan) -> State {
        self.store.load_state(&plan.id()).unwrap()
    }

    pub(crate) fn supervisor(&self) -> Option<Pid> {
        self.store.supervisor(&self.name).unwrap()
    }

    /// Waits for the supervisor's own end, which it comes to by itself.
    pub(crate) fn wait_for_supervisor(&self) {
        if let Some(pid) = self.supervisor() {
            let status = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            let status = status.unwrap().map(|(_, status)| status);
            assert_eq!(
                status.and_then(rustix::process::WaitStatus::exit_status),
                Some(0)
            );
        }
    }

    /// Nothing of the stack is in the run directory. The directory goes a moment after its lock,
    /// by which a supervisor is known.
    pub(crate) fn assert_gone(&self) {
        let dir = self.store.dirs().stack_run(&self.name);
        for _ in 0..5000 {
            if !dir.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{} is still there", dir.display());
    }

    /// Kills the supervisor as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill_supervisor(&self) {
        let pid = self.supervisor().unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
    }

    pub(crate) fn records(&self, plan: &Plan) -> Vec<Record> {
        let path = self.store.dirs().container_log(&plan.id());
        let mut reader = LogReader::open(&path, Selection::default()).unwrap();
        std::iter::from_fn(|| reader.next_record().unwrap()).collect()
    }

    /// What the container wrote to one stream, as far as it is logged.
    pub(crate) fn log(&self, plan: &Plan, stream: Stream) -> String {
        { self.records(plan).into_iter() }
            .filter(|record| record.stream == stream)
            .map(|record| record.log)
            .collect()
    }

    /// Waits until a container has written this.
    pub(crate) fn until_logged(&self, plan: &Plan, text: &str) {
        until(|| self.log(plan, Stream::Stdout).contains(text).then_some(()));
    }

    /// Has a script go on that waits for this file.
    pub(crate) fn touch(&self, name: &str) {
        std::fs::write(self.path(name), "").unwrap();
    }

    /// Waits for a file that a script makes.
    pub(crate) fn until_made(&self, name: &str) {
        until(|| self.path(name).exists().then_some(()));
    }

    pub(crate) fn until_stopped(&self, plan: &Plan) {
        until(|| (self.state(plan).status == Status::Stopped).then_some(()));
    }

    /// The supervisor waits for something to happen and does nothing meanwhile.
    pub(crate) fn assert_idle(&self) {
        let pid = self.supervisor().unwrap().as_raw_nonzero();
        // Nanoseconds on a processor: one system call is enough to see.
        let used = || std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
        let idle = (0..50).any(|_| {
            let before = used();
            std::thread::sleep(Duration::from_millis(100));
            used() == before
        });
        assert!(idle, "the supervisor is busy: {}", used());
    }

    /// Nothing of the container's last run is left but its saved state.
    pub(crate) fn assert_undone(&self, plan: &Plan) {
        let run = self.store.dirs().container_run(&plan.id());
        assert!(!run.exists(), "{} is left", run.display());
        let name = &plan.unit.name;
        let count = |what: &str| {
            let line = format!("{what} {name}");
            self.lines("events")
                .iter()
                .filter(|other| **other == line)
                .count()
        };
        assert_eq!(count("undo"), count("made"), "{name}");
    }

    fn event(&self, what: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("events"))
            .unwrap();
        file.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Ok(Some(pid)) = self.store.supervisor(&self.name)
            && pid != rustix::process::getpid()
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
        for state in self.store.list().unwrap_or_default() {
            if let Some(pid) = state.live_init() {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                super::wait_for_end(pid);
            }
        }
    }
}

pub(crate) fn stop_request(plans: &[&Plan], timeout: Option<Duration>) -> Request {
    Request::Stop {
        signal: None,
        ids: plans.iter().map(|plan| plan.id()).collect(),
        timeout,
    }
}

/// A script that waits for a file.
pub(crate) fn wait_for(file: &str) -> String {
    format!("while ! [ -e {file} ]; do sleep 0.01; done")
}

/// All reports up to [`Report::Done`].
pub(crate) fn reports(client: &Client) -> Vec<Report> {
    let mut reports = Vec::new();
    loop {
        match client.next().unwrap().expect("the supervisor to answer") {
            Report::Done => return reports,
            report => reports.push(report),
        }
    }
}

/// A short form of a report.
pub(crate) fn in_words(report: &Report) -> String {
    match report {
        Report::Created(state) => format!("{} created", state.name),
        Report::Started(state) => format!("{} started", state.name),
        Report::Health(state) => match state.health {
            Some(health) => format!("{} {health}", state.name),
            None => format!("{} unchecked", state.name),
        },
        Report::Exited(state) => format!("{} exited", state.name),
        Report::Paused(state) => format!("{} paused", state.name),
        Report::Unpaused(state) => format!("{} unpaused", state.name),
        Report::Restarting(state) => format!("{} restarting", state.name),
        Report::Renamed(state) => format!("renamed to {}", state.name),
        Report::Attached(state) => format!("attached to {}", state.name),
        Report::Refused { name, error, .. } => format!("{name} refused: {error}"),
        Report::Failed { name, error, .. } => format!("{name} failed: {error}"),
        Report::Broken { error } => format!("supervisor failed: {error}"),
        Report::Done => "done".into(),
    }
}

pub(crate) fn all_in_words(reports: &[Report]) -> Vec<String> {
    reports.iter().map(in_words).collect()
}

/// Makes containers of a shell in a pid namespace, with output to the log.
pub(crate) struct Wires<'a>(pub(crate) &'a Stack);

impl Wires<'_> {
    fn plan(&self, id: &ContainerId) -> Result<Plan, BoxError> {
        Ok(self.0.store.load_config(id)?)
    }
}

impl Wiring for Wires<'_> {
    fn spec(&self, id: &ContainerId) -> Result<UnitSpec, BoxError> {
        Ok(self.plan(id)?.unit)
    }

    fn pipeline(&self, id: &ContainerId) -> Result<Pipeline, BoxError> {
        let plan = self.plan(id)?;
        let name = plan.unit.name.clone();
        self.0.event(&format!("made {name}"));
        let sandbox = Step::new("sandbox").prepare(move |launch| {
            launch.record(&name)?;
            if plan.own_pids {
                launch.new_namespaces(Namespaces::PID);
            }
            Ok(())
        });
        let fault = plan.fault.clone();
        let fault = Step::new("rootfs").enter(move |_| match &fault {
            Some(fault) => Err(fault.clone().into()),
            None => Ok(()),
        });
        let run_dir = self.0.store.dirs().container_run(id);
        let script = format!("cd {}; {}", self.0.temp.path().display(), plan.script);
        let pipeline = shell(&script).stage(sandbox).stage(fault);
        Ok(if plan.unit.terminal {
            pipeline.stage(Terminal::new())
        } else {
            let pipes = Pipes::for_container(run_dir, (0, 0), None);
            pipeline.stage(if plan.unit.stdin_open {
                pipes.with_open_input()
            } else {
                pipes
            })
        })
    }

    fn freeze(&self, id: &ContainerId) -> Result<(), BoxError> {
        self.0.event(&format!("froze {}", self.plan(id)?.unit.name));
        Ok(())
    }

    fn thaw(&self, id: &ContainerId) -> Result<(), BoxError> {
        self.0
            .event(&format!("thawed {}", self.plan(id)?.unit.name));
        Ok(())
    }

    fn rename(&self, id: &ContainerId, name: &Name) -> Result<(), BoxError> {
        let renamed = self.0.store.rename(id, name, |config, name| {
            config["unit"]["name"] = name.as_str().into();
        });
        Ok(renamed.map(drop)?)
    }

    fn health_check(
        &self,
        id: &ContainerId,
        init: Pid,
        output: OwnedFd,
    ) -> Result<Pipeline, BoxError> {
        let plan = self.plan(id)?;
        let check = plan.check.ok_or("no check")?;
        let pidfd: Rc<OwnedFd> = Rc::new(pidfd_open(init, PidfdFlags::empty())?);
        let join = Step::new("join").prepare(move |launch| {
            if plan.own_pids {
                launch.in_pid_namespace_of(Rc::clone(&pidfd));
            }
            Ok(())
        });
        let script = format!("cd {}; {check}", self.0.temp.path().display());
        Ok(shell(&script).stage(join).stage(output_to(output)))
    }

    fn commit_batch(&self) -> Result<(), BoxError> {
        self.0.event("commit");
        Ok(())
    }

    fn ended(&self, id: &ContainerId) -> bool {
        let name = self.plan(id).map(|plan| plan.unit.name);
        self.0.event(&format!("ended {}", name.unwrap_or_default()));
        false
    }

    fn undo(&self, stage: &str, record: &str) -> Result<(), BoxError> {
        assert_eq!(stage, "sandbox");
        let name: String = serde_json::from_str(record)?;
        self.0.event(&format!("undo {name}"));
        Ok(())
    }
}

/// The status that was saved last.
pub(crate) fn status(stack: &Stack, plan: &Plan) -> (Status, Option<i32>) {
    let state = stack.state(plan);
    (state.status, state.exit_code)
}
