//! What the words so far say of the stack and the directory that are meant.

use std::path::PathBuf;

use crate::args::StackArgs;

/// What stands on the command line that is being completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// `--root`.
    pub(super) root: Option<PathBuf>,
    /// `-f` and `-p`.
    pub(super) stack: StackArgs,
}

/// Verbs after which `-f` or `-p` has another meaning.
const OTHER_FILE: [&str; 6] = ["logs", "rm", "inspect", "events", "rmi", "prune"];
const OTHER_PROJECT: [&str; 2] = ["run", "create"];

/// The line, the program's name first: what stands behind `--`.
fn line() -> Vec<String> {
    let args = std::env::args_os().skip_while(|arg| arg != "--").skip(1);
    let mut line: Vec<_> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
    if line.is_empty() {
        line.push("coop".into());
    }
    line
}

/// Whether the word at the cursor is the beginning of an option.
pub(super) fn at_option() -> bool {
    let line = line();
    // Shells that do not say where the cursor is send the line up to it.
    let index = std::env::var("_CLAP_COMPLETE_INDEX").ok();
    let index = index.and_then(|index| index.parse().ok());
    let word = line.get(index.unwrap_or(line.len() - 1));
    word.is_some_and(|word| word.starts_with('-'))
}

impl Words {
    /// The words of the line that a shell asks about.
    pub(super) fn of_this_process() -> Self {
        let mut read = Self::read(&line().split_off(1));
        read.root = read
            .root
            .or_else(|| std::env::var_os("COOP_ROOT").map(PathBuf::from));
        read
    }

    fn read(words: &[String]) -> Self {
        let mut read = Self::default();
        let mut verb: Option<&str> = None;
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (flag, own) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
                _ => (word, None),
            };
            let is_other = |verbs: &[&str]| verb.is_some_and(|verb| verbs.contains(&verb));
            let slot: &mut dyn FnMut(&str) = match flag {
                "--root" => &mut |value| read.root = Some(value.into()),
                "--file" => &mut |value| read.stack.file = Some(value.into()),
                "--project-name" | "--stack" => {
                    &mut |value| read.stack.project = Some(value.into())
                }
                "-f" if !is_other(&OTHER_FILE) => &mut |value| read.stack.file = Some(value.into()),
                "-p" if !is_other(&OTHER_PROJECT) => {
                    &mut |value| read.stack.project = Some(value.into())
                }
                _ => {
                    if !word.starts_with('-') && verb.is_none() {
                        verb = Some(word);
                    }
                    continue;
                }
            };
            if let Some(value) = own.or_else(|| words.next()) {
                slot(value);
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_and_root_are_read_where_they_mean_that() {
        let read = |line: &str| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let Words { root, stack } = Words::read(&words);
            (
                root.map(|root| root.display().to_string()),
                stack.file.map(|file| file.display().to_string()),
                stack.project,
            )
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("--root /r -f a.yaml -p shop logs -f "),
            (some("/r"), some("a.yaml"), some("shop"))
        );
        assert_eq!(
            read("logs --file=b.yaml --stack x -f "),
            (None, some("b.yaml"), some("x"))
        );
        assert_eq!(read("stop -f c.yaml "), (None, some("c.yaml"), None));
        assert_eq!(read("run -p 80:80 "), (None, None, None));
        assert_eq!(read("inspect -f"), (None, None, None));
        assert_eq!(read("ps -p"), (None, None, None));
    }
}
