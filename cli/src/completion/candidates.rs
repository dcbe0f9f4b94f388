//! What there is to choose from. A shell that asks gets no error: what cannot be read is not
//! offered.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use coop_launcher::store::{State, Status};

use super::words::Words;
use crate::host::Host;
use crate::load::{self, Loaded};

/// Which containers a command can do something with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Any,
    Running,
    Paused,
    NotRunning,
}

impl Life {
    fn fits(self, state: &State) -> bool {
        let status = state.current_status();
        match self {
            Self::Any => true,
            Self::Running => matches!(
                status,
                Status::Running | Status::Paused | Status::Restarting
            ),
            Self::Paused => status == Status::Paused,
            Self::NotRunning => matches!(status, Status::Created | Status::Stopped),
        }
    }
}

/// Where the words so far point.
struct Place {
    words: Words,
    host: Host,
}

impl Place {
    fn find() -> Option<Self> {
        let words = Words::of_this_process();
        let host = Host::new(words.root.as_deref()).ok()?;
        Some(Self { words, host })
    }

    fn states(&self) -> Vec<State> {
        self.host.store.list().unwrap_or_default()
    }
}

/// Candidates that begin like the word.
fn beginning_with(
    word: &OsStr,
    names: impl IntoIterator<Item = String>,
) -> Vec<CompletionCandidate> {
    let word = word.to_string_lossy();
    let fitting = names
        .into_iter()
        .filter(|name| name.starts_with(word.as_ref()));
    fitting.map(CompletionCandidate::new).collect()
}

fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Services of the stack in scope, names of containers, and ids for who has begun to write one.
pub(super) fn containers(word: &OsStr, life: Life) -> Vec<CompletionCandidate> {
    beginning_with(word, container_names(word, life))
}

fn container_names(word: &OsStr, life: Life) -> BTreeSet<String> {
    let Some(place) = Place::find() else {
        return BTreeSet::new();
    };
    let stack = load::stack_in_scope(&place.words.stack);
    let mut names = BTreeSet::new();
    for state in place.states().iter().filter(|state| life.fits(state)) {
        if stack.as_ref() == Some(&state.stack) {
            names.extend(state.service.clone());
        }
        names.insert(state.name.to_string());
        if !word.is_empty() {
            names.insert(state.id.short().to_owned());
        }
    }
    names
}

/// All that has a name.
pub(super) fn anything(word: &OsStr) -> Vec<CompletionCandidate> {
    let mut names = container_names(word, Life::Any);
    names.extend(image_names());
    names.extend(network_names());
    names.extend(volume_names());
    beginning_with(word, names)
}

/// `NAME:` of a container, or a path of the host.
pub(super) fn places(word: &OsStr) -> Vec<CompletionCandidate> {
    let names = container_names(OsStr::new(""), Life::Any);
    let mut places = beginning_with(word, names.into_iter().map(|name| name + ":"));
    places.extend(PathCompleter::any().complete(word));
    places
}

/// Services of the stack file.
pub(super) fn services() -> Vec<CompletionCandidate> {
    let stack = Words::of_this_process().stack;
    match Loaded::find(&stack) {
        Ok(Some(loaded)) => candidates(loaded.stack.services.keys().cloned()),
        _ => Vec::new(),
    }
}

pub(super) fn images() -> Vec<CompletionCandidate> {
    candidates(image_names())
}

/// Words of which the first is an image and the others are the container's own business.
pub(super) struct ImageFirst;

impl ValueCompleter for ImageFirst {
    fn complete(&self, word: &OsStr) -> Vec<CompletionCandidate> {
        beginning_with(word, image_names())
    }

    fn complete_at(&self, index: usize, word: &OsStr) -> Vec<CompletionCandidate> {
        if index == 0 {
            self.complete(word)
        } else {
            Vec::new()
        }
    }
}

fn image_names() -> Vec<String> {
    let images = Place::find().and_then(|place| place.host.images.list().ok());
    let images = images.unwrap_or_default();
    images
        .iter()
        .map(|image| image.reference.to_string())
        .collect()
}

pub(super) fn volumes() -> Vec<CompletionCandidate> {
    candidates(volume_names())
}

fn volume_names() -> Vec<String> {
    let volumes = Place::find().and_then(|place| place.host.volumes.list().ok());
    volumes.unwrap_or_default()
}

pub(super) fn networks() -> Vec<CompletionCandidate> {
    let words = ["bridge", "host", "none"].map(str::to_owned);
    candidates(words.into_iter().chain(network_names()))
}

fn network_names() -> Vec<String> {
    let networks = Place::find().and_then(|place| place.host.networks.list().ok());
    let networks = networks.unwrap_or_default();
    networks.into_iter().map(|network| network.name).collect()
}

pub(super) fn stacks() -> Vec<CompletionCandidate> {
    let stacks = Place::find().and_then(|place| place.host.store.stacks().ok());
    candidates(stacks.unwrap_or_default().iter().map(ToString::to_string))
}

/// As `kill -l` has them.
pub(super) fn signals() -> Vec<CompletionCandidate> {
    const NAMES: [&str; 22] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "WINCH",
    ];
    candidates(NAMES.map(|name| format!("SIG{name}")))
}

pub(super) fn formats() -> Vec<CompletionCandidate> {
    candidates(["table", "json"].map(str::to_owned))
}
