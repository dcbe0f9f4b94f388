//! How bad a link is: `x-net`, in the stack file and on the command line.

use std::str::FromStr;

use coop_net::{Shape, ShapeError};
use serde::ser::{SerializeMap, Serializer};

use super::{Duration, ParseError};

/// `--x-net rate=10mbit,delay=20ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ShapeFlag(pub(crate) Shape);

const FORM: &str = "write one or several of rate=10mbit,delay=20ms,jitter=5ms,loss=1%";

/// The longest delay.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(3600);

impl FromStr for ShapeFlag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut shape = Shape::default();
        for field in text.split(',') {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| ParseError::new(format!("{field:?} is not understood"), FORM))?;
            match key {
                "rate" => shape.rate = Some(value.parse().map_err(from_net)?),
                "delay" => shape.delay = Some(value.parse::<Duration>()?.get()),
                "jitter" => shape.jitter = Some(value.parse::<Duration>()?.get()),
                "loss" => shape.loss = Some(value.parse().map_err(from_net)?),
                _ => return Err(ParseError::new(format!("{key:?} is not known"), FORM)),
            }
        }
        check_shape(&shape).map_err(|(_, error)| error)?;
        Ok(Self(shape))
    }
}

/// What no link can be, with the key that says it.
pub(crate) fn check_shape(shape: &Shape) -> Result<(), (&'static str, ParseError)> {
    for (key, time) in [("delay", shape.delay), ("jitter", shape.jitter)] {
        if time.is_some_and(|time| time > LONGEST) {
            return Err((key, ParseError::new("longer than an hour", "write less")));
        }
    }
    if shape.jitter.unwrap_or_default() > shape.delay.unwrap_or_default() {
        let why = "packets cannot come before they were sent";
        let form = "write a delay that is longer than the jitter";
        return Err(("jitter", ParseError::new(why, form)));
    }
    Ok(())
}

/// The crate's words for a rate or a percentage that is none.
#[allow(clippy::needless_pass_by_value)] // as `map_err` calls it
pub(crate) fn from_net(error: ShapeError) -> ParseError {
    ParseError::new(error.to_string(), error.form)
}

/// Serialises a shape in the words of the stack file, where times have units.
#[allow(clippy::ref_option)] // as serde calls it
pub(crate) fn as_written<S: Serializer>(shape: &Option<Shape>, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    let shape = shape.unwrap_or_default();
    if let Some(rate) = &shape.rate {
        map.serialize_entry("rate", rate)?;
    }
    for (key, time) in [("delay", shape.delay), ("jitter", shape.jitter)] {
        if let Some(time) = time {
            map.serialize_entry(key, &Duration::from(time))?;
        }
    }
    if let Some(loss) = &shape.loss {
        map.serialize_entry("loss", loss)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_says_what_the_file_says() {
        let flag: ShapeFlag = "rate=10mbit,delay=20ms,jitter=5ms,loss=1%".parse().unwrap();
        let mut json = Vec::new();
        as_written(&Some(flag.0), &mut serde_json::Serializer::new(&mut json)).unwrap();
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"rate":"10mbit","delay":"20ms","jitter":"5ms","loss":"1%"}"#
        );
        for wrong in [
            "",
            "rate",
            "rate=fast",
            "speed=1mbit",
            "loss=101%",
            "delay=2h",
            "jitter=1ms",
        ] {
            assert!(wrong.parse::<ShapeFlag>().is_err(), "{wrong}");
        }
    }
}
