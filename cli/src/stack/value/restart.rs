//! What becomes of a container that ends by itself.

use super::{ParseError, serde_as_text};
use coop_launcher::supervisor::RestartPolicy;
use std::fmt;
use std::str::FromStr;

/// A restart policy, as `restart` and `--restart` write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restart(pub RestartPolicy);

serde_as_text!(Restart);

const FORM: &str = "write no, always, unless-stopped, on-failure or on-failure:N";

impl FromStr for Restart {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (policy, retries) = match text.split_once(':') {
            Some((policy, retries)) => (policy, Some(retries)),
            None => (text, None),
        };
        let policy = match policy {
            "no" => RestartPolicy::No,
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => {
                let max_retries = match retries.map(str::parse) {
                    // As Docker: 0 is without an end.
                    None | Some(Ok(0)) => None,
                    Some(Ok(retries)) => Some(retries),
                    Some(Err(_)) => {
                        return Err(ParseError::new(
                            "the number of restarts is not a whole number",
                            FORM,
                        ));
                    }
                };
                return Ok(Self(RestartPolicy::OnFailure { max_retries }));
            }
            _ => return Err(ParseError::new("not a restart policy", FORM)),
        };
        if retries.is_some() {
            return Err(ParseError::new(
                "only on-failure takes a number of restarts",
                FORM,
            ));
        }
        Ok(Self(policy))
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            RestartPolicy::No => f.write_str("no"),
            RestartPolicy::Always => f.write_str("always"),
            RestartPolicy::UnlessStopped => f.write_str("unless-stopped"),
            RestartPolicy::OnFailure { max_retries: None } => f.write_str("on-failure"),
            RestartPolicy::OnFailure {
                max_retries: Some(retries),
            } => write!(f, "on-failure:{retries}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_reads_back_as_it_is_written() {
        for text in [
            "no",
            "always",
            "unless-stopped",
            "on-failure",
            "on-failure:3",
        ] {
            assert_eq!(text.parse::<Restart>().unwrap().to_string(), text);
        }
        assert_eq!(
            "on-failure:0".parse::<Restart>(),
            "on-failure".parse::<Restart>()
        );
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in [
            "",
            "never",
            "Always",
            "always:3",
            "on-failure:",
            "on-failure:-1",
        ] {
            assert!(text.parse::<Restart>().is_err(), "{text}");
        }
    }
}
