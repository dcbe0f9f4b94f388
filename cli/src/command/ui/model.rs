//! What the dashboard knows and shows, and what keys do to it: no terminal, no files.

use std::collections::HashMap;
use std::time::Duration;

use coop_launcher::store::{ContainerId, Health, Status};

use super::history::History;
use super::keys::Key;
use super::scroll::Scroll;
use crate::command::stats::Usage;

/// One container at the last look.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) stack: String,
    pub(super) status: Status,
    pub(super) health: Option<Health>,
    pub(super) exit_code: Option<i32>,
    /// None: it does not run.
    pub(super) uptime: Option<Duration>,
    pub(super) usage: Option<Usage>,
}

/// By what the table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// By stack, then by name.
    Name,
    Cpu,
    Memory,
    Network,
    Uptime,
}

/// What has the keys, and most of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    Table,
    /// The filter is being typed.
    Filter,
    /// Is it to be killed?
    ConfirmKill(Target),
    Help,
    Logs,
    Details,
}

/// The container that a key was meant for, whatever is selected afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) id: ContainerId,
    pub(super) name: String,
}

/// What the program is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// `coop VERB ID`.
    Ask(&'static str, Target),
    /// A shell in it.
    Shell(Target),
    /// All that is known of it.
    Inspect(Target),
    Quit,
}

/// A line for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Said(String),
    Failed(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Model {
    containers: Vec<Container>,
    history: HashMap<ContainerId, History>,
    selected: Option<ContainerId>,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) message: Option<Message>,
    /// The lines of the selected container's log.
    pub(super) log: Scroll,
    /// All that is known of a container.
    pub(super) details: Scroll,
}

impl Model {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            containers: Vec::new(),
            history: HashMap::new(),
            selected: None,
            sort: Sort::Name,
            filter: String::new(),
            mode: Mode::Table,
            message: None,
            log: Scroll::at_end(),
            details: Scroll::at_beginning(),
        }
    }

    /// Takes in a look, so long after the one before.
    pub(super) fn update(&mut self, containers: Vec<Container>, since: Duration) {
        for container in &containers {
            if let Some(usage) = &container.usage {
                self.history
                    .entry(container.id.clone())
                    .or_default()
                    .add(usage, since);
            }
        }
        self.history
            .retain(|id, _| containers.iter().any(|container| container.id == *id));
        let place = self.place();
        self.containers = containers;
        self.keep_selection(place);
    }

    /// All containers that there are.
    pub(super) fn all(&self) -> &[Container] {
        &self.containers
    }

    /// The rows of the table.
    pub(super) fn rows(&self) -> Vec<&Container> {
        let filter = self.filter.to_lowercase();
        let wanted = |text: &str| text.to_lowercase().contains(&filter);
        let mut rows: Vec<_> = self
            .containers
            .iter()
            .filter(|it| wanted(&it.name) || wanted(&it.stack) || wanted(&it.status.to_string()))
            .collect();
        rows.sort_by(|a, b| (&a.stack, &a.name).cmp(&(&b.stack, &b.name)));
        let usage = |it: &Container, of: fn(&Usage) -> Option<u64>| it.usage.as_ref().and_then(of);
        match self.sort {
            Sort::Name => {}
            Sort::Cpu => rows.sort_by_key(|it| {
                std::cmp::Reverse(usage(it, |usage| usage.cpu.map(|cpu| (cpu * 100.0) as u64)))
            }),
            Sort::Memory => rows.sort_by_key(|it| {
                std::cmp::Reverse(usage(it, |usage| usage.memory.map(|(used, _)| used)))
            }),
            Sort::Network => rows.sort_by_key(|it| {
                std::cmp::Reverse(usage(it, |usage| {
                    usage.network.map(|(received, sent)| received + sent)
                }))
            }),
            Sort::Uptime => rows.sort_by_key(|it| std::cmp::Reverse(it.uptime)),
        }
        rows
    }

    /// The selected container and its row.
    pub(super) fn selection(&self) -> Option<(usize, &Container)> {
        let id = self.selected.as_ref()?;
        self.rows()
            .into_iter()
            .enumerate()
            .find(|(_, container)| container.id == *id)
    }

    /// What the selected container has used.
    pub(super) fn history(&self) -> Option<&History> {
        self.history.get(self.selected.as_ref()?)
    }

    fn place(&self) -> usize {
        self.selection().map_or(0, |(place, _)| place)
    }

    /// The selected one, or the one that is in its place now.
    fn keep_selection(&mut self, place: usize) {
        if self.selection().is_none() {
            let rows = self.rows();
            let place = place.min(rows.len().saturating_sub(1));
            self.selected = rows.get(place).map(|container| container.id.clone());
        }
    }

    fn select(&mut self, place: usize) {
        let rows = self.rows();
        let place = place.min(rows.len().saturating_sub(1));
        self.selected = rows.get(place).map(|container| container.id.clone());
    }

    fn target(&self) -> Option<Target> {
        let (_, container) = self.selection()?;
        Some(Target {
            id: container.id.clone(),
            name: container.name.clone(),
        })
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: Key) -> Option<Action> {
        if key == Key::Interrupt {
            return Some(Action::Quit);
        }
        match self.mode.clone() {
            Mode::Table => return self.key_in_table(key),
            Mode::Filter => self.key_in_filter(key),
            Mode::ConfirmKill(target) => {
                self.mode = Mode::Table;
                if matches!(key, Key::Char('y' | 'Y')) {
                    return Some(Action::Ask("kill", target));
                }
            }
            Mode::Help => self.mode = Mode::Table,
            Mode::Logs | Mode::Details => return self.key_in_text(key),
        }
        None
    }

    fn key_in_table(&mut self, key: Key) -> Option<Action> {
        const PAGE: usize = 10;
        let place = self.place();
        self.message = None;
        match key {
            Key::Up => self.select(place.saturating_sub(1)),
            Key::Down => self.select(place.saturating_add(1)),
            Key::PageUp => self.select(place.saturating_sub(PAGE)),
            Key::PageDown => self.select(place.saturating_add(PAGE)),
            Key::Home => self.select(0),
            Key::End => self.select(usize::MAX),
            Key::Char('q') => return Some(Action::Quit),
            Key::Char('?' | 'h') => self.mode = Mode::Help,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Escape => {
                self.filter.clear();
                self.keep_selection(place);
            }
            Key::Char('N') => self.sort = Sort::Name,
            Key::Char('C') => self.sort = Sort::Cpu,
            Key::Char('M') => self.sort = Sort::Memory,
            Key::Char('T') => self.sort = Sort::Network,
            Key::Char('U') => self.sort = Sort::Uptime,
            key => return self.key_for_container(key),
        }
        None
    }

    fn key_for_container(&mut self, key: Key) -> Option<Action> {
        let target = self.target()?;
        let paused = self
            .selection()
            .is_some_and(|(_, container)| container.status == Status::Paused);
        match key {
            Key::Char('s') => return Some(Action::Ask("stop", target)),
            Key::Char('r') => return Some(Action::Ask("restart", target)),
            Key::Char('p') if paused => return Some(Action::Ask("unpause", target)),
            Key::Char('p') => return Some(Action::Ask("pause", target)),
            Key::Char('e') => return Some(Action::Shell(target)),
            Key::Char('k') => self.mode = Mode::ConfirmKill(target),
            Key::Char('l') => {
                self.log.go_to_end();
                self.mode = Mode::Logs;
            }
            Key::Enter => {
                self.details = Scroll::at_beginning();
                self.mode = Mode::Details;
                return Some(Action::Inspect(target));
            }
            _ => {}
        }
        None
    }

    fn key_in_filter(&mut self, key: Key) {
        let place = self.place();
        match key {
            Key::Enter => self.mode = Mode::Table,
            Key::Escape => {
                self.filter.clear();
                self.mode = Mode::Table;
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Char(c) => self.filter.push(c),
            Key::Up => self.select(place.saturating_sub(1)),
            Key::Down => self.select(place.saturating_add(1)),
            _ => {}
        }
        self.keep_selection(place);
    }

    fn key_in_text(&mut self, key: Key) -> Option<Action> {
        let text = if self.mode == Mode::Logs {
            &mut self.log
        } else {
            &mut self.details
        };
        match key {
            Key::Up | Key::Char('k') => text.up(1),
            Key::Down | Key::Char('j') => text.down(1),
            Key::PageUp => text.up(text.page()),
            Key::PageDown | Key::Char(' ') => text.down(text.page()),
            Key::Home | Key::Char('g') => text.go_to_beginning(),
            Key::End | Key::Char('G') => text.go_to_end(),
            Key::Escape | Key::Enter | Key::Char('q' | 'l') => {
                self.log.go_to_end();
                self.mode = Mode::Table;
            }
            _ => {}
        }
        None
    }
}
