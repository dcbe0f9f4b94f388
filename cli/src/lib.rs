//! `coop`: stacks of containers from a compose file, with no daemon.
//!
//! A library for the sake of its fuzz tests, which reach its parsers through [`fuzzing`];
//! nobody else is meant to use it. The crates below it are for others.

mod args;
mod command;
mod completion;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod host;
mod joined;
mod load;
mod name;
mod names;
mod networks;
mod plan;
mod ports;
mod realize;
mod rootless;
mod single;
mod stack;
mod stage;
mod supervise;
mod ui;
mod usage;
mod usage_on_disk;
mod users;
mod volumes;
mod wire;

use std::io::Write;
use std::process::ExitCode;

use log::{Level, LevelFilter};

use args::GlobalArgs;

/// The program `coop`, with the arguments of this process.
pub fn main() -> ExitCode {
    completion::answer_shell();
    let words: Vec<_> = std::env::args_os().collect();
    let code = match args::parse(&words) {
        Ok(cli) => {
            start_log(&cli.global);
            command::run(&cli).unwrap_or_else(|error| {
                ui::error(&error);
                command::failed(&cli.command)
            })
        }
        Err(answer) => {
            // Nobody is left to tell when this cannot be written.
            let _ = answer.print();
            not_run(&answer)
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The exit status of a command line that is no command: as Docker, 0 when help or the version
/// was asked for, and otherwise one that no program in a container gave.
fn not_run(answer: &clap::Error) -> i32 {
    if answer.use_stderr() {
        command::FAILED
    } else {
        0
    }
}

/// `--verbose` prints each step, one a line; without it only what is wrong is said.
fn start_log(args: &GlobalArgs) {
    let level = args.level().unwrap_or(if args.verbose {
        LevelFilter::Info
    } else {
        LevelFilter::Warn
    });
    env_logger::Builder::new()
        .filter_level(level)
        .parse_env("COOP_LOG")
        .format(|out, record| {
            ui::note_logged_line();
            if coop_launcher::supervisor::is_detached() {
                let now = coop_launcher::store::time::format(std::time::SystemTime::now());
                write!(out, "{now} ")?;
            }
            match record.level() {
                Level::Error => writeln!(out, "error: {}", record.args()),
                Level::Warn => writeln!(out, "warning: {}", record.args()),
                _ => writeln!(out, "[coop] {}", record.args()),
            }
        })
        .init();
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use args::Cli;

    #[test]
    fn a_wrong_command_line_ends_with_125_and_help_with_0() {
        let status = |line: &str| {
            let answer = Cli::try_parse_from(line.split(' ')).expect_err(line);
            not_run(&answer)
        };
        for wrong in [
            "coop",
            "coop nonsense",
            "coop --nonsense ps",
            "coop ps --nonsense",
            "coop run",
            "coop run --nonsense alpine",
            "coop run --memory lots alpine",
            "coop run -d --usage alpine",
            "coop image",
        ] {
            assert_eq!(status(wrong), 125, "{wrong}");
        }
        for asked in [
            "coop --help",
            "coop --version",
            "coop run --help",
            "coop -h",
        ] {
            assert_eq!(status(asked), 0, "{asked}");
        }
    }

    #[test]
    fn a_failure_of_run_is_not_taken_for_the_containers() {
        let failed = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            command::failed(&cli.command)
        };
        assert_eq!(failed("coop run alpine"), 125);
        assert_eq!(failed("coop up"), 1);
        assert_eq!(failed("coop ps"), 1);
    }
}
