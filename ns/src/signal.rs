//! Signal numbers and names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A signal, by its number: 1 to 64, real-time ones included; see `signal(7)`.
///
/// Unlike `rustix::process::Signal` it may be a real-time signal, which is what some inits
/// (`SIGRTMIN+3` for systemd) take as a request to stop. Serialised by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(i32);

/// `SIGRTMIN` and `SIGRTMAX` as programs see them: the C library keeps the kernel's 32 and 33
/// for its threads.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// The names of `signal(7)` with this architecture's numbers, main names before synonyms.
const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    #[cfg(not(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64")))]
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

impl Signal {
    /// `SIGHUP`
    pub const HUP: Self = Self(libc::SIGHUP);
    /// `SIGINT`
    pub const INT: Self = Self(libc::SIGINT);
    /// `SIGQUIT`
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// `SIGKILL`
    pub const KILL: Self = Self(libc::SIGKILL);
    /// `SIGTERM`
    pub const TERM: Self = Self(libc::SIGTERM);
    /// `SIGWINCH`
    pub const WINCH: Self = Self(libc::SIGWINCH);

    /// The signal with this number, if it is one.
    pub const fn new(number: i32) -> Option<Self> {
        match number {
            1..=RTMAX => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number on this architecture.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl From<rustix::process::Signal> for Signal {
    fn from(signal: rustix::process::Signal) -> Self {
        Self(signal.as_raw())
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMES.iter().find(|(_, number)| *number == self.0) {
            return write!(f, "SIG{name}");
        }
        match self.0 {
            RTMIN => f.write_str("SIGRTMIN"),
            RTMAX => f.write_str("SIGRTMAX"),
            n if n > RTMIN => write!(f, "SIGRTMIN+{}", n - RTMIN),
            n => write!(f, "{n}"),
        }
    }
}

/// Not a signal's name or number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown signal {0:?}")]
pub struct ParseSignalError(pub String);

/// Reads a signal: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, `RTMAX-1`, in any case.
///
/// # Errors
/// [`ParseSignalError`] for anything else, also for numbers beyond 64 and for 0.
pub fn parse_signal(text: &str) -> Result<Signal, ParseSignalError> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
        .or_else(|| real_time(name))
        // A number has no prefix.
        .or_else(|| decimal(text))
        .and_then(Signal::new)
        .ok_or_else(|| ParseSignalError(text.to_owned()))
}

fn real_time(name: &str) -> Option<i32> {
    let number = if let Some(offset) = name.strip_prefix("RTMIN") {
        match offset.strip_prefix('+') {
            Some(offset) => RTMIN.checked_add(decimal(offset)?)?,
            None if offset.is_empty() => RTMIN,
            None => return None,
        }
    } else {
        let offset = name.strip_prefix("RTMAX")?;
        match offset.strip_prefix('-') {
            Some(offset) => RTMAX.checked_sub(decimal(offset)?)?,
            None if offset.is_empty() => RTMAX,
            None => return None,
        }
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// Digits only: `parse` alone would take a sign.
fn decimal(digits: &str) -> Option<i32> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

impl FromStr for Signal {
    type Err = ParseSignalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_signal(text)
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_signal(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_numbers_and_real_time_offsets_are_understood() {
        for text in ["SIGTERM", "TERM", "sigterm", "Term", "15"] {
            assert_eq!(parse_signal(text), Ok(Signal::TERM), "{text}");
        }
        assert_eq!(parse_signal("RTMIN+3").unwrap().number(), 37);
        assert_eq!(parse_signal("SIGRTMAX-1").unwrap().number(), 63);
        assert_eq!(parse_signal("POLL"), parse_signal("IO"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "0", "65", "-9", "+9", "SIG", "SIG9", "RTMIN+31", "RTMAX-40", "RTMIN-1", "KILLER",
            "RTMIN+", "9 ", "٩",
        ] {
            assert!(parse_signal(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_signal_is_read_back_from_its_name(number in 1..=64) {
            let signal = Signal::new(number).unwrap();
            prop_assert_eq!(parse_signal(&signal.to_string()), Ok(signal));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}") {
            let _ = parse_signal(&text);
        }
    }
}
