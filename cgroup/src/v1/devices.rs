//! The device list of v1: a list of exceptions, changed one command at a time.

use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::io::{self, Errno};

use crate::device::{DeviceKind, DeviceRule};
use crate::dir::Dir;
use crate::error::Error;
use crate::limits::Limit;

/// Makes `rules` the list of what is allowed.
pub(super) fn set(dir: &Dir, rules: &[DeviceRule]) -> Result<(), Error> {
    let current = dir.read("devices.list")?;
    // Nearly all of them go to the same file: it is opened once.
    for run in commands(&current, rules).chunk_by(|a, b| a.0 == b.0) {
        let mut opened = None;
        for (file, value) in run {
            put(dir, file, &mut opened, value).map_err(|source| Error::Apply {
                limit: Limit::Devices,
                path: dir.path().join(file),
                value: value.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

/// Writes one command to a file that stays open for the next one.
fn put(dir: &Dir, name: &str, opened: &mut Option<OwnedFd>, value: &str) -> Result<(), Errno> {
    let file = match opened {
        Some(file) => file,
        None => opened.insert(dir.file(name, OFlags::WRONLY)?),
    };
    io::write(file, value.as_bytes()).map(drop)
}

/// What to write to get from `current` (the text of `devices.list`) to `rules`.
///
/// A group that allows everything is first made to allow nothing. Otherwise only the
/// differences are written, so that a running container keeps its devices at every moment
/// (and because the kernel refuses "deny all" to a group with children).
fn commands(current: &str, rules: &[DeviceRule]) -> Vec<(&'static str, String)> {
    let everything = |rule: &DeviceRule| *rule == DeviceRule::ALL;
    let current: Vec<DeviceRule> = current
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    let allows_all = current.iter().any(everything);
    if rules.iter().any(everything) {
        return if allows_all {
            Vec::new()
        } else {
            vec![("devices.allow", "a".to_owned())]
        };
    }
    // The kernel's "a" stands for everything, whatever numbers follow: spell the two kinds.
    let rules: Vec<DeviceRule> = rules.iter().flat_map(by_kind).collect();
    let mut commands = Vec::new();
    let kept: &[DeviceRule] = if allows_all {
        commands.push(("devices.deny", "a".to_owned()));
        &[]
    } else {
        &current
    };
    // New ones first: while both old and new are allowed, nothing in use breaks.
    let new = rules.iter().filter(|rule| !kept.contains(rule));
    commands.extend(new.map(|rule| ("devices.allow", rule.to_string())));
    let old: Vec<_> = kept.iter().filter(|rule| !rules.contains(rule)).collect();
    if !old.is_empty() {
        commands.extend(old.iter().map(|rule| ("devices.deny", rule.to_string())));
        // Denying takes its letters from a rule for the same device that shall stay.
        let same = |rule: &&DeviceRule| {
            old.iter()
                .any(|old| (old.kind, old.major, old.minor) == (rule.kind, rule.major, rule.minor))
        };
        commands.extend(
            rules
                .iter()
                .filter(same)
                .map(|rule| ("devices.allow", rule.to_string())),
        );
    }
    commands
}

fn by_kind(rule: &DeviceRule) -> Vec<DeviceRule> {
    match rule.kind {
        DeviceKind::All => [DeviceKind::Block, DeviceKind::Char]
            .map(|kind| DeviceRule { kind, ..*rule })
            .to_vec(),
        DeviceKind::Block | DeviceKind::Char => vec![*rule],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &[&str]) -> Vec<DeviceRule> {
        text.iter().map(|rule| rule.parse().unwrap()).collect()
    }

    fn lines(current: &str, wanted: &[&str]) -> Vec<String> {
        let commands = commands(current, &rules(wanted));
        commands
            .into_iter()
            .map(|(file, value)| format!("{file} {value}"))
            .collect()
    }

    #[test]
    fn a_new_group_is_closed_and_then_opened() {
        let written = lines("a *:* rwm\n", &["c 1:3 rwm", "a 7:* r"]);
        assert_eq!(
            written,
            [
                "devices.deny a",
                "devices.allow c 1:3 rwm",
                "devices.allow b 7:* r",
                "devices.allow c 7:* r"
            ]
        );
    }

    #[test]
    fn a_privileged_group_is_left_open() {
        assert!(lines("a *:* rwm\n", &["a *:* rwm"]).is_empty());
        assert_eq!(lines("c 1:3 rwm\n", &["a"]), ["devices.allow a"]);
    }

    #[test]
    fn an_update_writes_the_difference() {
        let written = lines(
            "c 1:3 rwm\nc 1:5 rw\nc 1:8 rwm\n",
            &["c 1:3 rwm", "c 1:5 r", "c 1:9 r"],
        );
        assert_eq!(
            written,
            [
                "devices.allow c 1:5 r",
                "devices.allow c 1:9 r",
                "devices.deny c 1:5 rw",
                "devices.deny c 1:8 rwm",
                "devices.allow c 1:5 r"
            ]
        );
    }
}
