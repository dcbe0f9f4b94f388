//! Where the numbers and the lines come from.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use coop_launcher::logs::{DirWatch, Logs, Selection};
use coop_launcher::store::{ContainerId, Status};

use super::model::Container;
use super::scroll::Scroll;
use crate::command::stats::Sampler;
use crate::host::Host;
use crate::supervise;
use crate::ui::{Styles, screen_text};

/// Lines of a log that are shown from before the look at it.
const TAIL: usize = 500;

/// Records that are read before keys get their turn.
const AT_ONCE: usize = 2000;

/// A longer line is cut: no window is wider.
const MAX_WIDTH: usize = 4096;

/// Looks at all containers.
pub(super) struct Looks<'a> {
    host: &'a Host,
    sampler: Sampler<'a>,
    last: Option<Instant>,
}

impl<'a> Looks<'a> {
    pub(super) fn new(host: &'a Host) -> Result<Self> {
        Ok(Self {
            host,
            sampler: Sampler::new(host)?,
            last: None,
        })
    }

    /// The containers now, and the time since the last look.
    pub(super) fn look(&mut self) -> Result<(Vec<Container>, Duration)> {
        let states = self.host.store.list()?;
        let rows = self.sampler.sample(&states);
        let now = SystemTime::now();
        let containers = states
            .into_iter()
            .zip(rows)
            .map(|(state, row)| {
                let status = supervise::status_of(self.host, &state);
                let runs = matches!(status, Status::Running | Status::Paused);
                Container {
                    uptime: state
                        .started
                        .filter(|_| runs)
                        .map(|started| now.duration_since(started).unwrap_or_default()),
                    usage: row.usage.filter(|_| runs),
                    health: state.health.filter(|_| runs),
                    exit_code: state.exit_code,
                    status,
                    id: state.id,
                    name: state.name.to_string(),
                    stack: state.stack.to_string(),
                }
            })
            .collect();
        let began = Instant::now();
        let since = self
            .last
            .replace(began)
            .map_or(Duration::ZERO, |last| began.duration_since(last));
        Ok((containers, since))
    }
}

/// The log of one container, as it grows.
pub(super) struct Tail {
    of: ContainerId,
    logs: Logs,
    /// None when the user has no watch left: the clock serves as well.
    pub(super) changes: Option<DirWatch>,
    /// The last line has not ended.
    unfinished: Option<String>,
}

impl Tail {
    /// Begins with the last lines of the container's log.
    pub(super) fn new(host: &Host, of: &ContainerId) -> Result<Self> {
        let changes = DirWatch::new().and_then(|watch| {
            watch.add(&host.store.dirs().container(of))?;
            Ok(watch)
        });
        let mut logs = Logs::default();
        let last = Selection {
            tail: Some(TAIL),
            ..Selection::default()
        };
        logs.open(&host.store.dirs().container_log(of), last)?;
        Ok(Self {
            of: of.clone(),
            logs,
            changes: changes.ok(),
            unfinished: None,
        })
    }

    pub(super) fn is_of(&self, id: &ContainerId) -> bool {
        self.of == *id
    }

    /// Adds the lines that have come. Says whether there may be more.
    pub(super) fn read(&mut self, into: &mut Scroll) -> Result<bool> {
        if let Some(changes) = &self.changes {
            changes.forget_changes();
        }
        for _ in 0..AT_ONCE {
            let Some((_, record)) = self.logs.next_record()? else {
                return Ok(false);
            };
            let mut line = self.unfinished.take().unwrap_or_default();
            line.push_str(&record.log);
            if !line.ends_with('\n') && line.len() < MAX_WIDTH {
                self.unfinished = Some(line);
                continue;
            }
            let text = screen_text(line.trim_end_matches('\n').as_bytes(), Styles::Dropped);
            into.push(text.chars().take(MAX_WIDTH).collect());
        }
        Ok(true)
    }
}
