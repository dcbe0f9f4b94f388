//! What libFuzzer says about a run.

use std::fmt::Write;
use std::path::PathBuf;

/// One target's run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    target: String,
    /// How often the target ran.
    executions: u64,
    /// Edges of the program that were reached: by what was there before, and at the end.
    coverage: (u64, u64),
    /// Inputs that each reach something of their own, likewise.
    corpus: (u64, u64),
    /// What was found.
    pub(super) found: Option<Found>,
}

/// An input that breaks a promise.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The file.
    pub(super) input: PathBuf,
    /// The panic, or what else was wrong.
    pub(super) message: String,
}

impl Outcome {
    /// From what libFuzzer wrote to standard error, as `#2097152 pulse cov: 812 ft: 1204 corp:
    /// 97/4Kb lim: 122 exec/s: 699050 rss: 41Mb`.
    pub(super) fn read(target: &str, log: &str) -> Self {
        let numbers = |line: &str| {
            let coverage = number_after(line, "cov: ")?;
            Some((coverage, number_after(line, "corp: ").unwrap_or(0)))
        };
        let events = || log.lines().filter(|line| line.starts_with('#'));
        let before = events().find(|line| line.contains("\tINITED"));
        let before = before.and_then(numbers).unwrap_or_default();
        let after = events().filter_map(numbers).next_back().unwrap_or(before);
        let counted = number_after(log, "stat::number_of_executed_units: ");
        let last = events()
            .next_back()
            .and_then(|line| number_after(line, "#"));
        Self {
            target: target.to_owned(),
            executions: counted.or(last).unwrap_or(0),
            coverage: (before.0, after.0),
            corpus: (before.1, after.1),
            found: found(log),
        }
    }
}

fn found(log: &str) -> Option<Found> {
    let input = log
        .lines()
        .find_map(|line| line.split_once("Test unit written to "))?
        .1;
    let begins = |line: &&str| line.contains(" panicked at ") || line.starts_with("==");
    let message = log
        .lines()
        .skip_while(|line| !begins(line))
        .take_while(|line| !line.starts_with("stack backtrace:") && !line.starts_with("SUMMARY"))
        .take(20);
    Some(Found {
        input: input.trim().into(),
        message: message.collect::<Vec<_>>().join("\n"),
    })
}

/// The number behind the first `key`.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let (_, rest) = text.split_once(key)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

/// All runs, one a line.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:16} {:>12} {:>16} {:>14}  result",
        "target", "executions", "coverage", "corpus"
    );
    for one in outcomes {
        let change = |(before, after): (u64, u64)| format!("{before} > {after}");
        let result = match &one.found {
            Some(found) => found.input.display().to_string(),
            None => "ok".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{:16} {:>12} {:>16} {:>14}  {result}",
            one.target,
            one.executions,
            change(one.coverage),
            change(one.corpus),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
INFO: Loaded 1 modules   (115 inline 8-bit counters)
#13\tINITED cov: 302 ft: 640 corp: 11/1204b exec/s: 0 rss: 27Mb
#209\tNEW    cov: 308 ft: 650 corp: 12/7b lim: 6 exec/s: 0 rss: 27Mb L: 6/6 MS: 2 ShuffleBytes-
#4194304\tDONE   cov: 311 ft: 711 corp: 25/25b lim: 4096 exec/s: 1398101 rss: 27Mb
stat::number_of_executed_units: 4194399
stat::peak_rss_mb:              27
";

    #[test]
    fn a_quiet_run_is_counted() {
        assert_eq!(
            Outcome::read("x", QUIET),
            Outcome {
                target: "x".into(),
                executions: 4_194_399,
                coverage: (302, 311),
                corpus: (11, 25),
                found: None,
            }
        );
    }

    #[test]
    fn a_panic_names_its_input_and_its_place() {
        let log = format!(
            "{QUIET}\nthread '<unnamed>' (7) panicked at fs/src/volume_record.rs:104:28:\n\
             overflow when adding duration to instant\nstack backtrace:\n   0: rust_begin_unwind\n\
             ==7== ERROR: libFuzzer: deadly signal\nSUMMARY: libFuzzer: deadly signal\n\
             artifact_prefix='/t/'; Test unit written to /t/crash-da39\nBase64: AAA=\n"
        );
        let found = Outcome::read("x", &log).found.unwrap();
        assert_eq!(found.input, PathBuf::from("/t/crash-da39"));
        assert!(found.message.contains("volume_record.rs:104"));
        assert!(found.message.ends_with("to instant"), "{}", found.message);
        let table = table(&[Outcome::read("x", &log)]);
        assert!(
            table.ends_with("302 > 311        11 > 25  /t/crash-da39"),
            "{table}"
        );
    }

    #[test]
    fn a_time_out_names_its_input() {
        let log = "ALARM: working on the last Unit for 11 seconds\n\
            ==9== ERROR: libFuzzer: timeout after 11 seconds\n\
            artifact_prefix='/t/'; Test unit written to /t/timeout-1\n";
        let found = Outcome::read("x", log).found.unwrap();
        assert!(found.message.contains("timeout after 11 seconds"));
    }
}
