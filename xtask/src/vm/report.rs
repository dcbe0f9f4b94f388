//! The results of one boot: shown as they come, counted, and summed up.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::protocol::{Ended, Message, TestLine, TestResult};

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) ignored: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.ignored += other.ignored;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            ignored,
        } = self;
        write!(f, "{passed} passed, {failed} failed")?;
        for (number, word) in [(skipped, "skipped"), (ignored, "ignored")] {
            if *number > 0 {
                write!(f, ", {number} {word}")?;
            }
        }
        Ok(())
    }
}

/// What has been heard of one guest.
#[derive(Default)]
pub(crate) struct Report {
    /// Kernel version, once the guest is up.
    pub(crate) kernel: Option<String>,
    /// The guest said that it is done.
    pub(crate) complete: bool,
    /// `program: test` of each failure, or what is wrong with the program as a whole.
    pub(crate) failures: Vec<String>,
    pub(crate) tally: Tally,
    program: Option<Running>,
}

/// The program that runs, and what its tests have said.
struct Running {
    name: String,
    results: BTreeMap<String, TestResult>,
    skipped: BTreeMap<String, String>,
    /// The test whose output is being listed.
    output_of: Option<String>,
}

impl Report {
    /// Takes in what the guest says; returns what is to be shown.
    pub(crate) fn hear(&mut self, message: Message) -> Option<String> {
        match message {
            Message::Ready { kernel } => {
                let words = format!("guest is up: Linux {kernel}");
                self.kernel = Some(kernel);
                Some(words)
            }
            Message::Begin { program } => {
                let words = format!("\n     {program}");
                self.program = Some(Running {
                    name: program,
                    results: BTreeMap::new(),
                    skipped: BTreeMap::new(),
                    output_of: None,
                });
                Some(words)
            }
            Message::Output(line) => {
                let running = self.program.as_mut()?;
                running.hear(&line).then_some(line)
            }
            Message::End { how, seconds, .. } => self.end(&how, Some(&seconds)),
            Message::Done => {
                self.complete = true;
                None
            }
        }
    }

    /// What the guest was doing when it was last heard of.
    pub(crate) fn last(&self) -> String {
        match (&self.program, &self.kernel) {
            (Some(running), _) => format!("while {} ran", running.name),
            (None, Some(_)) => "between two test programs".to_owned(),
            (None, None) => "before it had come up".to_owned(),
        }
    }

    /// The guest is gone, in the midst of a program perhaps: what that had said counts.
    pub(crate) fn guest_is_gone(&mut self) {
        if self.program.is_some() {
            self.end(&Ended::Otherwise("with the guest".to_owned()), None);
        }
    }

    fn end(&mut self, how: &Ended, seconds: Option<&str>) -> Option<String> {
        let running = self.program.take()?;
        let mut tally = Tally::default();
        for (test, result) in &running.results {
            match result {
                TestResult::Ok if running.skipped.contains_key(test) => tally.skipped += 1,
                TestResult::Ok => tally.passed += 1,
                TestResult::Ignored => tally.ignored += 1,
                TestResult::Failed => {
                    tally.failed += 1;
                    self.failures.push(format!("{}: {test}", running.name));
                }
            }
        }
        let trouble = match how {
            // What is there to be run was chosen before: then this one did not understand how.
            Ended::Exit(0) if running.results.is_empty() => Some("ran no test".to_owned()),
            Ended::Exit(0) => None,
            // One of its tests has told.
            Ended::Exit(_) if tally.failed > 0 => None,
            Ended::Exit(status) => Some(format!("ended with status {status}")),
            Ended::Otherwise(words) => Some(format!("ended {words}")),
        };
        if let Some(trouble) = trouble {
            tally.failed += 1;
            self.failures.push(format!("{} {trouble}", running.name));
        }
        self.tally += tally;
        let skipped = running
            .skipped
            .iter()
            .map(|(test, reason)| format!("\n     skipped: {test}: {reason}"));
        let time = seconds.map_or(String::new(), |seconds| format!(" ({seconds} s)"));
        Some(format!(
            "     {}: {tally}{time}{}",
            running.name,
            skipped.collect::<String>()
        ))
    }
}

impl Running {
    /// Takes in a line of output; true when a reader wants to see it now.
    fn hear(&mut self, line: &str) -> bool {
        match TestLine::read(line) {
            TestLine::Result(test, result) => {
                self.results.insert(test.to_owned(), result);
                true
            }
            TestLine::OutputOf(test) => {
                self.output_of = Some(test.to_owned());
                self.shows_failure()
            }
            TestLine::Skipped(reason) => {
                if let Some(test) = &self.output_of {
                    self.skipped.insert(test.clone(), reason.to_owned());
                }
                false
            }
            TestLine::Other => match line {
                // Headings of the lists of outputs and of names.
                "successes:" | "failures:" | "" => {
                    if !line.is_empty() {
                        self.output_of = None;
                    }
                    false
                }
                _ if line.starts_with("test result: ") || line.starts_with("running ") => {
                    self.output_of = None;
                    false
                }
                _ => self.output_of.is_none() && !line.starts_with("    ") || self.shows_failure(),
            },
        }
    }

    /// Whether the output that is being listed is that of a test that failed.
    fn shows_failure(&self) -> bool {
        self.output_of
            .as_ref()
            .is_some_and(|test| self.results.get(test) == Some(&TestResult::Failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(report: &mut Report, lines: &[&str]) -> Vec<String> {
        lines
            .iter()
            .filter_map(|line| report.hear(Message::read(line)?))
            .collect()
    }

    const RUN: [&str; 17] = [
        "@ready 6.1",
        "@begin cp",
        "| running 4 tests",
        "| test a ... ok",
        "| test b ... ok",
        "| test c ... FAILED",
        "| test d ... ignored, long",
        "| successes:",
        "| ---- a stdout ----",
        "| COOP_SEED=7",
        "| ---- b stdout ----",
        "| skipped: no nft",
        "| failures:",
        "| ---- c stdout ----",
        "| assertion failed",
        "| test result: FAILED. 2 passed; 1 failed; 1 ignored",
        "@end cp exit 101 3.0",
    ];

    #[test]
    fn tests_are_counted_and_failures_named() {
        let mut report = Report::default();
        let shown = hear(&mut report, &RUN).join("\n");
        assert_eq!(
            report.tally.to_string(),
            "1 passed, 1 failed, 1 skipped, 1 ignored"
        );
        assert_eq!(report.failures, ["cp: c"]);
        assert!(shown.contains("assertion failed"), "{shown}");
        assert!(shown.contains("skipped: b: no nft"), "{shown}");
        assert!(!shown.contains("COOP_SEED"), "{shown}");
        assert!(!report.complete);
        hear(&mut report, &["@done"]);
        assert!(report.complete);
    }

    #[test]
    fn a_program_that_dies_without_a_failed_test_is_a_failure() {
        let mut report = Report::default();
        hear(
            &mut report,
            &["@begin cp", "| test a ... ok", "@end cp signal 11 1.0"],
        );
        assert_eq!(report.tally.to_string(), "1 passed, 1 failed");
        assert_eq!(report.failures, ["cp ended by signal 11"]);
    }

    #[test]
    fn what_was_said_before_the_guest_died_counts() {
        let mut report = Report::default();
        hear(&mut report, &["@ready 6.1", "@begin cp", "| test a ... ok"]);
        assert_eq!(report.last(), "while cp ran");
        report.guest_is_gone();
        assert_eq!(report.tally.to_string(), "1 passed, 1 failed");
    }
}
