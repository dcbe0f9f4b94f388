//! libseccomp, as a program of its own: Coop is never linked with it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use coop_seccomp::{Action, Arch, Comparison, Policy, Program};

const SOURCE: &str = include_str!("export.c");

const MISSING: &str = "not installed: apt install gcc libseccomp-dev";

/// What libseccomp optimises for: `SCMP_FLTATR_CTL_OPTIMIZE`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Optimize {
    /// One call after the other: the default.
    List,
    /// A binary tree, from version 2.5 on.
    Tree,
}

/// The compiled `export.c`.
pub(super) struct Exporter {
    program: PathBuf,
}

impl Exporter {
    /// Compiles it in a directory, or tells what is not there for that.
    ///
    /// # Errors
    /// When files cannot be written.
    pub(super) fn build(directory: &Path) -> Result<Result<Self, String>> {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let source = directory.join("export.c");
        fs::write(&source, SOURCE).with_context(|| format!("write {}", source.display()))?;
        let program = directory.join("export");
        let compiler = Command::new("cc")
            .args(["-O1", "-Wall", "-o"])
            .args([&program, &source])
            .arg("-lseccomp")
            .stdin(Stdio::null())
            .output();
        match compiler {
            Ok(output) if output.status.success() => Ok(Ok(Self { program })),
            Ok(_) | Err(_) => Ok(Err(MISSING.into())),
        }
    }

    /// libseccomp's program for a policy.
    ///
    /// # Errors
    /// When it makes none.
    pub(super) fn export(
        &self,
        policy: &Policy,
        target: Arch,
        optimize: Optimize,
    ) -> Result<Program> {
        let argument = match optimize {
            Optimize::List => "1",
            Optimize::Tree => "2",
        };
        let bytes = self.ask(argument, &text(policy, target)?)?;
        Ok(Program::from_bytes(&bytes)?)
    }

    /// The names in a policy that libseccomp does not know on some ABI that has them.
    ///
    /// # Errors
    /// When it cannot be asked, or has another number for a call.
    pub(super) fn unheard(&self, policy: &Policy, target: Arch) -> Result<HashSet<String>> {
        let answer = String::from_utf8(self.ask("names", &text(policy, target)?)?)?;
        let mut unheard = HashSet::new();
        for line in answer.lines() {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().context("a short line of libseccomp's");
            let (number_of_arch, number, name) = (word()?, word()?, word()?);
            let arch = Arch::ALL
                .into_iter()
                .find(|arch| number_of_arch.parse() == Ok(token(*arch)))
                .with_context(|| format!("libseccomp knows an architecture {number_of_arch}"))?;
            let theirs: i64 = number.parse().with_context(|| line.to_owned())?;
            let ours = arch.number_of(name).map(i64::from);
            match ours {
                Some(_) if theirs < 0 => {
                    unheard.insert(name.to_owned());
                }
                None if theirs < 0 => {}
                _ if ours == Some(theirs) => {}
                _ => bail!("{name} on {arch}: {theirs} to libseccomp, {ours:?} to coop"),
            }
        }
        Ok(unheard)
    }

    fn ask(&self, argument: &str, policy: &str) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        // It may write before it has read all.
        let mut input = child.stdin.take().context("no standard input")?;
        let policy = policy.to_owned();
        let writer = thread::spawn(move || input.write_all(policy.as_bytes()));
        let output = child.wait_with_output().context("wait for libseccomp")?;
        if !output.status.success() {
            bail!(
                "libseccomp: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        match writer.join() {
            Ok(written) => written.context("hand the policy to libseccomp")?,
            Err(_) => bail!("the thread that hands over the policy has panicked"),
        }
        Ok(output.stdout)
    }
}

/// A policy in the words of `export.c`.
fn text(policy: &Policy, target: Arch) -> Result<String> {
    if target != Arch::native() {
        bail!("libseccomp makes programs for {} here", Arch::native());
    }
    let number = |action: Action| action.return_value();
    let mut text = String::new();
    writeln!(text, "default {}", number(policy.default))?;
    writeln!(text, "foreign {}", number(policy.foreign))?;
    for arch in policy.covered(target) {
        writeln!(text, "arch {}", token(arch))?;
    }
    for rule in &policy.rules {
        for name in &rule.names {
            write!(text, "rule {} {name}", number(rule.action))?;
            for condition in &rule.conditions {
                let (operation, mask) = operation(condition.comparison);
                let values = match mask {
                    Some(mask) => [mask, condition.value],
                    None => [condition.value, 0],
                };
                write!(
                    text,
                    " {} {operation} {} {}",
                    condition.index, values[0], values[1]
                )?;
            }
            writeln!(text)?;
        }
    }
    Ok(text)
}

/// `SCMP_ARCH_*`: that of x32 is no `AUDIT_ARCH`.
fn token(arch: Arch) -> u32 {
    match arch {
        Arch::X32 => 0x4000_003e,
        other => other.audit(),
    }
}

/// `SCMP_CMP_*`.
fn operation(comparison: Comparison) -> (u32, Option<u64>) {
    match comparison {
        Comparison::Ne => (1, None),
        Comparison::Lt => (2, None),
        Comparison::Le => (3, None),
        Comparison::Eq => (4, None),
        Comparison::Ge => (5, None),
        Comparison::Gt => (6, None),
        Comparison::MaskedEq { mask } => (7, Some(mask)),
    }
}
