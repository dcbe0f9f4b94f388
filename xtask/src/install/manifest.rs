//! What was installed: one line each, `f PATH` for a file and `d PATH` for a directory that was
//! not there before. Paths are relative to the prefix. `a 2` says that two directories above the
//! prefix were not there either.

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) files: BTreeSet<String>,
    /// The upper ones first.
    pub(super) directories: BTreeSet<String>,
    /// How many directories right above the prefix were made.
    pub(super) above: usize,
}

impl Manifest {
    pub(super) fn of(files: impl Iterator<Item = String>) -> Self {
        Self {
            files: files.collect(),
            ..Self::default()
        }
    }

    /// None when there is no such file.
    pub(super) fn load(path: &Path) -> Result<Option<Self>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text)
                .with_context(|| format!("read {}", path.display()))
                .map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Everything of both.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self {
            files: &self.files | &other.files,
            directories: &self.directories | &other.directories,
            above: self.above.max(other.above),
        }
    }

    /// A line that does not stay below the prefix is an error: somebody removes by it as root.
    fn parse(text: &str) -> Result<Self> {
        let mut manifest = Self::default();
        for line in text.lines() {
            let below = |path: &str| {
                let normal = |part| matches!(part, Component::Normal(_));
                Path::new(path).components().all(normal)
            };
            match line.split_at_checked(2) {
                Some(("f ", path)) if below(path) && !path.is_empty() => {
                    manifest.files.insert(path.to_owned());
                }
                Some(("d ", path)) if below(path) => {
                    manifest.directories.insert(path.to_owned());
                }
                Some(("a ", number)) => {
                    let number = number.parse();
                    manifest.above = number.with_context(|| format!("{line:?}"))?;
                }
                _ => bail!("{line:?} is no file and no directory below the prefix"),
            }
        }
        Ok(manifest)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |kind| move |path: &String| format!("{kind} {path}\n");
        let files = self.files.iter().map(lines('f'));
        let directories = self.directories.iter().map(lines('d'));
        files
            .chain(directories)
            .try_for_each(|line| f.write_str(&line))?;
        match self.above {
            0 => Ok(()),
            above => writeln!(f, "a {above}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut manifest = Manifest::of(["bin/coop".to_owned()].into_iter());
        manifest
            .directories
            .extend([String::new(), "bin".to_owned()]);
        manifest.above = 2;
        assert_eq!(Manifest::parse(&manifest.to_string()).unwrap(), manifest);
    }

    #[test]
    fn no_line_leads_out_of_the_prefix() {
        for line in [
            "f /etc/passwd",
            "f ../x",
            "d a/../../b",
            "f ",
            "x y",
            "f",
            "a -1",
        ] {
            assert!(Manifest::parse(line).is_err(), "{line}");
        }
    }
}
