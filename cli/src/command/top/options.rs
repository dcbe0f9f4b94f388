//! The options of ps(1) that choose what is shown. Which processes are shown is decided: those
//! of the container.

use anyhow::{Result, bail};

use super::columns::{self, Column};

/// `ps -f`.
const FULL: &str = "user=UID,pid,ppid,c,stime,tty,time,cmd";
/// `ps u`.
const BY_USER: &str = "user,pid,%cpu,%mem,vsz,rss,tty,stat,bsdstart,bsdtime,command";
/// `ps x`.
const BSD: &str = "pid,tty,stat,bsdtime,command";
/// `ps`.
const SHORT: &str = "pid,tty,time,ucmd";
/// `ps -l`.
const LONG: &str = "s,uid,pid,ppid,c,pri,ni,vsz=SZ,tty,time,ucmd";

const HELP: &str =
    "choose columns with -o, such as -o pid,user,rss,args; -e, -f, -l, aux are understood too";

/// What to show.
pub(super) struct Options {
    pub(super) columns: Vec<Column>,
}

/// Which of ps's formats the letters ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    Short,
    Bsd,
    Long,
    Full,
    ByUser,
}

impl Options {
    /// As Docker, `-ef` without any.
    pub(super) fn parse(words: &[String]) -> Result<Self> {
        let mut format = if words.is_empty() {
            Format::Full
        } else {
            Format::Short
        };
        let mut own = Vec::new();
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = |rest: &str| -> Result<String> {
                match (rest, words.next()) {
                    ("", None) => bail!("ps option {word}: no columns are given\n  help: {HELP}"),
                    ("", Some(next)) => Ok(next.to_owned()),
                    (rest, _) => Ok(rest.to_owned()),
                }
            };
            if let Some(long) = word.strip_prefix("--") {
                match long.split_once('=') {
                    Some(("format", list)) => own.extend(columns::parse(list)?),
                    None if long == "format" => own.extend(columns::parse(&value("")?)?),
                    _ => bail!("ps option {word} is not supported\n  help: {HELP}"),
                }
                continue;
            }
            let (letters, bsd) = match word.strip_prefix('-') {
                Some(letters) => (letters, false),
                None => (word, true),
            };
            if letters.is_empty() {
                bail!("ps option {word} is not supported\n  help: {HELP}");
            }
            // ps, too, takes `-aux` for what was meant.
            let bsd = bsd || letters == "aux";
            for (at, letter) in letters.char_indices() {
                match letter {
                    'o' => {
                        let rest = &letters[at + 1..];
                        let list = if rest.is_empty() {
                            value("")?
                        } else {
                            rest.to_owned()
                        };
                        own.extend(columns::parse(&list)?);
                        break;
                    }
                    // Which processes, or how wide: no choice here.
                    'e' | 'A' | 'd' if !bsd => {}
                    'a' | 'w' => {}
                    'x' if bsd => format = format.max(Format::Bsd),
                    'u' if bsd => format = Format::ByUser,
                    'f' | 'F' if !bsd => format = format.max(Format::Full),
                    'l' => format = format.max(Format::Long),
                    _ => bail!("ps option {word} is not supported\n  help: {HELP}"),
                }
            }
        }
        let columns = if own.is_empty() {
            columns::parse(match format {
                Format::Short => SHORT,
                Format::Bsd => BSD,
                Format::Long => LONG,
                Format::Full => FULL,
                Format::ByUser => BY_USER,
            })?
        } else {
            own
        };
        Ok(Self { columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headings(line: &str) -> String {
        let words = shlex::split(line).unwrap();
        let headings: Vec<_> = match Options::parse(&words) {
            Ok(options) => options.columns.into_iter().map(|one| one.heading).collect(),
            Err(error) => vec![error.to_string()],
        };
        format!("{line}: {}", headings.join(" "))
    }

    #[test]
    fn ps_knows_many_ways_to_say_it() {
        let lines = [
            "",
            "-ef",
            "aux",
            "-aux",
            "ax",
            "-e",
            "-l",
            "-o pid,comm",
            "-opid -o user=WHO",
            "-eo pid,args",
            "axo pid",
            "--format=rss,vsz",
            "--format pid",
            "-o pid=,comm=",
        ];
        insta::assert_snapshot!(lines.map(headings).join("\n"));
    }

    #[test]
    fn what_ps_does_and_this_does_not_is_said() {
        let lines = ["-o", "-o pid,colour", "--sort=pid", "-p 1", "-T", "-", "z"];
        insta::assert_snapshot!(lines.map(headings).join("\n"));
    }
}
