//! What is known of one container: `state.json`.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::procfs::{ProcStat, boot_id};
use super::{ContainerId, Name, StackName, StoreError, time};

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made: directories, links, limits.
    Creating,
    /// Complete, not started.
    Created,
    /// Its init runs.
    Running,
    /// Its init exists and is frozen.
    Paused,
    /// Its init ended and the supervisor will start it again.
    Restarting,
    /// Its init ended.
    Stopped,
    /// Being taken away.
    Removing,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
            Self::Removing => "removing",
        })
    }
}

/// What the health check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// The last check succeeded.
    Healthy,
    /// So many checks failed in a row as the plan allows.
    Unhealthy,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// A container as it was when its state was last saved: [`State::current_status`] compares
/// it with the kernel's view.
///
/// Unknown fields are skipped when reading, so that an older `coop` can list and remove
/// what a newer one started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Identity.
    pub id: ContainerId,
    /// Name, unique on the host.
    pub name: Name,
    /// The stack it belongs to.
    pub stack: StackName,
    /// The stack's service that it is an instance of; none for `coop run`.
    #[serde(default)]
    pub service: Option<String>,
    /// Image reference, or the root directory's path.
    pub image: String,
    /// Command and arguments, for lists.
    #[serde(default)]
    pub command: Vec<String>,
    /// As saved.
    pub status: Status,
    /// The init's process id in the host's pid namespace, while it lives.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The init's start, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    #[serde(default)]
    pub pid_start_time: Option<u64>,
    /// The boot in which `pid` is meaningful.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// When the container was created.
    #[serde(with = "time")]
    pub created: SystemTime,
    /// When it was last started.
    #[serde(default, with = "time::option")]
    pub started: Option<SystemTime>,
    /// When its init last ended.
    #[serde(default, with = "time::option")]
    pub finished: Option<SystemTime>,
    /// The init's exit status, or 128 and the signal that killed it; of the last run.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Whether the kernel killed a process of the last run for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Why the last start failed.
    #[serde(default)]
    pub error: Option<String>,
    /// What the health check says; none without a check.
    #[serde(default)]
    pub health: Option<Health>,
    /// How often the supervisor has started it again.
    #[serde(default)]
    pub restarts: u32,
    /// Whether its end was asked for: the restart policy does not hold then.
    #[serde(default)]
    pub stop_requested: bool,
    /// A stop that is under way, for the next supervisor to go on with.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// How long the last wait for a restart by policy was, counted from the end of the run.
    #[serde(default)]
    pub restart_pause: Duration,
    /// How many health checks have failed in a row.
    #[serde(default)]
    pub failing_streak: u32,
    /// The last health checks, oldest first.
    #[serde(default)]
    pub health_log: Vec<HealthCheck>,
    /// Whether it was made to be started later (`coop create`): it stays, though it has never
    /// run.
    #[serde(default)]
    pub awaits_start: bool,
}

/// How far a stop by request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Its stop signal was not sent yet: containers that depend on it still run.
    Asked {
        /// What it has from the signal to `SIGKILL`.
        grace: Duration,
        /// Instead of its own stop signal: a number of `signal(7)`.
        #[serde(default)]
        signal: Option<i32>,
    },
    /// Its stop signal was sent.
    Signalled {
        /// When it is killed.
        #[serde(with = "time")]
        until: SystemTime,
    },
}

/// What one health check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// When it was started.
    #[serde(with = "time")]
    pub start: SystemTime,
    /// When it ended.
    #[serde(with = "time")]
    pub end: SystemTime,
    /// Its exit status; -1 when it could not be started or took too long.
    pub exit_code: i32,
    /// What it printed, at most 4 KiB, or why there is no result.
    pub output: String,
}

impl State {
    /// A container that is being made now.
    pub fn new(id: ContainerId, name: Name, stack: StackName, image: String) -> Self {
        Self {
            id,
            name,
            stack,
            service: None,
            image,
            command: Vec::new(),
            status: Status::Creating,
            pid: None,
            pid_start_time: None,
            boot_id: None,
            created: SystemTime::now(),
            started: None,
            finished: None,
            exit_code: None,
            oom_killed: false,
            error: None,
            health: None,
            restarts: 0,
            stop_requested: false,
            stop: None,
            restart_pause: Duration::ZERO,
            failing_streak: 0,
            health_log: Vec::new(),
            awaits_start: false,
        }
    }

    /// Notes which process is the container's init, so that it can be told from a later one
    /// of the same number. The caller holds it, as its child or by pidfd.
    ///
    /// # Errors
    /// Those of [`ProcStat::of`] and [`boot_id`]; nothing is changed then.
    pub fn set_process(&mut self, init: Pid) -> Result<(), StoreError> {
        // An init that is gone already gets no start time, and so is never taken for alive.
        let start_time = ProcStat::of(init)?.map(|stat| stat.start_time);
        self.boot_id = Some(boot_id()?);
        self.pid = Some(init.as_raw_pid().unsigned_abs());
        self.pid_start_time = start_time;
        Ok(())
    }

    /// Notes that it is complete and waits for a command that starts it. Nothing of it is in
    /// the kernel.
    pub fn wait_for_start(&mut self) {
        self.status = Status::Created;
        self.awaits_start = true;
        self.pid = None;
        self.pid_start_time = None;
    }

    /// Whether it was only written down so far: never launched, and not left for a later start.
    pub fn is_untouched(&self) -> bool {
        self.status == Status::Creating
            && self.pid.is_none()
            && self.started.is_none()
            && !self.awaits_start
    }

    /// Notes that the init's program was started now: results of an earlier run are void.
    pub fn set_running(&mut self) {
        self.status = Status::Running;
        self.awaits_start = false;
        self.started = Some(SystemTime::now());
        self.finished = None;
        self.exit_code = None;
        self.oom_killed = false;
        self.error = None;
    }

    /// Notes that the init ended now; no exit status where nobody saw it.
    pub fn set_stopped(&mut self, exit_code: Option<i32>) {
        self.status = Status::Stopped;
        self.exit_code = exit_code;
        self.finished = Some(SystemTime::now());
        self.pid = None;
        self.pid_start_time = None;
    }

    /// Notes that the container, which has ended, is started again by its policy after this
    /// time.
    pub fn wait_for_restart(&mut self, pause: Duration) {
        self.status = Status::Restarting;
        self.restarts += 1;
        self.restart_pause = pause;
    }

    /// Whether the very init that was saved lives: same boot, same start, no zombie.
    /// What cannot be read counts as gone.
    pub fn init_alive(&self) -> bool {
        self.live_init().is_some()
    }

    /// The init's pid when it lives. Only a pidfd opened now and checked by
    /// [`State::init_alive`] again afterwards is safe from a reused number.
    pub fn live_init(&self) -> Option<Pid> {
        let pid = Pid::from_raw(i32::try_from(self.pid?).ok()?)?;
        let stat = ProcStat::of(pid).ok().flatten()?;
        (Some(stat.start_time) == self.pid_start_time
            && !stat.has_ended()
            && self.is_of_this_boot())
        .then_some(pid)
    }

    /// The status, corrected by what the kernel says: a container whose init is gone
    /// without a supervisor that noted it is stopped.
    pub fn current_status(&self) -> Status {
        match self.status {
            Status::Running | Status::Paused if !self.init_alive() => Status::Stopped,
            // With an init that waits for its start; without one there is nothing to lose.
            Status::Creating | Status::Created if self.pid.is_some() && !self.init_alive() => {
                Status::Stopped
            }
            // Between two runs there is no init, but a reboot ends the waiting.
            Status::Restarting if self.boot_id.is_some() && !self.is_of_this_boot() => {
                Status::Stopped
            }
            saved => saved,
        }
    }

    /// Whether what is saved of its process is of this boot.
    pub fn is_of_this_boot(&self) -> bool {
        self.boot_id.is_some() && boot_id().ok() == self.boot_id
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn sample(name: &str) -> State {
        State::new(
            ContainerId::random().unwrap(),
            Name::parse(name).unwrap(),
            StackName::parse("shop").unwrap(),
            "coop/host".into(),
        )
    }

    fn sleeper() -> std::process::Child {
        std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_state_survives_json_with_all_its_nanoseconds() {
        let mut state = sample("web");
        state.set_process(rustix::process::getpid()).unwrap();
        state.set_running();
        state.health = Some(Health::Healthy);
        let json = serde_json::to_string(&state).unwrap();
        assert!(
            json.contains("\"running\"") && json.contains("\"healthy\""),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
    }

    #[test]
    fn state_of_a_newer_version_can_be_read() {
        let mut json = serde_json::to_value(sample("web")).unwrap();
        json["something_new"] = 1.into();
        serde_json::from_value::<State>(json).unwrap();
    }

    #[test]
    fn an_init_that_was_killed_behind_our_back_means_stopped() {
        let mut child = sleeper();
        let mut state = sample("web");
        state.set_process(Pid::from_child(&child)).unwrap();
        state.set_running();
        assert!(state.init_alive());
        assert_eq!(state.current_status(), Status::Running);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!state.init_alive());
        assert_eq!(state.current_status(), Status::Stopped);
        state.status = Status::Paused;
        assert_eq!(state.current_status(), Status::Stopped);
    }

    #[test]
    fn a_reused_pid_or_another_boot_is_not_our_init() {
        let mut child = sleeper();
        let mut state = sample("web");
        state.set_process(Pid::from_child(&child)).unwrap();
        state.set_running();
        let mut reused = state.clone();
        reused.pid_start_time = reused.pid_start_time.map(|ticks| ticks - 1);
        assert!(!reused.init_alive());
        let mut rebooted = state.clone();
        rebooted.boot_id = Some("00000000-0000-0000-0000-000000000000".into());
        assert_eq!(rebooted.current_status(), Status::Stopped);
        rebooted.status = Status::Restarting;
        assert_eq!(rebooted.current_status(), Status::Stopped);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_end_keeps_the_result_and_forgets_the_pid() {
        let mut state = sample("web");
        state.set_process(rustix::process::getpid()).unwrap();
        state.set_running();
        state.set_stopped(Some(137));
        assert_eq!(
            (state.exit_code, state.pid, state.status),
            (Some(137), None, Status::Stopped)
        );
        state.set_process(rustix::process::getpid()).unwrap();
        state.set_running();
        assert_eq!((state.exit_code, state.finished), (None, None));
    }

    #[test]
    fn created_without_an_init_stays_created_and_with_a_dead_one_is_stopped() {
        let mut state = sample("web");
        state.status = Status::Created;
        assert_eq!(state.current_status(), Status::Created);
        state.pid = Some(u32::MAX);
        assert_eq!(state.current_status(), Status::Stopped);
    }
}
