//! Runs a command that may not make certain calls, or only certain ones:
//!
//! ```text
//! cargo run -p coop-seccomp --example confine -- --deny socket --deny mkdir=EROFS sh -c 'mkdir x'
//! cargo run -p coop-seccomp --example confine -- --deny unlink --deny unlinkat --show rm x
//! ```
//!
//! `--deny CALL[=ERROR]` makes a call fail (with `EPERM` where none is named), `--kill CALL` ends
//! who makes it, `--show` prints the filter first.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use coop_seccomp::{Action, Arch, Flags, Policy, Rule, errno_of_name, is_known};
use rustix::thread::set_no_new_privs;

const EPERM: u16 = 1;

fn main() -> Result<()> {
    let mut policy = Policy::new(Action::Allow);
    // The calls of other ABIs have other names and numbers: without them there is no way round.
    policy.foreign = Action::Errno(EPERM);
    let mut show = false;
    let mut words = std::env::args().skip(1);
    let program = loop {
        let word = words
            .next()
            .context("no command: confine [--deny CALL] COMMAND")?;
        match word.as_str() {
            "--deny" => policy
                .rules
                .push(denied(&words.next().context("--deny what?")?)?),
            "--kill" => {
                let name = words.next().context("--kill what?")?;
                policy.rules.push(about(&name, Action::KillProcess)?);
            }
            "--show" => show = true,
            _ => break word,
        }
    };
    let filter = policy.compile(Arch::native())?;
    if show {
        print!("{filter}");
    }
    // Who could gain privileges by executing a program could confuse it by what fails.
    set_no_new_privs(true)?;
    filter.load(Flags::empty())?;
    let error = Command::new(&program).args(words).exec();
    Err(error).with_context(|| format!("execute {program}"))
}

/// `mkdir`, `mkdir=EROFS`.
fn denied(word: &str) -> Result<Rule> {
    let (name, errno) = match word.split_once('=') {
        Some((name, errno)) => (
            name,
            errno_of_name(errno).with_context(|| format!("no error is called {errno}"))?,
        ),
        None => (word, EPERM),
    };
    about(name, Action::Errno(errno))
}

fn about(name: &str, action: Action) -> Result<Rule> {
    if !is_known(name) {
        bail!("no system call is called {name}");
    }
    Ok(Rule::new([name], action))
}
