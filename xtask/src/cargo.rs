//! Running cargo: its output goes straight to the terminal or the log.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A call of the cargo that runs this task, in the workspace's root.
pub(crate) fn cargo<I, A>(args: I) -> Command
where
    I: IntoIterator<Item = A>,
    A: AsRef<OsStr>,
{
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(args)
        .current_dir(workspace())
        .stdin(Stdio::null());
    command
}

/// The workspace's root: the parent of this package's directory.
pub(crate) fn workspace() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map(PathBuf::from).unwrap_or(package)
}

/// Announces and runs `command` to its end.
///
/// # Errors
/// When it cannot be started or does not exit with status 0.
pub(crate) fn run(step: &str, command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("{step}: cannot start"))?;
    if !status.success() {
        bail!("{step}: {status}");
    }
    Ok(())
}

/// Builds one binary and returns where cargo put it.
///
/// The path is read from cargo's own messages: it depends on the target triple, on the
/// profile and on `CARGO_TARGET_DIR`.
///
/// # Errors
/// When the build fails, or builds no such binary.
pub(crate) fn build_binary(package: &str, binary: &str, options: &[&OsStr]) -> Result<PathBuf> {
    build_with(package, binary, options, |_| {})
}

/// The same with changes to the call of cargo, such as variables.
///
/// # Errors
/// As [`build_binary`].
pub(crate) fn build_with(
    package: &str,
    binary: &str,
    options: &[impl AsRef<OsStr>],
    change: impl FnOnce(&mut Command),
) -> Result<PathBuf> {
    let step = format!("build of {binary}");
    let mut command = cargo(["build", "--package", package, "--bin", binary]);
    command.args(options);
    change(&mut command);
    announce(&command);
    let output = command
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{step}: cannot start cargo"))?;
    if !output.status.success() {
        bail!("{step}: {}", output.status);
    }
    executable_in(&String::from_utf8_lossy(&output.stdout), binary)
        .with_context(|| format!("{step}: cargo named no executable"))
}

/// The directory of build results, as cargo sees it.
///
/// # Errors
/// When `cargo metadata` fails.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let output = cargo(["metadata", "--format-version", "1", "--no-deps"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", output.status);
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cannot read cargo's metadata")?;
    let directory = metadata["target_directory"]
        .as_str()
        .context("cargo's metadata has no target_directory")?;
    Ok(directory.into())
}

/// Says which cargo command is about to run.
pub(crate) fn announce(command: &Command) {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    eprintln!("xtask: cargo {}", words.join(" "));
}

/// The executable of the binary target `name` in cargo's JSON messages.
fn executable_in(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact" && message["target"]["name"] == name
        })
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_libraries_and_other_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}"#,
            "\nwarning: not json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"coop"},"executable":"/t/x y/coop"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(
            executable_in(messages, "coop"),
            Some(PathBuf::from("/t/x y/coop"))
        );
        assert_eq!(executable_in(messages, "xtask"), None);
    }
}
