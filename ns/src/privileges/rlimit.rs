//! Resource limits.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Pid, Resource, prlimit};
use serde::{Deserialize, Serialize};

use super::Error;

macro_rules! kinds {
    ($($kind:ident $name:literal $doc:literal)*) => {
        /// What is limited, see `getrlimit(2)`. Displayed, read and serialised by the names
        /// of `ulimit` settings: `nofile`, `nproc`, ...
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum RlimitKind {
            $(#[doc = $doc] #[serde(rename = $name)] $kind,)*
        }

        const NAMES: &[(&str, RlimitKind)] = &[$(($name, RlimitKind::$kind)),*];

        impl RlimitKind {
            fn resource(self) -> Resource {
                match self {
                    $(Self::$kind => Resource::$kind,)*
                }
            }

            /// The name in lower case without `RLIMIT_`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    As "as" "Address space, bytes."
    Core "core" "Size of a core file, bytes."
    Cpu "cpu" "CPU time, seconds."
    Data "data" "Data segment, bytes."
    Fsize "fsize" "Size of a file written, bytes."
    Locks "locks" "File locks; ignored since Linux 2.4.25."
    Memlock "memlock" "Locked memory, bytes."
    Msgqueue "msgqueue" "POSIX message queues, bytes."
    Nice "nice" "Ceiling of the nice value: 20 minus the value."
    Nofile "nofile" "File descriptors, one more than the highest."
    Nproc "nproc" "Processes and threads of the user."
    Rss "rss" "Resident set; ignored since Linux 2.4.30."
    Rtprio "rtprio" "Real-time priority."
    Rttime "rttime" "CPU time of a real-time process without blocking, microseconds."
    Sigpending "sigpending" "Queued signals of the user."
    Stack "stack" "Stack, bytes."
}

/// A soft limit and the hard limit up to which the process can raise it; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rlimit {
    /// What is limited.
    pub kind: RlimitKind,
    /// What applies.
    pub soft: Option<u64>,
    /// What it can be raised to.
    pub hard: Option<u64>,
}

impl Rlimit {
    /// Limits the calling process.
    ///
    /// # Errors
    /// [`Error::SetRlimit`].
    pub fn set(&self) -> Result<(), Error> {
        self.set_of(None)
    }

    /// Limits another process, see `prlimit(2)`: for hard limits above its own, which a
    /// process in a user namespace cannot raise itself.
    ///
    /// # Errors
    /// [`Error::SetRlimit`].
    pub fn set_for(&self, pid: Pid) -> Result<(), Error> {
        self.set_of(Some(pid))
    }

    fn set_of(&self, pid: Option<Pid>) -> Result<(), Error> {
        let limit = rustix::process::Rlimit {
            current: self.soft,
            maximum: self.hard,
        };
        match prlimit(pid, self.kind.resource(), limit) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::SetRlimit {
                rlimit: *self,
                source,
            }),
        }
    }
}

impl fmt::Display for RlimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Rlimit {
    /// `nofile=1024:unlimited`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.kind)?;
        for (limit, end) in [(self.soft, ":"), (self.hard, "")] {
            match limit {
                Some(limit) => write!(f, "{limit}{end}")?,
                None => write!(f, "unlimited{end}")?,
            }
        }
        Ok(())
    }
}

/// Not a resource limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRlimitError {
    /// No such resource.
    #[error("unknown resource limit {0:?}")]
    UnknownKind(String),
    /// Not `NAME=SOFT[:HARD]`.
    #[error("invalid resource limit {0:?}: expected NAME=SOFT[:HARD], with numbers or unlimited")]
    Syntax(String),
    /// The soft limit is above the hard one.
    #[error("invalid resource limit {0:?}: soft limit above hard limit")]
    SoftAboveHard(String),
}

impl FromStr for RlimitKind {
    type Err = ParseRlimitError;

    /// In any case, with or without `RLIMIT_`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| ParseRlimitError::UnknownKind(text.to_owned()))
    }
}

impl FromStr for Rlimit {
    type Err = ParseRlimitError;

    /// `NAME=SOFT[:HARD]`, as in `docker run --ulimit`; `-1` is unlimited too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || ParseRlimitError::Syntax(text.to_owned());
        let (name, limits) = text.split_once('=').ok_or_else(syntax)?;
        let kind = name.parse()?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let soft = parse_limit(soft).ok_or_else(syntax)?;
        let hard = parse_limit(hard).ok_or_else(syntax)?;
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            return Err(ParseRlimitError::SoftAboveHard(text.to_owned()));
        }
        Ok(Self { kind, soft, hard })
    }
}

#[allow(
    clippy::option_option,
    reason = "no limit and no number are two things"
)]
fn parse_limit(text: &str) -> Option<Option<u64>> {
    match text {
        "unlimited" | "-1" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        let parse = |text: &str| text.parse::<Rlimit>();
        assert_eq!(
            parse("nofile=1024:2048").unwrap(),
            Rlimit {
                kind: RlimitKind::Nofile,
                soft: Some(1024),
                hard: Some(2048)
            }
        );
        assert_eq!(parse("core=0").unwrap().hard, Some(0));
        assert_eq!(parse("RLIMIT_MEMLOCK=-1").unwrap().soft, None);
        assert_eq!(parse("stack=8:unlimited").unwrap().hard, None);
        assert!(matches!(
            parse("files=1"),
            Err(ParseRlimitError::UnknownKind(_))
        ));
        assert!(matches!(
            parse("nofile=2:1"),
            Err(ParseRlimitError::SoftAboveHard(_))
        ));
        for text in [
            "nofile",
            "nofile=",
            "nofile=1:",
            "nofile=+1",
            "nofile=-2",
            "nofile=1:2:3",
        ] {
            assert!(
                matches!(parse(text), Err(ParseRlimitError::Syntax(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_limit_is_read_back_from_its_text(
            index in 0..NAMES.len(),
            soft in prop::option::of(0..u64::MAX),
            more in prop::option::of(any::<u64>()),
        ) {
            let hard = soft.and_then(|soft| Some(soft.saturating_add(more?)));
            let rlimit = Rlimit { kind: NAMES[index].1, soft, hard };
            prop_assert_eq!(rlimit.to_string().parse(), Ok(rlimit));
            let json = serde_json::to_string(&rlimit).unwrap();
            prop_assert_eq!(serde_json::from_str::<Rlimit>(&json).unwrap(), rlimit);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,30}") {
            let _ = text.parse::<Rlimit>();
        }
    }
}
