//! Command lines are read by as much of the grammar as they use.
//!
//! The whole grammar has a thousand options, and to build it takes longer than to make a
//! container's namespaces. A command line that names one of the verbs that people wait for is
//! tried with that verb alone. What does not fit, help included, goes to the whole grammar,
//! which knows how to say so: the outcome is the same, word for word.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Error, FromArgMatches, Parser};

use super::{
    Cli, Command, DownArgs, ExecArgs, GlobalArgs, KillArgs, LogsArgs, PsArgs, RestartArgs, RmArgs,
    RunArgs, StackArgs, StartArgs, StopArgs, UpArgs, WaitArgs,
};

/// Reads a command line, whose first word is the program.
///
/// # Errors
/// What is wrong with it, or the help that it asks for.
pub(crate) fn parse(words: &[OsString]) -> Result<Cli, Error> {
    match parse_alone(words) {
        Some(cli) => Ok(cli),
        None => Cli::try_parse_from(words),
    }
}

/// The same by the grammar of its verb alone; `None` is for the whole grammar.
fn parse_alone(words: &[OsString]) -> Option<Cli> {
    // When this word is an option's value and not the verb, the real one does not fit.
    let (name, verb) = words
        .iter()
        .skip(1)
        .find_map(|word| Some((word.to_str()?, Verb::of(word.to_str()?)?)))?;
    let alone = (verb.grammar)(clap::Command::new(name.to_owned()));
    let whole = GlobalArgs::augment_args(StackArgs::augment_args(clap::Command::new("coop")))
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(alone);
    let matches = whole.try_get_matches_from(words).ok()?;
    let (_, own) = matches.subcommand()?;
    Some(Cli {
        stack: StackArgs::from_arg_matches(&matches).ok()?,
        global: GlobalArgs::from_arg_matches(&matches).ok()?,
        command: (verb.read)(own).ok()?,
    })
}

/// A verb's own part of the grammar.
struct Verb {
    grammar: fn(clap::Command) -> clap::Command,
    read: fn(&ArgMatches) -> Result<Command, Error>,
}

macro_rules! verbs {
    ($word:expr, $($name:literal => $variant:ident($args:ty),)*) => {
        match $word {
            $($name => Some(Verb {
                grammar: <$args>::augment_args,
                read: |matches| <$args>::from_arg_matches(matches).map(Command::$variant),
            }),)*
            _ => None,
        }
    };
}

impl Verb {
    fn of(word: &str) -> Option<Self> {
        verbs!(word,
            "run" => Run(Box<RunArgs>),
            "create" => Create(Box<RunArgs>),
            "start" => Start(StartArgs),
            "exec" => Exec(ExecArgs),
            "stop" => Stop(StopArgs),
            "restart" => Restart(RestartArgs),
            "kill" => Kill(KillArgs),
            "wait" => Wait(WaitArgs),
            "rm" => Rm(RmArgs),
            "ps" => Ps(PsArgs),
            "logs" => Logs(LogsArgs),
            "up" => Up(UpArgs),
            "down" => Down(DownArgs),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_verb_alone_reads_the_same_as_the_whole_grammar() {
        for line in [
            "coop run alpine",
            "coop run --rm -it -p 8080:80 -m 64M --network none alpine sh -c ps",
            "coop --root /tmp/x run -d --name a alpine",
            "coop run --root /tmp/x --verbose alpine run exec",
            "coop run --rootfs / -- ps -a",
            "coop create --name a alpine",
            "coop exec -it a sh -c exit",
            "coop -p x exec web ls -l",
            "coop start a b",
            "coop stop -t 1 a",
            "coop restart a",
            "coop kill -s INT a",
            "coop wait a",
            "coop rm -f a",
            "coop ps -a",
            "coop logs -f a",
            "coop -f up up -d",
            "coop --profile run up --profile b",
            "coop down -v",
        ] {
            let whole = Cli::try_parse_from(words(line)).expect(line);
            let alone = parse(&words(line)).expect(line);
            assert_eq!(format!("{alone:?}"), format!("{whole:?}"), "{line}");
        }
    }

    #[test]
    fn a_line_with_one_verb_takes_no_more_than_its_grammar() {
        for line in ["coop run alpine", "coop --verbose exec a b", "coop up -d"] {
            assert!(parse_alone(&words(line)).is_some(), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_or_asked_for_is_told_by_the_whole_grammar() {
        for line in [
            "coop run",
            "coop run --nonsense alpine",
            "coop run --help",
            "coop --help run",
            "coop --version run",
            "coop exec a",
            "coop nonsense run",
            "coop --root run",
            "coop --root run ps --nonsense",
        ] {
            let whole = Cli::try_parse_from(words(line)).expect_err(line);
            let told = parse(&words(line)).expect_err(line);
            assert_eq!(told.to_string(), whole.to_string(), "{line}");
            assert_eq!(told.exit_code(), whole.exit_code(), "{line}");
        }
    }
}
