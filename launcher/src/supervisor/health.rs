//! Health checks: a command in the container, again and again.

use std::time::{Duration, Instant, SystemTime};

use super::probe::{self, Dying, Probe};
use super::reactor::{Reactor, Token};
use super::spec::HealthTiming;
use super::unit::Unit;
use super::{Report, Supervisor, after};
use crate::error::{BoxError, chain};
use crate::store::{Event, Health, HealthCheck, State};

/// The checks of one container.
#[derive(Debug)]
pub(super) struct Checks {
    timing: HealthTiming,
    started: Instant,
    next: Instant,
    running: Option<Probe>,
    /// Earlier ones that were killed.
    dying: Vec<Dying>,
    failures: u32,
    warm_up: Option<Duration>,
    /// The last result was an early failure, which is not even worth telling.
    early: bool,
}

/// The first check comes this soon after the start, the following ones after twice the time of
/// the one before, until the container is healthy or its first regular check is due: `up`
/// does not wait half a minute for a server that listens after a millisecond. Failures of
/// these early checks do not count, so a container is never unhealthy sooner than elsewhere.
const FIRST_CHECK: Duration = Duration::from_millis(20);

/// How long a check's process may take until it executes the command. A container can stop it
/// before, and the supervisor has others to look after.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// Results that are kept.
const KEPT: usize = 5;

impl Checks {
    pub(super) fn new(timing: &HealthTiming) -> Self {
        let now = Instant::now();
        Self {
            timing: timing.clone(),
            started: now,
            next: now,
            running: None,
            dying: Vec::new(),
            failures: 0,
            warm_up: None,
            early: false,
        }
    }

    /// The container was started: the first check is due soon.
    pub(super) fn begin(&mut self, now: Instant) {
        self.started = now;
        self.failures = 0;
        self.warm_up = Some(FIRST_CHECK);
        self.next = after(now, FIRST_CHECK.min(self.interval(now)));
    }

    /// Other times hold from the next check on.
    pub(super) fn retime(&mut self, timing: &HealthTiming) {
        self.timing = timing.clone();
        let now = Instant::now();
        self.next = self.next.min(after(now, self.interval(now)));
    }

    /// Goes on where an earlier supervisor stopped, or the container was frozen.
    pub(super) fn resume(&mut self, state: &State) {
        let now = Instant::now();
        let ran = state
            .started
            .and_then(|started| SystemTime::now().duration_since(started).ok())
            .unwrap_or_default();
        self.started = now.checked_sub(ran).unwrap_or(now);
        self.failures = state.failing_streak;
        self.warm_up = None;
        // A check may have been under way: another one soon makes up for it.
        self.next = after(now, FIRST_CHECK.min(self.interval(now)));
    }

    /// When the clock has to be looked at: the running check's end, or the next one's start.
    pub(super) fn deadline(&self) -> Instant {
        self.running
            .as_ref()
            .map_or(self.next, |check| check.deadline)
    }

    fn in_start_period(&self, now: Instant) -> bool {
        now.duration_since(self.started) < self.timing.start_period
    }

    fn interval(&self, now: Instant) -> Duration {
        if self.in_start_period(now) {
            self.timing.start_interval
        } else {
            self.timing.interval
        }
    }

    /// Counts a result and says what the container's health is now.
    fn count(&mut self, passed: bool, now: Instant, health: Option<Health>) -> Option<Health> {
        self.early = false;
        let interval = self.interval(now);
        if passed {
            self.failures = 0;
            self.warm_up = None;
            self.next = after(now, interval);
            return Some(Health::Healthy);
        }
        let first_regular = after(self.started, interval);
        if let Some(pause) = self.warm_up.take().map(|pause| pause * 2)
            && now < first_regular
        {
            self.warm_up = Some(pause);
            self.early = true;
            self.next = after(now, pause).min(first_regular);
            return health;
        }
        self.next = after(now, interval);
        if self.in_start_period(now) && health == Some(Health::Starting) {
            return health;
        }
        self.failures += 1;
        if self.failures >= self.timing.retries {
            Some(Health::Unhealthy)
        } else {
            health
        }
    }
}

impl Unit {
    /// Kills a check that is still running when the container has ended, or is to be frozen.
    pub(super) fn end_check(&mut self, reactor: &Reactor) {
        if let Some(checks) = &mut self.checks
            && let Some(probe) = checks.running.take()
        {
            checks.dying.extend(probe.abort(reactor));
        }
    }
}

impl Supervisor<'_> {
    /// Starts the container's check when it is due, kills the running one when it is overdue.
    pub(super) fn check_if_due(&mut self, index: usize, now: Instant) {
        let unit = &mut self.units[index];
        if !unit.may_be_checked() {
            return;
        }
        let Some(checks) = &mut unit.checks else {
            return;
        };
        if checks.deadline() > now {
            return;
        }
        if let Some(probe) = &mut checks.running {
            probe.time_out();
            return;
        }
        let timeout = checks.timing.timeout;
        self.release_later();
        match self.launch_check(index, timeout) {
            Ok(probe) => {
                if let Some(checks) = &mut self.units[index].checks {
                    checks.running = Some(probe);
                }
            }
            Err(error) => {
                let error = chain(&*error);
                log::debug!("{}: health check: {error}", self.units[index].spec.name);
                self.count_check(index, probe::not_started(error));
            }
        }
    }

    fn launch_check(&self, index: usize, timeout: Duration) -> Result<Probe, BoxError> {
        let unit = &self.units[index];
        let Some(init) = unit.pid() else {
            return Err("the container has no process".into());
        };
        let (output, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        let check = self.wiring.health_check(&unit.spec.id, init, theirs)?;
        // Looked at after its namespaces were opened: others reap what was adopted, and the number
        // may be another process's by now.
        if unit.has_ended() {
            return Err("the container has ended".into());
        }
        let mut cloned = check.with_patience(START_PATIENCE).clone_child(None)?;
        cloned.attach()?;
        let pidfd = cloned.finish()?.start()?;
        self.reactor.watch(&pidfd, Token::Check(unit.index))?;
        self.reactor
            .watch(&output, Token::CheckOutput(unit.index))?;
        Ok(Probe::new(pidfd, output, timeout))
    }

    pub(super) fn on_check_output(&mut self, index: u32) {
        let unit = self.units.get_mut(index as usize);
        let checks = unit.and_then(|unit| unit.checks.as_mut());
        if let Some(probe) = checks.and_then(|checks| checks.running.as_mut()) {
            probe.read(&self.reactor);
        }
    }

    pub(super) fn on_check_end(&mut self, index: u32) {
        let index = index as usize;
        let unit = self.units.get_mut(index);
        let Some(checks) = unit.and_then(|unit| unit.checks.as_mut()) else {
            return;
        };
        checks.dying.retain(|check| !check.is_gone(&self.reactor));
        if let Some(probe) = checks.running.take_if(|probe| probe.has_ended()) {
            let result = probe.result(checks.timing.timeout, &self.reactor);
            self.count_check(index, result);
        }
    }

    fn count_check(&mut self, index: usize, result: HealthCheck) {
        self.release_later();
        let unit = &mut self.units[index];
        let Some(checks) = &mut unit.checks else {
            return;
        };
        let passed = result.exit_code == 0;
        let health = checks.count(passed, Instant::now(), unit.state.health);
        if checks.early {
            return;
        }
        let log = &mut unit.state.health_log;
        log.push(result);
        log.drain(..log.len().saturating_sub(KEPT));
        unit.state.failing_streak = checks.failures;
        if health == unit.state.health {
            return self.save(index);
        }
        unit.state.health = health;
        let report = Report::Health(unit.told());
        if let Some(health) = health {
            let event = Event::of_container(&unit.state, format!("health_status: {health}"));
            self.store.emit(&event);
        }
        self.save(index);
        self.tell(&report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(retries: u32, start_period: u64) -> Checks {
        Checks::new(&HealthTiming {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            retries,
            start_period: Duration::from_secs(start_period),
            start_interval: Duration::from_secs(5),
        })
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy_and_one_success_heals_it() {
        let mut checks = checks(2, 0);
        let now = checks.started;
        assert_eq!(
            checks.count(false, now, Some(Health::Starting)),
            Some(Health::Starting)
        );
        assert_eq!(
            checks.count(false, now, Some(Health::Starting)),
            Some(Health::Unhealthy)
        );
        assert_eq!(
            checks.count(true, now, Some(Health::Unhealthy)),
            Some(Health::Healthy)
        );
        assert_eq!(
            checks.count(false, now, Some(Health::Healthy)),
            Some(Health::Healthy)
        );
    }

    /// When the checks come, in milliseconds from the start, if all fail at once; with the
    /// health after each.
    fn failing(mut checks: Checks, count: usize) -> Vec<(u128, Option<Health>)> {
        let start = checks.started;
        checks.begin(start);
        let mut health = Some(Health::Starting);
        let mut seen = Vec::new();
        for _ in 0..count {
            let now = checks.deadline();
            health = checks.count(false, now, health);
            seen.push((now.duration_since(start).as_millis(), health));
        }
        seen
    }

    #[test]
    fn early_checks_come_ever_later_and_do_not_count() {
        let seen = failing(checks(2, 0), 13);
        let times: Vec<_> = seen.iter().map(|(time, _)| *time).collect();
        assert_eq!(times[..5], [20, 60, 140, 300, 620]);
        // Then every thirty seconds, as if there had been none.
        assert_eq!(times[10..], [30_000, 60_000, 90_000]);
        let unhealthy = seen
            .iter()
            .find(|(_, health)| *health == Some(Health::Unhealthy));
        assert_eq!(unhealthy.unwrap().0, 60_000);
    }

    #[test]
    fn an_interval_shorter_than_the_first_pause_is_kept_from_the_start() {
        let mut checks = checks(2, 0);
        checks.timing.interval = Duration::from_millis(1);
        let seen = failing(checks, 3);
        assert_eq!(seen[0], (1, Some(Health::Starting)));
        assert_eq!(seen[1], (2, Some(Health::Unhealthy)));
    }

    #[test]
    fn within_the_start_period_failures_do_not_count_and_checks_are_closer() {
        let mut checks = checks(1, 60);
        let now = checks.started + Duration::from_secs(10);
        assert_eq!(
            checks.count(false, now, Some(Health::Starting)),
            Some(Health::Starting)
        );
        assert_eq!(checks.next, now + Duration::from_secs(5));
        let later = checks.started + Duration::from_secs(61);
        assert_eq!(
            checks.count(false, later, Some(Health::Starting)),
            Some(Health::Unhealthy)
        );
        assert_eq!(checks.next, later + Duration::from_secs(30));
    }
}
