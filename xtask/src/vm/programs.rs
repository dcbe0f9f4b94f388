//! What runs in the guest: built, and told apart in cargo's messages.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::{announce, build_binary, cargo};
use crate::test::INTEGRATION;

/// The profile in `Cargo.toml`.
const PROFILE: [&str; 2] = ["--profile", "guest"];

/// Crates besides the integration tests whose tests are about the kernel.
const LEAVES: [&str; 4] = ["coop-ns", "coop-cgroup", "coop-fs", "coop-net"];

/// A test program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// That of its file for the integration tests; for a crate's own tests the crate's
    /// directory, and the test's name behind it.
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
}

impl Program {
    /// Whether it tests a single crate, and no `coop`.
    pub(crate) fn is_of_a_crate(&self) -> bool {
        LEAVES.iter().any(|package| {
            let directory = package.trim_start_matches("coop-");
            let rest = self.name.strip_prefix(directory);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }

    /// How many of its tests have a name that contains `filter`.
    ///
    /// # Errors
    /// When it does not run on this machine.
    pub(crate) fn tests_with(&self, filter: &str) -> Result<usize> {
        let output = Command::new(&self.executable)
            .args(["--list", "--format", "terse", filter])
            .output()
            .with_context(|| format!("list the tests of {}", self.name))?;
        let list = String::from_utf8_lossy(&output.stdout);
        let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
        // Not every program heeds the filter when it lists.
        Ok(names.filter(|name| name.contains(filter)).count())
    }
}

/// Everything that is built for the guest.
pub(crate) struct Built {
    /// Sorted by name.
    pub(crate) tests: Vec<Program>,
    pub(crate) init: PathBuf,
    /// The program with which benchmarks compare: it has tests of its own.
    pub(crate) floor: PathBuf,
    /// The program that the hostile-container suite runs in containers.
    pub(crate) hostile: PathBuf,
    /// The program that makes system calls by number, for the tests of filters.
    pub(crate) calls: PathBuf,
    /// The program that asks name servers, for the tests of names.
    pub(crate) ask: PathBuf,
    pub(crate) coop: PathBuf,
    pub(crate) coop_with_faults: PathBuf,
}

/// Builds it; `coop` is copied to `directory`, since both builds of it have one name.
///
/// # Errors
/// When a build fails.
pub(crate) fn build(directory: &Path) -> Result<Built> {
    let mut command = cargo(["test", "--no-run", "--lib", "--tests"]);
    command.args(PROFILE);
    for package in std::iter::once(INTEGRATION).chain(LEAVES) {
        command.args(["--package", package]);
    }
    command.args(["--features", "coop-net/dns"]);
    announce(&command);
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("build of the tests: cannot start cargo")?;
    if !output.status.success() {
        bail!("build of the tests: {}", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let binary =
        |name| binary_in(&messages, name).with_context(|| format!("cargo named no {name}"));
    let (init, floor) = (binary("guest-init")?, binary("floor")?);
    let hostile = binary("hostile")?;
    let calls = binary("calls")?;
    let ask = binary("ask")?;
    let mut tests = tests_in(&messages);
    tests.sort_by(|a, b| a.name.cmp(&b.name));

    let coop = |options: &[&str], name: &str| -> Result<PathBuf> {
        let options: Vec<_> = PROFILE.iter().chain(options).map(OsStr::new).collect();
        let built = build_binary("cli", "coop", &options)?;
        copy_if_newer(&built, &directory.join(name))
    };
    Ok(Built {
        tests,
        init,
        floor,
        hostile,
        calls,
        ask,
        coop: coop(&[], "coop")?,
        coop_with_faults: coop(&["--features", "fault"], "coop-with-faults")?,
    })
}

/// Copies a file, with its time, unless that was done before.
fn copy_if_newer(from: &Path, to: &Path) -> Result<PathBuf> {
    let context = || format!("copy {} to {}", from.display(), to.display());
    let source = fs::metadata(from).with_context(context)?;
    let same = fs::metadata(to).is_ok_and(|copy| {
        copy.len() == source.len() && copy.modified().ok() == source.modified().ok()
    });
    if !same {
        // Another run may be reading the one that is there.
        let new = to.with_extension(format!("new-{}", std::process::id()));
        fs::copy(from, &new).with_context(context)?;
        let file = fs::File::options().write(true).open(&new);
        file.and_then(|file| file.set_modified(source.modified()?))
            .with_context(context)?;
        fs::rename(&new, to).with_context(context)?;
    }
    Ok(to.to_path_buf())
}

/// The test programs in cargo's JSON messages.
fn tests_in(messages: &str) -> Vec<Program> {
    artifacts(messages)
        .filter(|artifact| artifact["profile"]["test"] == true && !is(artifact, "bin"))
        .filter_map(|artifact| {
            Some(Program {
                name: name_of(&artifact)?,
                executable: artifact["executable"].as_str()?.into(),
            })
        })
        .collect()
}

fn binary_in(messages: &str, name: &str) -> Option<PathBuf> {
    artifacts(messages)
        .filter(|artifact| artifact["profile"]["test"] == false && is(artifact, "bin"))
        .find(|artifact| artifact["target"]["name"] == name)
        .and_then(|artifact| artifact["executable"].as_str().map(PathBuf::from))
}

fn name_of(artifact: &Value) -> Option<String> {
    let package = Path::new(artifact["manifest_path"].as_str()?)
        .parent()?
        .file_name()?
        .to_str()?;
    let target = artifact["target"]["name"].as_str()?;
    Some(match (package, is(artifact, "test")) {
        ("tests", true) => target.to_owned(),
        ("tests", false) => "harness".to_owned(),
        (_, true) => format!("{package}-{target}"),
        (_, false) => package.to_owned(),
    })
}

fn is(artifact: &Value, kind: &str) -> bool {
    let kinds = artifact["target"]["kind"].as_array();
    kinds.is_some_and(|kinds| kinds.iter().any(|it| it == kind))
}

fn artifacts(messages: &str) -> impl Iterator<Item = Value> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact" && message["executable"].is_string()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_apart_in_cargos_messages() {
        let artifact = |package: &str, kind: &str, name: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": format!("/work/{package}/Cargo.toml"),
                "target": { "kind": [kind], "name": name },
                "profile": { "test": test },
                "executable": format!("/target/{package}-{name}-{test}"),
            })
            .to_string()
        };
        let messages = [
            artifact("tests", "test", "run_process", true),
            artifact("tests", "lib", "coop_tests", true),
            artifact("tests", "bin", "guest-init", true),
            artifact("tests", "bin", "guest-init", false),
            artifact("cgroup", "lib", "coop_cgroup", true),
            artifact("cgroup", "test", "kernel", true),
            "not json".to_owned(),
        ]
        .join("\n");
        let names: Vec<_> = tests_in(&messages).into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["run_process", "harness", "cgroup", "cgroup-kernel"]);
        let init = binary_in(&messages, "guest-init").unwrap();
        assert_eq!(init, Path::new("/target/tests-guest-init-false"));
    }

    #[test]
    fn a_crates_tests_are_told_from_those_of_coop() {
        let is_of_a_crate = |name: &str| {
            let executable = PathBuf::new();
            let name = name.to_owned();
            Program { name, executable }.is_of_a_crate()
        };
        assert!(is_of_a_crate("cgroup") && is_of_a_crate("fs-mounts"));
        assert!(!is_of_a_crate("harness") && !is_of_a_crate("faults_run"));
    }

    #[test]
    fn a_copy_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("a"), directory.path().join("b"));
        fs::write(&from, "1").unwrap();
        copy_if_newer(&from, &to).unwrap();
        let first = fs::metadata(&to).unwrap();
        copy_if_newer(&from, &to).unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino;
        assert_eq!(inode(&first), inode(&fs::metadata(&to).unwrap()));
        fs::write(&from, "22").unwrap();
        copy_if_newer(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"22");
    }
}
