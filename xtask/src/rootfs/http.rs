//! HTTP within bounds: time-outs, a few redirects, and no way from https down to http.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ureq::Agent;
use ureq::http::HeaderMap;

const MAX_REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(20);
/// How long a server may be silent before it is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks servers for files.
pub(crate) struct Client {
    agent: Agent,
}

/// What a server said, with the body still to be read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Where it came from in the end.
    pub(crate) address: String,
    headers: HeaderMap,
    pub(crate) body: Box<dyn Read>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with_patience(SILENCE)
    }

    /// `silence`: see [`SILENCE`].
    pub(crate) fn with_patience(silence: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Followed here, where each step is looked at.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(silence))
            .timeout_per_read(Some(silence))
            // What is compressed stays so: checksums are those of the file.
            .accept_encoding("identity")
            .user_agent(concat!("coop-xtask/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.into(),
        }
    }

    /// Asks for `address` with additional headers, and follows redirects.
    ///
    /// # Errors
    /// When nothing answers, or a redirect leads too far or to where it must not.
    pub(crate) fn get(&self, address: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut address = checked(address)?.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&address);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.call().with_context(|| {
                format!(
                    "cannot fetch {address}\n  help: is the network there? --mirror takes \
                     another mirror"
                )
            })?;
            let (parts, body) = response.into_parts();
            let status = parts.status.as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer {
                    status,
                    address,
                    headers: parts.headers,
                    body: Box::new(body.into_reader()),
                });
            }
            let location = parts.headers.get("location");
            let location = location
                .and_then(|location| location.to_str().ok())
                .with_context(|| format!("{address} is a redirect to nowhere"))?;
            address = redirected(&address, location)?;
        }
        bail!(
            "{address}: more than {MAX_REDIRECTS} redirects\n  help: --mirror takes another mirror"
        )
    }

    /// A file of at most `limit` bytes.
    ///
    /// # Errors
    /// Besides those of [`get`](Self::get), when the server has no such file or it is larger.
    pub(crate) fn small(&self, address: &str, limit: u64) -> Result<Vec<u8>> {
        let answer = self.get(address, &[])?;
        answer.expect(200)?;
        let mut bytes = Vec::new();
        answer
            .body
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("{address}: the connection broke\n  help: run it again"))?;
        if bytes.len() as u64 > limit {
            bail!("{address} has more than {limit} bytes: not what it should be");
        }
        Ok(bytes)
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// # Errors
    /// When the status is another one.
    pub(crate) fn expect(&self, status: u16) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        let help = match self.status {
            404 | 410 => {
                "the mirror does not have it (any more): --release takes another release, \
                 --mirror another mirror"
            }
            401 | 403 => "the mirror does not give it out: --mirror takes another mirror",
            429 | 500..=599 => "try again later, or another mirror with --mirror",
            _ => "--mirror takes another mirror",
        };
        bail!(
            "{}: the server answered with status {}\n  help: {help}",
            self.address,
            self.status
        )
    }
}

/// An address that can be asked for.
fn checked(address: &str) -> Result<&str> {
    let rest = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next());
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if host.is_none_or(str::is_empty) || !address.chars().all(plain) {
        bail!("{address:?} is not an address that begins with https:// or http://");
    }
    Ok(address)
}

/// Where a redirect leads.
fn redirected(from: &str, location: &str) -> Result<String> {
    let (scheme, rest) = from.split_once("://").context("an address has a scheme")?;
    let host = rest.split('/').next().unwrap_or(rest);
    let to = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{host}{location}")
    } else {
        let directory = from
            .rsplit_once('/')
            .map_or(from, |(directory, _)| directory);
        format!("{directory}/{location}")
    };
    checked(&to).with_context(|| format!("{from} redirects to where it must not"))?;
    if scheme == "https" && !to.starts_with("https://") {
        bail!(
            "{from} redirects to {to}, which is not encrypted: refused\n  help: --mirror takes \
             another mirror"
        );
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved() {
        let to = |location| redirected("https://a.example/x/y", location).unwrap();
        assert_eq!(to("https://b.example/z"), "https://b.example/z");
        assert_eq!(to("//b.example/z"), "https://b.example/z");
        assert_eq!(to("/z"), "https://a.example/z");
        assert_eq!(to("z"), "https://a.example/x/z");
        let up = redirected("http://a.example/x", "https://a.example/x").unwrap();
        assert_eq!(up, "https://a.example/x");
    }

    #[test]
    fn a_redirect_never_takes_the_encryption_away() {
        for to in [
            "http://a.example/x",
            "HTTP://a.example/x",
            "file:///etc/passwd",
            "ftp://a/x",
        ] {
            assert!(redirected("https://a.example/x", to).is_err(), "{to}");
        }
    }

    #[test]
    fn only_web_addresses_are_asked_for() {
        assert!(checked("https://a.example/x").is_ok());
        for bad in [
            "",
            "a.example",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "http://a b/",
            "http://a/\r\nX: y",
        ] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }
}
