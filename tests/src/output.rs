//! What a command said and how it ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// A finished command. The checks panic with everything that is known about it.
#[derive(Debug, Clone)]
pub struct Output {
    /// The command line.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output; for a terminal all that appeared on it.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Checks for exit status 0.
    ///
    /// # Panics
    /// When it was another one.
    #[track_caller]
    pub fn success(&self) -> &Self {
        self.code(0)
    }

    /// Checks the exit status.
    ///
    /// # Panics
    /// When it was another one, or a signal ended the command.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Self {
        assert!(
            self.status.code() == Some(expected),
            "expected exit status {expected}\n{self}"
        );
        self
    }

    /// Checks that standard output is `expected`, white space at its ends aside.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn prints(&self, expected: &str) -> &Self {
        assert!(
            self.stdout.trim() == expected,
            "expected output {expected:?}\n{self}"
        );
        self
    }

    /// Checks that `text` occurs on standard output.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text),
            "expected {text:?} on standard output\n{self}"
        );
        self
    }

    /// Checks that `text` does not occur on standard output.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn does_not_say(&self, text: &str) -> &Self {
        assert!(
            !self.stdout.contains(text),
            "unexpected {text:?} on standard output\n{self}"
        );
        self
    }

    /// Checks that `text` occurs on standard error.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn warns(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "expected {text:?} on standard error\n{self}"
        );
        self
    }

    /// Checks for a failure that a user can read: the exit status, exactly one `error:`
    /// line on standard error that holds every one of `words`, and nothing of Rust's
    /// own making.
    ///
    /// # Panics
    /// When it is not so.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) -> &Self {
        self.code(code).complains(words)
    }

    /// [`Output::fails`] for commands on stacks, which fail with 1, or with 125 when what
    /// failed is the setup of a container.
    ///
    /// # Panics
    /// When it is not so.
    #[track_caller]
    pub fn stack_fails(&self, words: &[&str]) -> &Self {
        let expected = matches!(self.status.code(), Some(1 | 125));
        assert!(expected, "expected exit status 1 or 125\n{self}");
        self.complains(words)
    }

    #[track_caller]
    fn complains(&self, words: &[&str]) -> &Self {
        let errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error:"))
            .count();
        assert!(
            errors == 1,
            "expected one line `error: …`, not {errors}\n{self}"
        );
        for word in words {
            assert!(
                self.stderr.contains(word),
                "expected {word:?} in the message\n{self}"
            );
        }
        for noise in [
            "panicked at",
            "RUST_BACKTRACE",
            "Os {",
            "Error {",
            "Errno(",
            "Some(",
        ] {
            assert!(
                !self.stderr.contains(noise),
                "{noise:?} is not for users\n{self}"
            );
        }
        self
    }

    /// Standard output without white space at its ends.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// The lines of standard output, white space at their ends removed.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().map(str::trim).collect()
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("not JSON: {error}\n{self}"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.command)?;
        for line in self.stdout.lines() {
            writeln!(f, "  out| {line}")?;
        }
        for line in self.stderr.lines() {
            writeln!(f, "  err| {line}")?;
        }
        match self.status.signal() {
            Some(signal) => write!(f, "  killed by signal {signal}"),
            None => write!(f, "  exit status {}", self.status.code().unwrap_or(-1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn output(code: i32, stderr: &str) -> Output {
        Output {
            command: "coop run".into(),
            status: ExitStatus::from_raw(code << 8),
            stdout: String::new(),
            stderr: stderr.into(),
        }
    }

    #[test]
    fn one_sentence_with_help_below_it_is_a_good_failure() {
        let stderr = "error: web: cannot publish port 8080\n  held by nginx\n  help: stop it\n";
        output(125, stderr).fails(125, &["port 8080", "nginx"]);
    }

    #[test]
    fn panics_debug_output_and_two_errors_are_no_good_failures() {
        for stderr in [
            "thread 'main' panicked at src/main.rs\nerror: x",
            "error: x: Os { code: 2 }",
            "error: x\nerror: y",
            "no error at all",
        ] {
            let output = output(125, stderr);
            assert!(
                catch_unwind(|| output.fails(125, &[]).code(125).success()).is_err(),
                "{stderr}"
            );
            assert!(
                catch_unwind(|| output.complains(&[]).text().len()).is_err(),
                "{stderr}"
            );
        }
    }
}
