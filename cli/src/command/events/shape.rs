//! An event in Docker's shapes.

use std::time::UNIX_EPOCH;

use coop_launcher::store::{Event, time};
use serde_json::{Value, json};

/// `2024-05-01T12:00:00.000000000Z container start ID (image=..., name=...)`.
pub(super) fn text(event: &Event) -> String {
    let attributes: Vec<_> = event
        .attributes
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let shown = format!(
        "{} {} {} {} ({})",
        time::format(event.time),
        event.kind,
        event.action,
        event.id,
        attributes.join(", ")
    );
    // A line of its own, whatever a name or a path has in it.
    let clean = |c: char| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    shown.chars().map(clean).collect::<String>() + "\n"
}

/// Docker's keys, the old ones of containers too.
pub(super) fn object(event: &Event) -> Value {
    let since_epoch = event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    let mut object = json!({
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "scope": "local",
        "time": since_epoch.as_secs(),
        "timeNano": nanoseconds,
    });
    if event.kind == "container" {
        object["status"] = event.action.as_str().into();
        object["id"] = event.id.as_str().into();
        object["from"] = event
            .attributes
            .get("image")
            .map_or("", String::as_str)
            .into();
    }
    object
}

/// The same as templates ask for it: Go's names of the fields.
pub(super) fn fields(event: &Event) -> Value {
    let object = object(event);
    json!({
        "Type": event.kind,
        "Action": event.action,
        "Actor": object["Actor"],
        "Scope": object["scope"],
        "Time": object["time"],
        "TimeNano": object["timeNano"],
        "Status": event.action,
        "ID": event.id,
        "From": event.attributes.get("image").map_or("", String::as_str),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn event() -> Event {
        let attribute = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Event {
            time: UNIX_EPOCH + Duration::new(1_714_564_800, 5),
            kind: "container".into(),
            action: "die".into(),
            id: "a".repeat(64),
            attributes: BTreeMap::from([
                attribute("name", "shop-web-1"),
                attribute("image", "coop/host:latest"),
                attribute("exitCode", "137"),
                attribute("odd", "a\nb\x1b[2J"),
            ]),
        }
    }

    #[test]
    fn events_are_lines_in_dockers_words() {
        insta::assert_snapshot!(text(&event()));
    }

    #[test]
    fn events_are_objects_with_dockers_keys() {
        insta::assert_snapshot!(format!("{:#}", object(&event())));
    }
}
