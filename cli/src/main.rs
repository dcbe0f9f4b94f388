//! `coop`: stacks of containers from a compose file, with no daemon.

mod args;
mod command;
mod files;
mod host;
mod load;
mod plan;
mod ports;
mod realize;
mod single;
mod stack;
mod stage;
mod supervise;
mod ui;
mod usage;
mod wire;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use log::{Level, LevelFilter};

use args::{Cli, GlobalArgs};

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli.global);
    let code = command::run(&cli).unwrap_or_else(|error| {
        ui::error(&error);
        1
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
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
        .format(|out, record| match record.level() {
            Level::Error => writeln!(out, "error: {}", record.args()),
            Level::Warn => writeln!(out, "warning: {}", record.args()),
            _ => writeln!(out, "[coop] {}", record.args()),
        })
        .init();
}
