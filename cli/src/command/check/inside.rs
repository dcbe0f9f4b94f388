//! The check's part inside of its container: what a process there is, sees and can do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::attempts::ATTEMPTS;
use crate::args::Inside as Part;

/// What it found, as one line of JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inside {
    /// `/proc/self/status`, field by field.
    pub(super) status: BTreeMap<String, String>,
    /// `/proc/self/mountinfo`.
    pub(super) mounts: String,
    /// What is in `/dev`.
    pub(super) devices: Vec<String>,
    /// Open descriptors besides the standard ones.
    pub(super) descriptors: Vec<u32>,
    /// How many processes it may have.
    pub(super) pids_max: Option<String>,
    /// What it could do and must not, with how that ended.
    pub(super) done: Done,
}

/// Attempts that were not denied, each with how it ended.
type Done = Vec<(String, String)>;

/// `coop check --inside PART`.
pub(crate) fn run(part: Part) -> Result<i32> {
    if !is_inside() {
        bail!("this is for the container that `coop check` makes\n  help: leave out --inside");
    }
    match part {
        Part::Look => look(),
        Part::Try => {
            println!("{}", serde_json::to_string(&done())?);
            Ok(0)
        }
    }
}

/// Whether process 1 is this program, as in that container. Elsewhere the attempts would be made on
/// what is not the container's own.
fn is_inside() -> bool {
    let program = |process: &str| {
        let stat = rustix::fs::stat(format!("/proc/{process}/exe")).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    program("1").is_some_and(|first| Some(first) == program("self"))
}

/// Says it, and then stays until it is told to end, to be looked at from outside as well.
fn look() -> Result<i32> {
    let inside = Inside {
        // First, before anything here changes it.
        descriptors: descriptors()?,
        status: status()?,
        mounts: fs::read_to_string("/proc/self/mountinfo").context("read the mounts")?,
        devices: names_in("/dev")?,
        pids_max: pids_max(),
        done: attempts()?,
    };
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&inside)?).context("tell what is inside")?;
    stdout.flush().context("tell what is inside")?;
    // Its end is the other side's end.
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .context("wait for the end")?;
    Ok(0)
}

fn status() -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

fn names_in(directory: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("list {directory}"))?;
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn descriptors() -> Result<Vec<u32>> {
    let numbers = names_in("/proc/self/fd")?;
    let numbers = numbers.iter().filter_map(|name| name.parse().ok());
    // The listing's own is gone by now.
    Ok(numbers
        .filter(|number| *number > 2 && Path::new(&format!("/proc/self/fd/{number}")).exists())
        .collect())
}

/// Its own cgroup is the root of what it sees, with version 2 and version 1.
fn pids_max() -> Option<String> {
    let files = ["/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"];
    let text = files
        .iter()
        .find_map(|file| fs::read_to_string(file).ok())?;
    Some(text.trim().to_owned())
}

/// Tries in a process of its own: one that makes a user namespace changes what it is.
fn attempts() -> Result<Done> {
    let output = Command::new("/proc/self/exe")
        .args(["check", "--inside", "try"])
        .output()
        .context("try what must not be possible")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!(
            "try what must not be possible: {} {}",
            output.status,
            said.trim()
        )
    })
}

fn done() -> Done {
    let all = ATTEMPTS.iter();
    all.filter_map(|attempt| Some((attempt.what.to_owned(), attempt.make()?)))
        .collect()
}
