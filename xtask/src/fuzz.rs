//! `cargo xtask fuzz`: the parsers of untrusted input, attacked by libFuzzer.
//!
//! libFuzzer comes as the source of a crate and LLVM's instrumentation with every compiler, so
//! the stable toolchain and a C++ compiler are enough.

mod outcome;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::outcome::{Outcome, table};
use crate::cargo::{build_with, target_directory, workspace};

const PACKAGE: &str = "coop-fuzz";

/// What `cargo fuzz` passes, but for the sanitizer, which needs a nightly compiler: counters for
/// every edge, and what is compared with what. Instead of the static linking that the rest of
/// the workspace has: libFuzzer is C++.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds for one input, and megabytes: what takes more is a finding.
const TIMEOUT: u32 = 10;
const MEMORY: u32 = 1024;

#[derive(Args)]
#[command(
    after_help = "Inputs that reach new code are kept in target/fuzz/corpus, for the next \
                        time. What is found goes to tests/fuzz/seeds, with the mend."
)]
pub(crate) struct Options {
    /// Attack only this target
    target: Option<String>,
    /// How long each target is attacked
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..))]
    time: u32,
    /// Print the names of the targets, and nothing else
    #[arg(long)]
    list: bool,
}

/// Builds the fuzz targets and runs them, one after the other.
///
/// # Errors
/// When a target does not build, or breaks a promise.
pub(crate) fn run(options: &Options) -> Result<()> {
    let targets = chosen(options.target.as_deref())?;
    if options.list {
        for target in &targets {
            println!("{target}");
        }
        return Ok(());
    }
    let places = Places {
        base: target_directory()?.join("fuzz"),
        seeds: seeds(),
    };
    let program = build(&places.base.join("build"))?;
    let mut outcomes = Vec::new();
    for target in &targets {
        eprintln!("xtask: {target}, for {} s", options.time);
        let outcome = places.attack(&program, target, options.time)?;
        if let Some(found) = &outcome.found {
            eprintln!(
                "{}\nxtask: {target} breaks a promise; again, without libFuzzer:\n    \
                 cargo run -p {PACKAGE} -- {target} {}",
                found.message,
                found.input.display()
            );
        }
        outcomes.push(outcome);
    }
    println!("{}", table(&outcomes));
    let broken = outcomes.iter().filter(|one| one.found.is_some()).count();
    if broken > 0 {
        bail!("{broken} of {} targets break a promise", outcomes.len());
    }
    Ok(())
}

/// Each target has a directory of seeds; a test of the package sees to that.
fn seeds() -> PathBuf {
    workspace().join("tests/fuzz/seeds")
}

fn chosen(target: Option<&str>) -> Result<Vec<String>> {
    let seeds = seeds();
    let entries = fs::read_dir(&seeds).with_context(|| format!("list {}", seeds.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        all.extend(entry?.file_name().into_string());
    }
    all.sort();
    match target {
        None => Ok(all),
        Some(target) if all.iter().any(|known| known == target) => Ok(vec![target.to_owned()]),
        Some(target) => bail!("no fuzz target {target:?}; there is {}", all.join(", ")),
    }
}

fn build(directory: &Path) -> Result<PathBuf> {
    let options: [OsString; 4] = [
        "--profile".into(),
        "fuzz".into(),
        "--target-dir".into(),
        directory.into(),
    ];
    build_with(PACKAGE, PACKAGE, &options, |cargo| {
        cargo
            // It would win.
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env("RUSTFLAGS", FLAGS.join(" "));
    })
    .context("the fuzz targets need a C++ compiler (on Debian: g++)")
}

struct Places {
    /// `target/fuzz`.
    base: PathBuf,
    seeds: PathBuf,
}

impl Places {
    fn attack(&self, program: &Path, target: &str, seconds: u32) -> Result<Outcome> {
        let corpus = self.base.join("corpus").join(target);
        let found = self.base.join("found").join(target);
        for dir in [&corpus, &found] {
            fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        }
        let log = self.base.join(format!("{target}.log"));
        let out = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(found.join(""));
        // New inputs go to the first directory.
        let status = Command::new(program)
            .env("COOP_FUZZ_TARGET", target)
            .env("RUST_BACKTRACE", "1")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={TIMEOUT}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg("-print_final_stats=1")
            .arg(prefix)
            .arg(&corpus)
            .arg(self.seeds.join(target))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .status()
            .with_context(|| format!("start {}", program.display()))?;
        let text = fs::read(&log).with_context(|| format!("read {}", log.display()))?;
        let outcome = Outcome::read(target, &String::from_utf8_lossy(&text));
        if status.success() || outcome.found.is_some() {
            return Ok(outcome);
        }
        bail!(
            "{target}: {status}, and no input is to blame: see {}",
            log.display()
        );
    }
}
