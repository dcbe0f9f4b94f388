//! Which argument of which command is completed with what.

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};

use super::candidates::{self, Life};
use super::words::at_option;

/// The command line with completers at its arguments.
pub(super) fn completers(command: Command) -> Command {
    // clap adds its own `--help` later, when it could not be hidden any more.
    let command = command.disable_help_flag(!at_option());
    below(command.mut_args(option), "")
}

fn below(command: Command, path: &str) -> Command {
    command.mut_subcommands(|verb| {
        let path = format!("{path} {}", verb.get_name());
        let verb = verb.disable_help_flag(!at_option()).mut_args(|arg| {
            if arg.is_positional() {
                positional(arg, path.trim_start())
            } else {
                option(arg)
            }
        });
        below(verb, &path)
    })
}

/// Options mean the same with every command. They are not offered among names before a dash is
/// written.
fn option(arg: Arg) -> Arg {
    let arg = arg.hide(!at_option());
    match arg.get_long() {
        Some("signal" | "stop-signal") => arg.add(ArgValueCandidates::new(candidates::signals)),
        Some("project-name") => arg.add(ArgValueCandidates::new(candidates::stacks)),
        Some("image") => arg.add(ArgValueCandidates::new(candidates::images)),
        Some("network") => arg.add(ArgValueCandidates::new(candidates::networks)),
        Some("format") => arg.add(ArgValueCandidates::new(candidates::formats)),
        _ => arg,
    }
}

fn positional(arg: Arg, verb: &str) -> Arg {
    let containers = |arg: Arg, life: Life| {
        arg.add(ArgValueCompleter::new(move |word: &std::ffi::OsStr| {
            candidates::containers(word, life)
        }))
    };
    match (verb, arg.get_id().as_str()) {
        ("exec", "command") | ("rename", "new_name") => arg,
        ("exec" | "stop" | "kill" | "pause" | "attach" | "top" | "port" | "stats", _) => {
            containers(arg, Life::Running)
        }
        ("unpause", _) => containers(arg, Life::Paused),
        ("start", _) => containers(arg, Life::NotRunning),
        ("ps" | "logs" | "rm" | "restart" | "wait" | "rename" | "update" | "diff", _) => {
            containers(arg, Life::Any)
        }
        ("inspect", _) => arg.add(ArgValueCompleter::new(candidates::anything)),
        ("cp", _) => arg.add(ArgValueCompleter::new(candidates::places)),
        ("up" | "plan", _) => arg.add(ArgValueCandidates::new(candidates::services)),
        ("run" | "create", _) => arg.add(ArgValueCompleter::new(candidates::ImageFirst)),
        ("rmi" | "image rm" | "image inspect" | "image tag", _) | ("image import", "name") => {
            arg.add(ArgValueCandidates::new(candidates::images))
        }
        (
            "network rm" | "network inspect" | "network connect" | "network disconnect",
            "names" | "network",
        ) => arg.add(ArgValueCandidates::new(candidates::networks)),
        ("network connect" | "network disconnect", "container")
        | ("network partition" | "network heal", _) => containers(arg, Life::Any),
        ("volume rm" | "volume inspect", _) => {
            arg.add(ArgValueCandidates::new(candidates::volumes))
        }
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    /// Every name of a container, an image or a volume on the command line has a completer: a
    /// new command is not forgotten.
    #[test]
    fn every_name_is_completed() {
        fn missing(command: &Command, path: &str, found: &mut Vec<String>) {
            for verb in command.get_subcommands() {
                let path = format!("{path} {}", verb.get_name());
                for arg in verb.get_positionals() {
                    let names = arg.get_value_names().unwrap_or_default();
                    let is_name = names.iter().any(|name| {
                        ["NAME", "CONTAINER", "SERVICE", "IMAGE", "VOLUME"].contains(&name.as_str())
                    });
                    let completed = arg.get::<ArgValueCompleter>().is_some()
                        || arg.get::<ArgValueCandidates>().is_some();
                    // The name of something new cannot be known.
                    let is_new = path.ends_with(" create") && arg.get_id() == "name";
                    if is_name && !completed && !is_new {
                        found.push(format!("{path} {}", arg.get_id()));
                    }
                }
                missing(verb, &path, found);
            }
        }
        let mut found = Vec::new();
        missing(&completers(Cli::command()), "coop", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
