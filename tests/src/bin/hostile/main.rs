//! Tries one attack on the machine that it runs on, and says what became of it.
//!
//! ```text
//! hostile ATTACK [WORD]...
//! ```
//!
//! It prints one line: `denied: EPERM`, with what it failed of, or `succeeded: …`. It is static,
//! so that it runs in any container. What each attack is for, and what stops it, is in
//! `tests/src/escape/table`.
//!
//! No attack does harm where it succeeds: it opens and does not write, asks for permission with
//! arguments that are refused afterwards, or changes what is its own.

mod call;
mod devices;
mod exhaust;
mod files;
mod namespaces;
mod network;
mod privileges;
mod processes;
mod terminal;

use std::io;
use std::process::ExitCode;

use coop_tests::escape::{Outcome, errno_name};

/// What an attack has to say: that it succeeded, or why it did not.
type Attempt = Result<String, Denied>;

/// Why an attack failed.
struct Denied(String);

impl Denied {
    /// Of something other than an errno.
    fn of(word: &str) -> Self {
        Self(word.to_owned())
    }
}

impl From<rustix::io::Errno> for Denied {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno_name(errno.raw_os_error()))
    }
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Self(errno_name(number)),
            None => Self(error.to_string()),
        }
    }
}

/// An attack that takes more than one system call.
struct Attack {
    name: &'static str,
    run: fn(&[String]) -> Attempt,
}

const fn attack(name: &'static str, run: fn(&[String]) -> Attempt) -> Attack {
    Attack { name, run }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        eprintln!("usage: hostile ATTACK [WORD]...");
        return ExitCode::from(2);
    };
    let words: Vec<_> = words.collect();
    let attempt = if let Some(call) = call::named(&name) {
        call.make()
    } else if let Some(attack) = several_calls().find(|attack| attack.name == name) {
        (attack.run)(&words)
    } else {
        eprintln!("hostile: there is no attack {name}");
        return ExitCode::from(2);
    };
    let outcome = match attempt {
        Ok(what) => Outcome::Succeeded(what),
        Err(Denied(how)) => Outcome::Denied(how),
    };
    println!("{outcome}");
    ExitCode::SUCCESS
}

fn several_calls() -> impl Iterator<Item = &'static Attack> {
    let all: [&[Attack]; 8] = [
        processes::ATTACKS,
        files::ATTACKS,
        devices::ATTACKS,
        namespaces::ATTACKS,
        network::ATTACKS,
        exhaust::ATTACKS,
        privileges::ATTACKS,
        terminal::ATTACKS,
    ];
    all.into_iter().flatten()
}

/// What a word of the command line stands for.
fn number<T: std::str::FromStr>(words: &[String], position: usize) -> Result<T, Denied> {
    let word = word(words, position)?;
    word.parse()
        .map_err(|_| Denied::of("a word that is no number"))
}

fn word(words: &[String], position: usize) -> Result<&str, Denied> {
    let word = words.get(position).map(String::as_str);
    word.ok_or_else(|| Denied::of("a missing word"))
}
