//! `logging`: what becomes of a container's output.

use super::super::value::{ByteSize, ParseError};
use coop_launcher::logs::LogOptions;
use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::str::FromStr;

/// Where output goes, and how much of it is kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Logging {
    /// The driver; `None` is `json-file`.
    pub driver: Option<LogDriver>,
    /// Size at which a file is full.
    pub max_size: Option<ByteSize>,
    /// Most files.
    pub max_file: Option<u32>,
}

/// The drivers that Coop knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogDriver {
    /// Lines of JSON in files.
    JsonFile,
    /// The same, kept small by default.
    Local,
    /// Nothing is kept.
    None,
}

/// Docker's defaults of the driver `local`.
const LOCAL_MAX_SIZE: u64 = 20 * 1024 * 1024;
const LOCAL_MAX_FILE: u32 = 5;

impl Logging {
    /// A driver and its options as both are written, on the command line for example.
    ///
    /// # Errors
    /// The option that is wrong, and why.
    pub(crate) fn new<'o>(
        driver: Option<LogDriver>,
        options: impl IntoIterator<Item = (&'o str, &'o str)>,
    ) -> Result<Self, (&'o str, ParseError)> {
        let mut logging = Self {
            driver,
            ..Self::default()
        };
        for (key, value) in options {
            logging.set(key, value).map_err(|error| (key, error))?;
        }
        Ok(logging)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), ParseError> {
        const OPTIONS: &str = "the options are max-size and max-file";
        if self.driver == Some(LogDriver::None) {
            return Err(ParseError::new(
                "the log driver none takes no options",
                "remove it",
            ));
        }
        match key {
            "max-size" => self.max_size = size(value)?,
            "max-file" => {
                let files = value.parse().ok().filter(|&files| files > 0);
                self.max_file =
                    Some(files.ok_or_else(|| {
                        ParseError::new("not a number of files", "write 1 or more")
                    })?);
            }
            "mode" | "max-buffer-size" | "compress" | "tag" | "labels" | "labels-regex" | "env"
            | "env-regex" => {
                return Err(ParseError::new(
                    format!("Coop does not support the log option {key:?}"),
                    OPTIONS,
                ));
            }
            _ => {
                return Err(ParseError::new(
                    format!("unknown log option {key:?}"),
                    OPTIONS,
                ));
            }
        }
        Ok(())
    }

    /// What the supervisor does.
    pub(crate) fn options(&self) -> LogOptions {
        let (max_size, max_file) = match self.driver {
            Some(LogDriver::Local) => (Some(LOCAL_MAX_SIZE), LOCAL_MAX_FILE),
            _ => (None, 1),
        };
        LogOptions {
            max_size: self.max_size.map(ByteSize::bytes).or(max_size),
            max_file: self.max_file.unwrap_or(max_file),
            keep: self.driver != Some(LogDriver::None),
        }
    }
}

/// A size; -1 is without an end, as with Docker.
fn size(value: &str) -> Result<Option<ByteSize>, ParseError> {
    if value == "-1" {
        return Ok(None);
    }
    let size: ByteSize = value.parse()?;
    if size.bytes() == 0 {
        return Err(ParseError::new(
            "a log file has to hold something",
            "write a size such as 10m",
        ));
    }
    Ok(Some(size))
}

impl FromStr for LogDriver {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "json-file" => Ok(Self::JsonFile),
            "local" => Ok(Self::Local),
            "none" => Ok(Self::None),
            _ => Err(ParseError::new(
                format!("Coop has no log driver {text:?}"),
                "the drivers are json-file, local and none",
            )),
        }
    }
}

impl Serialize for Logging {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let options: IndexMap<_, _> = [
            ("max-file", self.max_file.map(|files| files.to_string())),
            ("max-size", self.max_size.map(|size| size.to_string())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
        let mut map = s.serialize_map(None)?;
        if let Some(driver) = self.driver {
            map.serialize_entry("driver", &driver)?;
        }
        if !options.is_empty() {
            map.serialize_entry("options", &options)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(driver: LogDriver, options: &[(&'static str, &'static str)]) -> LogOptions {
        Logging::new(Some(driver), options.iter().copied())
            .unwrap()
            .options()
    }

    #[test]
    fn each_driver_keeps_as_much_as_dockers() {
        assert_eq!(options(LogDriver::JsonFile, &[]), LogOptions::default());
        let local = options(LogDriver::Local, &[("max-file", "2")]);
        assert_eq!((local.max_size, local.max_file), (Some(20 << 20), 2));
        assert!(!options(LogDriver::None, &[]).keep);
        let small = options(LogDriver::JsonFile, &[("max-size", "1k")]);
        assert_eq!((small.max_size, small.max_file), (Some(1024), 1));
    }

    #[test]
    fn options_that_nobody_carries_out_are_refused() {
        for (key, value) in [
            ("tag", "x"),
            ("max-file", "0"),
            ("max-size", "0"),
            ("x", ""),
        ] {
            assert!(Logging::new(None, [(key, value)]).is_err(), "{key}");
        }
        assert!(Logging::new(Some(LogDriver::None), [("max-size", "1m")]).is_err());
    }
}
