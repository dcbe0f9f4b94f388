//! Questions for names, asked from inside a container by the program `ask` of this crate.

use std::path::PathBuf;

use crate::{Host, Stack};

/// The program, in the place where containers have it.
pub const ASK: &str = "/srv/ask";

/// Where the program is: `COOP_ASK`, or beside the tests.
///
/// # Panics
/// When nobody knows where the tests are.
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("COOP_ASK") {
        return named.into();
    }
    let test = std::env::current_exe().expect("where this test is");
    let built = test.ancestors().nth(2).expect("the directory of programs");
    built.join("ask")
}

/// The volume by which a container has the program.
pub fn volume() -> String {
    format!("{}:{ASK}:ro", program().display())
}

/// The key by which a service has the program.
pub fn asking() -> String {
    format!("volumes: ['{}']", volume())
}

/// What a service's container is told, a line a question.
pub fn told(stack: &Stack<'_>, service: &str, words: &str) -> Vec<String> {
    let text = stack.exec(service, &format!("{ASK} {words}"));
    text.lines().map(as_fresh).collect()
}

/// The same of a single container.
pub fn told_in(host: &Host, container: &str, words: &str) -> Vec<String> {
    let exec = host.coop(["exec", container, ASK]);
    let output = exec.args(words.split_whitespace()).run();
    output.success().lines().into_iter().map(as_fresh).collect()
}

/// A line with the minute for which answers from outside are good in these tests, though some
/// of it has passed.
fn as_fresh(line: &str) -> String {
    let of_word = |word: &str| match word.split_once('=') {
        Some((seconds, of)) if matches!(seconds.parse(), Ok(6..60)) => format!("60={of}"),
        _ => word.to_owned(),
    };
    line.split(' ').map(of_word).collect::<Vec<_>>().join(" ")
}

/// The address of a container in its first network.
///
/// # Panics
/// When it has none.
pub fn address(host: &Host, container: &str) -> String {
    let inspected = host.inspect(container);
    let networks = &inspected["NetworkSettings"]["Networks"];
    let first = networks
        .as_object()
        .and_then(|networks| networks.values().next());
    let address = first.and_then(|network| network["IPAddress"].as_str());
    address
        .unwrap_or_else(|| panic!("no address:\n{inspected:#}"))
        .to_owned()
}

/// The addresses in the answer to a question for a name.
pub fn addresses(line: &str) -> Vec<&str> {
    let mut found: Vec<_> = { line.split(' ') }
        .filter_map(|word| word.split_once('='))
        .map(|(_, address)| address)
        .collect();
    found.sort_unstable();
    found
}
