//! `/proc/PID` seen from the host.

use std::fs;
use std::path::PathBuf;

/// One field of `/proc/PID/status`, without its name.
///
/// # Panics
/// When the process is gone or has no such field.
pub fn status_field(pid: u32, field: &str) -> String {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("{file} has no {field}:\n{status}"))
        .trim()
        .to_owned()
}

/// A capability set (`CapEff`, `CapBnd`, …) of a process, as a bit mask.
///
/// # Panics
/// When the process is gone.
pub fn capabilities(pid: u32, set: &str) -> u64 {
    let mask = status_field(pid, set);
    u64::from_str_radix(&mask, 16).unwrap_or_else(|e| panic!("{set} of {pid}: {mask}: {e}"))
}

/// The namespace of `kind` in which the process is, such as `net:[4026531840]`.
///
/// # Panics
/// When the process is gone.
pub fn namespace(pid: u32, kind: &str) -> PathBuf {
    let link = format!("/proc/{pid}/ns/{kind}");
    fs::read_link(&link).unwrap_or_else(|e| panic!("{link}: {e}"))
}

/// One line of an id map: `count` ids from `inside` are those from `outside`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// First id in the container.
    pub inside: u32,
    /// First id on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The `uid_map` or `gid_map` of a process.
///
/// # Panics
/// When the process is gone.
pub fn id_map(pid: u32, map: &str) -> Vec<Ids> {
    let file = format!("/proc/{pid}/{map}");
    let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    text.lines()
        .map(|line| ids(line).unwrap_or_else(|| panic!("{file}: {line}")))
        .collect()
}

fn ids(line: &str) -> Option<Ids> {
    let mut numbers = line.split_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Ids {
        inside: next()?,
        outside: next()?,
        count: next()?,
    })
}

/// The command line of a process, or its name when it has none (a zombie, a kernel thread).
pub(crate) fn command_line(pid: u32) -> Option<String> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = raw
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    if words.is_empty() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        return Some(format!("[{}]", name.trim()));
    }
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_map_line_has_three_numbers() {
        let line = "         0    1000000      65536";
        assert_eq!(
            ids(line),
            Some(Ids {
                inside: 0,
                outside: 1_000_000,
                count: 65_536
            })
        );
        assert_eq!(ids("0 1000000"), None);
    }
}
