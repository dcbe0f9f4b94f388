//! What happens to containers, for those who look on: `coop events`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{EventReader, State, Store, time};

/// Something that happened, in the words of Docker's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(with = "time")]
    pub time: SystemTime,
    /// What it happened to: `container`, `network`, `volume` or `image`.
    pub kind: String,
    /// What happened: `create`, `start`, `die`, `oom`, `health_status: healthy`...
    pub action: String,
    /// The id, or the name of what has only a name.
    pub id: String,
    /// More about it: `name`, `image`, `exitCode`, `signal`...
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// Something that happens now to a container.
    pub fn of_container(state: &State, action: impl Into<String>) -> Self {
        let mut attributes = BTreeMap::from([
            ("name".to_owned(), state.name.to_string()),
            ("image".to_owned(), state.image.clone()),
            ("stack".to_owned(), state.stack.to_string()),
        ]);
        if let Some(service) = &state.service {
            attributes.insert("service".to_owned(), service.clone());
        }
        Self {
            time: SystemTime::now(),
            kind: "container".to_owned(),
            action: action.into(),
            id: state.id.to_string(),
            attributes,
        }
    }

    /// Something that happens now to a volume.
    pub fn of_volume(name: &str, action: impl Into<String>) -> Self {
        Self::of_name("volume", name, action).with("driver", "local")
    }

    /// Something that happens now to a network.
    pub fn of_network(name: &str, action: impl Into<String>) -> Self {
        Self::of_name("network", name, action)
            .with("name", name)
            .with("type", "bridge")
    }

    fn of_name(kind: &str, name: &str, action: impl Into<String>) -> Self {
        Self {
            time: SystemTime::now(),
            kind: kind.to_owned(),
            action: action.into(),
            id: name.to_owned(),
            attributes: BTreeMap::new(),
        }
    }

    /// The same with one more attribute.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }
}

impl Store {
    /// Tells all who look on. That nobody can be told is no reason to stop: it is only logged.
    pub fn emit(&self, event: &Event) {
        if let Err(error) = self.events.append(event) {
            log::debug!("event {} {}: {error}", event.action, event.id);
        }
    }

    /// Looks on, from the oldest event that is kept.
    pub fn events(&self) -> EventReader {
        EventReader::new(&self.dirs.run)
    }
}
