//! Links that are made worse on purpose, by one `tc -batch -`.
//!
//! A shape is what one end of a link does to the packets that it sends. Both ends of a
//! container's link get the same one, so it holds for each direction by itself: what the container
//! receives is shaped at the host's end, and what it sends at its own. A round trip takes twice
//! the delay.
//!
//! A rate alone is a token bucket (`tc-tbf(8)`); everything else is `tc-netem(8)`.

use std::fmt::{self, Write};
use std::process::Stdio;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::tool::{self, TC};

/// What an end of a link does to the packets that it sends. By default nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    /// At most so much in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Each packet comes so much later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// By chance up to so much more or less than the delay, evenly distributed. Packets may
    /// overtake one another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Duration>,
    /// So many packets are lost, each by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Percent>,
}

/// Bits in a second, 1 at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate(u64);

/// A part of a whole, in percent: from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(f64);

/// A rate or percentage that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ShapeError {
    what: String,
    /// How it is written.
    pub form: &'static str,
}

/// An interface of the calling thread's network namespace, and what it is to be like.
#[derive(Debug, Clone, PartialEq)]
pub struct Shaped {
    /// The interface's name.
    pub interface: String,
    /// The container that the link is of, for errors.
    pub container: String,
    /// What it does to the packets that it sends.
    pub shape: Shape,
}

/// `tc`'s words for units of a rate, in bits a second: those with `bit` count bits, those with
/// `bps` bytes; `k` is a thousand, and `ki` 1024.
const UNITS: [(&str, u64); 18] = [
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
    ("tbit", 1_000_000_000_000),
    ("kibit", 1 << 10),
    ("mibit", 1 << 20),
    ("gibit", 1 << 30),
    ("tibit", 1 << 40),
    ("bps", 8),
    ("kbps", 8_000),
    ("mbps", 8_000_000),
    ("gbps", 8_000_000_000),
    ("tbps", 8_000_000_000_000),
    ("kibps", 8 << 10),
    ("mibps", 8 << 20),
    ("gibps", 8 << 30),
    ("tibps", 8 << 40),
];

const RATE: &str = "write a number and a unit of tc, such as 512kbit, 10mbit or 1gbit";
const PERCENT: &str = "write a number from 0 to 100 and a percent sign, such as 1% or 0.5%";
/// What the kernel's own counters hold.
const MOST: f64 = 9e18;

impl Rate {
    /// Bits in a second.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let fail = |what: String| ShapeError { what, form: RATE };
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let Some(end) = end else {
            return Err(fail(format!("{text:?} has no unit")));
        };
        let (number, unit) = text.split_at(end);
        let lower = unit.to_ascii_lowercase();
        let factor = UNITS.iter().find(|(name, _)| *name == lower);
        let Some((_, factor)) = factor else {
            return Err(fail(format!("{unit:?} is not a unit of a rate")));
        };
        let number: f64 = number
            .parse()
            .map_err(|_| fail(format!("{number:?} is not a number")))?;
        let bits = (number * *factor as f64).round();
        if !(1.0..MOST).contains(&bits) {
            return Err(fail(format!("{text} is no rate that can be kept")));
        }
        Ok(Self(bits as u64))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = UNITS[..5].iter().rev();
        let whole = decimal
            .copied()
            .find(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.unwrap_or(UNITS[0]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl FromStr for Percent {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let number = text.trim().strip_suffix('%').map(str::trim_end);
        let plain = |number: &&str| number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        number
            .filter(plain)
            .and_then(|number| number.parse().ok())
            .filter(|number| (0.0..=100.0).contains(number))
            .map(Self)
            .ok_or_else(|| ShapeError {
                what: format!("{text:?} is not a part of a hundred"),
                form: PERCENT,
            })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = ShapeError;

            fn try_from(text: String) -> Result<Self, ShapeError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}
as_text!(Rate, Percent);

impl Shape {
    /// Whether packets are as they would be without.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The queueing discipline, in `tc`'s words.
    fn discipline(&self) -> String {
        let Self {
            rate,
            delay,
            jitter,
            loss,
        } = *self;
        if let (Some(rate), None, None, None) = (rate, delay, jitter, loss) {
            // As much as comes in 10 ms may go at once, and one packet of the largest size: what
            // is less, the clock of the kernel does not keep up with.
            let burst = (rate.0 / 800).max(LARGEST);
            return format!("tbf rate {}bit burst {burst}b latency 100ms", rate.0);
        }
        // Writing to a String cannot fail.
        // What is on its way at a gigabit a second with a delay of 100 ms.
        let mut words = "netem limit 10000".to_owned();
        let micros = |duration: Duration| duration.as_micros();
        if let Some(delay) = delay {
            let _ = write!(words, " delay {}us", micros(delay));
            if let Some(jitter) = jitter {
                let _ = write!(words, " {}us", micros(jitter));
            }
        }
        if let Some(loss) = loss {
            let _ = write!(words, " loss {loss}");
        }
        if let Some(rate) = rate {
            let _ = write!(words, " rate {}bit", rate.0);
        }
        words
    }
}

/// The largest packet that a link takes in one piece, with its header.
const LARGEST: u64 = 65_536 + 14;

/// Makes interfaces of the calling thread's network namespace what they are to be like, in the
/// place of what they were.
///
/// # Errors
/// [`Error::MissingTool`], [`Error::Tool`]; [`Error::Shape`] with the container whose link `tc`
/// refuses, and with the kernel's module that is missing where that is the reason.
pub fn shape(interfaces: &[Shaped]) -> Result<(), Error> {
    if interfaces.is_empty() {
        return Ok(());
    }
    let line = |it: &Shaped| {
        let (interface, discipline) = (&it.interface, it.shape.discipline());
        format!("qdisc replace dev {interface} root {discipline}\n")
    };
    let text: String = interfaces.iter().map(line).collect();
    let input = tool::memory_text(&text).map_err(TC.failed("feed"))?;
    let arguments = ["-batch", "-"];
    let running = TC.start(&arguments, Stdio::from(input), Stdio::null())?;
    running
        .wait()?
        .map_err(|message| refused(interfaces, &message))
}

/// What `tc` says of a kind that the kernel does not have: newer ones the kernel's own words.
const UNKNOWN: [&str; 3] = [
    "qdisc kind is unknown",
    "No such file or directory",
    "Unknown qdisc",
];

fn refused(interfaces: &[Shaped], message: &str) -> Error {
    let failed = crate::batch::failed_line(message).and_then(|line| interfaces.get(line));
    let shaped = failed.or(interfaces.first());
    let discipline = shaped.map(|it| it.shape.discipline());
    let is_netem = discipline.is_some_and(|words| words.starts_with("netem"));
    let is_unknown = UNKNOWN.iter().any(|words| message.contains(words));
    let module = if is_netem { "sch_netem" } else { "sch_tbf" };
    Error::Shape {
        container: shaped.map(|it| it.container.clone()).unwrap_or_default(),
        interface: shaped.map(|it| it.interface.clone()).unwrap_or_default(),
        message: crate::batch::words(message),
        module: is_unknown.then_some(module),
    }
}

#[cfg(test)]
mod tests;
