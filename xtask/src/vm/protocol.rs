//! What the guest tells: see `tests/guest/report.rs`, which writes it.

/// One line from the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// The guest has come up, with this kernel.
    Ready { kernel: String },
    /// A test program starts.
    Begin { program: String },
    /// It printed a line.
    Output(String),
    /// It ended.
    End {
        program: String,
        how: Ended,
        /// After so many.
        seconds: String,
    },
    /// All programs have run.
    Done,
}

/// How a test program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By a signal, or by the guest, which had waited long enough; in words.
    Otherwise(String),
}

impl Message {
    /// Reads a line; none when it is no message, as are the firmware's greetings.
    pub(crate) fn read(line: &str) -> Option<Self> {
        if let Some(text) = line.strip_prefix('|') {
            return Some(Self::Output(
                text.strip_prefix(' ').unwrap_or(text).to_owned(),
            ));
        }
        let mut words = line.strip_prefix('@')?.split(' ');
        match (words.next()?, words.next()) {
            ("ready", Some(kernel)) => Some(Self::Ready {
                kernel: kernel.to_owned(),
            }),
            ("begin", Some(program)) => Some(Self::Begin {
                program: program.to_owned(),
            }),
            ("end", Some(program)) => {
                let how: Vec<_> = words.collect();
                Some(Self::End {
                    program: program.to_owned(),
                    how: ended(&how),
                    seconds: how.last().copied().unwrap_or("?").to_owned(),
                })
            }
            ("done", None) => Some(Self::Done),
            _ => None,
        }
    }
}

fn ended(words: &[&str]) -> Ended {
    match words {
        ["exit", status, _] => status.parse().map_or_else(
            |_| Ended::Otherwise("with an unknown status".into()),
            Ended::Exit,
        ),
        ["signal", signal, _] => Ended::Otherwise(format!("by signal {signal}")),
        ["timeout", _] => Ended::Otherwise("because its time was up".into()),
        _ => Ended::Otherwise("in an unknown way".into()),
    }
}

/// What one line of a test program's output says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TestLine<'a> {
    /// `test NAME ... ok` and the like.
    Result(&'a str, TestResult),
    /// `---- NAME stdout ----`: what follows is the output of this test.
    OutputOf(&'a str),
    /// The harness's own `skip!` in a test's output.
    Skipped(&'a str),
    /// Anything else.
    Other,
}

/// The result of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestResult {
    Ok,
    Failed,
    Ignored,
}

impl<'a> TestLine<'a> {
    /// Reads a line in the format of Rust's test harness.
    pub(crate) fn read(line: &'a str) -> Self {
        if let Some(reason) = line.strip_prefix("skipped: ") {
            return Self::Skipped(reason);
        }
        if let Some(rest) = line.strip_prefix("---- ")
            && let Some(name) = rest.strip_suffix(" stdout ----")
        {
            return Self::OutputOf(name);
        }
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return Self::Other;
        };
        // `test NAME - should panic ... ok`; `ignored, REASON`.
        let name = name.split(' ').next().unwrap_or(name);
        match result.split(',').next() {
            Some("ok") => Self::Result(name, TestResult::Ok),
            Some("FAILED") => Self::Result(name, TestResult::Failed),
            Some("ignored") => Self::Result(name, TestResult::Ignored),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_noise_is_not() {
        let read = |line| Message::read(line);
        let ready = Message::Ready {
            kernel: "6.1.0-50".into(),
        };
        assert_eq!(read("@ready 6.1.0-50"), Some(ready));
        assert_eq!(
            read("| test x ... ok"),
            Some(Message::Output("test x ... ok".into()))
        );
        assert_eq!(read("|"), Some(Message::Output(String::new())));
        assert_eq!(read("@done"), Some(Message::Done));
        for noise in [
            "",
            "SeaBIOS (version 1.16)",
            "@",
            "@unknown x",
            "@end",
            "@done now",
        ] {
            assert_eq!(read(noise), None, "{noise}");
        }
    }

    #[test]
    fn an_end_tells_how() {
        let how = |line| match Message::read(line) {
            Some(Message::End { program, how, .. }) => {
                assert_eq!(program, "cp");
                how
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(how("@end cp exit 101 3.5"), Ended::Exit(101));
        for (line, word) in [
            ("@end cp signal 9 3.5", "signal 9"),
            ("@end cp timeout 900.1", "time was up"),
            ("@end cp exit x 1", "unknown"),
            ("@end cp", "unknown"),
        ] {
            let Ended::Otherwise(words) = how(line) else {
                panic!("{line}")
            };
            assert!(words.contains(word), "{words}");
        }
    }

    #[test]
    fn lines_of_the_test_harness_are_told_apart() {
        let read = |line| TestLine::read(line);
        assert_eq!(
            read("test a::b ... ok"),
            TestLine::Result("a::b", TestResult::Ok)
        );
        assert_eq!(
            read("test a ... FAILED"),
            TestLine::Result("a", TestResult::Failed)
        );
        let panics = read("test a - should panic ... ok");
        assert_eq!(panics, TestLine::Result("a", TestResult::Ok));
        let ignored = read("test a ... ignored, too long");
        assert_eq!(ignored, TestLine::Result("a", TestResult::Ignored));
        assert_eq!(read("---- a::b stdout ----"), TestLine::OutputOf("a::b"));
        assert_eq!(read("skipped: no nft"), TestLine::Skipped("no nft"));
        assert_eq!(read("test result: ok. 3 passed; 0 failed"), TestLine::Other);
        assert_eq!(
            read("test a has been running for over 60 seconds"),
            TestLine::Other
        );
    }
}
