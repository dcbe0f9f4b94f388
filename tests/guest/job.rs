//! What the guest is to do: `/job`, lines of a key and its value, written by `cargo xtask`.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The whole task of one boot.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) mode: Mode,
    /// See `COOP_GUEST_VARIANT` in the documentation of `main.rs`.
    pub(crate) variant: String,
    /// Where the workspace was on the machine that built the programs: they know files by it.
    pub(crate) workspace: String,
    /// Passed on to each test program: run only tests whose name contains it.
    pub(crate) filter: Option<String>,
    /// How many tests of a program run at a time.
    pub(crate) threads: String,
    /// How long one program may take.
    pub(crate) limit: Duration,
    /// Rows and columns of the terminal on which the shell is used.
    pub(crate) terminal: Option<(String, String)>,
    pub(crate) programs: Vec<Program>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Run the programs.
    Test,
    /// Give a shell on the console.
    Shell,
    /// Tell that the guest has come up, and go off.
    Probe,
}

/// A test program.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its name, and that of its file in `/tests`.
    pub(crate) name: String,
    pub(crate) runs_as: RunsAs,
    /// Whether the filter of the job is passed to it.
    pub(crate) filtered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunsAs {
    Root,
    User,
}

impl Job {
    /// Reads the file.
    pub(crate) fn read(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut job = Self {
            mode: Mode::Test,
            variant: "full".to_owned(),
            workspace: "/nowhere".to_owned(),
            filter: None,
            threads: "2".to_owned(),
            limit: Duration::from_secs(900),
            terminal: None,
            programs: Vec::new(),
        };
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match key {
                "mode" => {
                    job.mode = match value {
                        "test" => Mode::Test,
                        "shell" => Mode::Shell,
                        "probe" => Mode::Probe,
                        other => bail!("the job has an unknown mode: {other}"),
                    }
                }
                "variant" => value.clone_into(&mut job.variant),
                "workspace" => value.clone_into(&mut job.workspace),
                "filter" => job.filter = Some(value.to_owned()),
                "threads" => value.clone_into(&mut job.threads),
                "limit" => job.limit = Duration::from_secs(value.parse().context("limit")?),
                "terminal" => {
                    let (rows, columns) = value.split_once(' ').context("terminal")?;
                    job.terminal = Some((rows.to_owned(), columns.to_owned()));
                }
                "program" | "filtered" => job.programs.push(Program {
                    name: value.to_owned(),
                    runs_as: if value.starts_with("rootless_delegated") {
                        RunsAs::User
                    } else {
                        RunsAs::Root
                    },
                    filtered: key == "filtered",
                }),
                other => bail!("the job has an unknown line: {other}"),
            }
        }
        Ok(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_read_line_by_line() {
        let text = "mode test\nvariant no-nft\nfilter a b\nlimit 60\n\
                    program vm_matrix\nfiltered rootless_delegated\nprogram rootless\n";
        let job = Job::parse(text).unwrap();
        assert_eq!(job.variant, "no-nft");
        assert_eq!(job.filter.as_deref(), Some("a b"));
        assert_eq!(job.limit.as_secs(), 60);
        assert_eq!(job.programs[0].runs_as, RunsAs::Root);
        assert!(!job.programs[0].filtered);
        assert_eq!(job.programs[1].runs_as, RunsAs::User);
        assert!(job.programs[1].filtered);
        // It becomes an ordinary user itself.
        assert_eq!(job.programs[2].runs_as, RunsAs::Root);
        assert!(Job::parse("nonsense 1\n").is_err());
    }
}
