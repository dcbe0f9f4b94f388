//! `cargo xtask vm-test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::TestOptions;
use super::disk;
use super::guest::{Accelerator, Guest, Job, Ports};
use super::kernel::{self, Kernel};
use super::machine::{End, Limits, Machine, tail};
use super::programs::{self, Program};
use super::protocol::Message;
use super::qemu::Qemu;
use super::report::{Report, Tally};
use crate::cargo::target_directory;

/// The guest with nothing taken away.
const FULL: &str = "full";

/// See `tests/guest/main.rs`.
const VARIANTS: [&str; 6] = [
    FULL,
    "userns=limited",
    "userns=forbidden",
    "no-nft",
    "no-idmap",
    SELINUX,
];

/// The guest that has `SELinux` and no `AppArmor`: a kernel has one of them.
pub(super) const SELINUX: &str = "selinux";

/// The programs that a guest other than the full one runs, and what the one with `SELinux` does.
const MATRIX: &str = "vm_matrix";
const LABELS: &str = "vm_selinux";

/// What `--quick` runs, besides the tests of the crates.
const QUICK: [&str; 13] = [
    "crash",
    "keys_limits",
    "keys_privileges",
    "lifecycle",
    "limits",
    "rootless",
    "rootless_delegated",
    "run_files",
    "run_isolation",
    "run_process",
    "stack_network",
    "vm_limits",
    MATRIX,
];

/// Busy machines emulate slowly: this is for a guest that hangs, not for one that works.
const LIMITS: Limits = Limits {
    silence: Duration::from_secs(10 * 60),
    whole: Duration::from_secs(2 * 3600),
};

/// How long one test program may take; the guest ends it then, and goes on with the next.
const PROGRAM_SECONDS: u64 = 30 * 60;

/// Tests of a program that run at a time: they wait more than they work.
const THREADS: usize = 4;

/// In a guest that lacks something: what is scarce is not to be taken by another test.
const THREADS_OF_A_VARIANT: usize = 1;

/// Where disks, consoles and reports are kept: `target/vm`.
pub(super) fn directory() -> Result<PathBuf> {
    let directory = target_directory()?.join("vm");
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    Ok(directory)
}

/// Boots the virtual machine and runs the integration tests in it.
///
/// # Errors
/// When a test fails, or the guest hangs or panics.
pub(crate) fn test(options: &TestOptions) -> Result<()> {
    let variants = variants(&options.variant)?;
    let kernels = kernel::chosen(&options.machine.kernel, options.machine.modules.as_deref())?;
    let qemu = Qemu::find()?;
    let directory = directory()?;
    let mut built = programs::build(&directory)?;
    if options.quick {
        built
            .tests
            .retain(|it| it.is_of_a_crate() || QUICK.contains(&it.name.as_str()));
    }
    let disks = [disk::root(&directory)?, disk::tests(&built, &directory)?];

    let mut total = Tally::default();
    let mut failures = Vec::new();
    let mut boots = 0;
    for kernel in &kernels {
        let guest = Guest {
            qemu: &qemu,
            accelerator: Accelerator::Tcg,
            kernel,
            init: &built.init,
            disks: &disks,
        };
        let guest = options.machine.accelerated(guest, &directory)?;
        for variant in &variants {
            let chosen = choose(&built.tests, variant, options.filter.as_deref())?;
            if chosen.is_empty() {
                continue;
            }
            boots += 1;
            let report = boot(
                &guest,
                variant,
                options.filter.as_deref(),
                &chosen,
                &directory,
            )?;
            total += report.tally;
            let place = place(kernel, variant);
            failures.extend(report.failures.iter().map(|it| format!("{place}: {it}")));
        }
    }
    if boots == 0 {
        bail!("no test has such a name");
    }
    if !failures.is_empty() {
        println!("\nfailed:");
        for failure in &failures {
            println!("    {failure}");
        }
    }
    println!("\nvm-test: {total}");
    if total.failed > 0 {
        bail!(
            "{} of the tests in the virtual machine failed",
            total.failed
        );
    }
    Ok(())
}

fn variants(word: &str) -> Result<Vec<&'static str>> {
    let chosen: Vec<_> = VARIANTS
        .into_iter()
        .filter(|variant| word == "all" || *variant == word)
        .collect();
    if chosen.is_empty() {
        bail!("no variant {word}: there are {}, all", VARIANTS.join(", "));
    }
    Ok(chosen)
}

fn place(kernel: &Kernel, variant: &str) -> String {
    if variant == FULL {
        format!("Linux {}", kernel.name)
    } else {
        format!("Linux {} {variant}", kernel.name)
    }
}

/// A program that is to run, and whether all of its tests do.
struct Choice<'a> {
    program: &'a Program,
    whole: bool,
}

/// The programs for `variant` that have a test whose name contains `filter`.
fn choose<'a>(
    tests: &'a [Program],
    variant: &str,
    filter: Option<&str>,
) -> Result<Vec<Choice<'a>>> {
    let mut chosen = Vec::new();
    for program in tests {
        let is_for_it = match variant {
            FULL => true,
            SELINUX => program.name == LABELS,
            _ => program.name.starts_with(MATRIX),
        };
        if !is_for_it {
            continue;
        }
        let whole = filter.is_none_or(|filter| program.name.contains(filter));
        if whole || program.tests_with(filter.unwrap_or_default())? > 0 {
            chosen.push(Choice { program, whole });
        }
    }
    Ok(chosen)
}

/// One boot: `programs` run, and what they say is shown.
fn boot(
    guest: &Guest<'_>,
    variant: &str,
    filter: Option<&str>,
    programs: &[Choice<'_>],
    directory: &Path,
) -> Result<Report> {
    let threads = if variant == FULL {
        THREADS
    } else {
        THREADS_OF_A_VARIANT
    };
    let mut job = Job::new("test", variant)
        .with("threads", threads)
        .with("limit", PROGRAM_SECONDS);
    if let Some(filter) = filter {
        job = job.with("filter", filter);
    }
    for choice in programs {
        let key = if choice.whole { "program" } else { "filtered" };
        job = job.with(key, &choice.program.name);
    }
    let name = format!("{}-{variant}-{}", guest.kernel.name, std::process::id());
    let console = directory.join(format!("console-{name}.log"));
    let ports = Ports::Watched { console: &console };
    let start = guest.command(&job, variant, ports)?;

    let place = place(guest.kernel, variant);
    println!("\nxtask: booting {place} for {} programs", programs.len());
    let mut report = Report::default();
    let machine = Machine::start(start.command, &console)?;
    let end = machine.watch(LIMITS, |line| {
        if let Some(words) = Message::read(line).and_then(|message| report.hear(message)) {
            println!("{words}");
        }
    });
    if let Some(trouble) = trouble(&end?, &report) {
        println!("\nxtask: {place}: {trouble}; the end of its console:");
        println!("{}", tail(&console, 60));
        report.guest_is_gone();
        report.tally.failed += 1;
        report.failures.push(trouble);
    }
    if report.tally.failed == 0 {
        let _ = fs::remove_file(&console);
    } else {
        println!("\nxtask: the console of {place} is {}", console.display());
    }
    Ok(report)
}

/// What is wrong with the way in which a guest ended, if anything.
fn trouble(end: &End, report: &Report) -> Option<String> {
    let last = report.last();
    match end {
        End::Off if report.complete => None,
        End::Off => Some(format!("the guest went off {last}")),
        End::Panic(words) => Some(format!("the guest's kernel panicked {last}: {words}")),
        End::Silent => Some(format!(
            "the guest was silent for {} s {last}",
            LIMITS.silence.as_secs()
        )),
        End::TooLong => Some(format!(
            "the guest was not done after {} s, {last}",
            LIMITS.whole.as_secs()
        )),
        End::Broken(words) => Some(format!("the virtual machine failed {last}: {words}")),
    }
}
