//! `--change`: instructions of a Dockerfile, applied to an image that is imported, as with
//! `docker import`.

use anyhow::{Context, Result, bail};
use coop_image::ImageConfig;

const KNOWN: &str =
    "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR are known";

/// Applies one instruction, such as `CMD ["/bin/sh"]` or `ENV LANG=C.UTF-8`.
///
/// # Errors
/// When it is none, or what follows its first word is not what it takes.
pub(super) fn apply(config: &mut ImageConfig, instruction: &str) -> Result<()> {
    let instruction = instruction.trim();
    let (word, rest) = instruction
        .split_once(char::is_whitespace)
        .unwrap_or((instruction, ""));
    let rest = rest.trim();
    let known = word.to_ascii_uppercase();
    if rest.is_empty() && !known.is_empty() {
        bail!("{known} of what? {KNOWN}");
    }
    match known.as_str() {
        "CMD" => config.cmd = command(rest)?,
        "ENTRYPOINT" => config.entrypoint = command(rest)?,
        "ENV" => {
            for (name, value) in pairs(rest)? {
                let same = format!("{name}=");
                config.env.retain(|old| !old.starts_with(&same));
                config.env.push(format!("{name}={value}"));
            }
        }
        "LABEL" => config.labels.extend(pairs(rest)?),
        "EXPOSE" => {
            for port in words(rest)? {
                config.exposed_ports.insert(exposed(&port)?);
            }
        }
        "VOLUME" => config.volumes.extend(list(rest)?),
        "USER" => rest.clone_into(&mut config.user),
        "WORKDIR" => {
            if !rest.starts_with('/') {
                bail!("a working directory is an absolute path");
            }
            rest.clone_into(&mut config.working_dir);
        }
        "STOPSIGNAL" => config.stop_signal = Some(rest.to_owned()),
        _ => bail!("not an instruction that changes an image: {KNOWN}"),
    }
    Ok(())
}

/// The exec form is a list in JSON; anything else is a line for the shell.
fn command(text: &str) -> Result<Vec<String>> {
    if text.starts_with('[') {
        return json(text);
    }
    Ok(["/bin/sh", "-c", text].map(str::to_owned).to_vec())
}

fn list(text: &str) -> Result<Vec<String>> {
    if text.starts_with('[') {
        json(text)
    } else {
        words(text)
    }
}

fn json(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).context("not a list of words in JSON, such as [\"/bin/sh\", \"-l\"]")
}

fn words(text: &str) -> Result<Vec<String>> {
    shlex::split(text).context("a quote is not closed")
}

/// `NAME=VALUE …` with quotes where they are needed, or the older `NAME VALUE`.
fn pairs(text: &str) -> Result<Vec<(String, String)>> {
    let words = words(text)?;
    let split = |word: &String| {
        let (name, value) = word.split_once('=')?;
        (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    if let Some(pairs) = words.iter().map(split).collect() {
        return Ok(pairs);
    }
    match text.split_once(char::is_whitespace) {
        Some((name, value)) if !name.contains('=') => {
            Ok(vec![(name.to_owned(), value.trim().to_owned())])
        }
        _ => bail!("not NAME=VALUE"),
    }
}

/// A port or a range, with its protocol: `80` is `80/tcp`.
fn exposed(text: &str) -> Result<String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let fits = ports.split('-').count() <= 2 && ports.split('-').all(is_port);
    if !fits || !matches!(protocol, "tcp" | "udp" | "sctp") {
        bail!("`{text}` is not a port, such as 80 or 53/udp");
    }
    Ok(format!("{ports}/{protocol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(instructions: &[&str]) -> ImageConfig {
        let mut config = ImageConfig::default();
        for instruction in instructions {
            apply(&mut config, instruction).unwrap();
        }
        config
    }

    #[test]
    fn every_instruction_is_understood() {
        let config = changed(&[
            r#"CMD ["/bin/sh", "-l"]"#,
            "entrypoint exec tini",
            "ENV A=1 B='two words'",
            "ENV OLD the whole  line",
            "EXPOSE 80 53/udp 8000-8010",
            r#"LABEL org.opencontainers.image.version="3.20" plain=x"#,
            "STOPSIGNAL SIGQUIT",
            "USER app:app",
            "VOLUME /data /cache",
            r#"VOLUME ["/with space"]"#,
            "WORKDIR /srv",
        ]);
        insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap());
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let config = changed(&["ENV A=1 AB=2", "ENV A=3"]);
        assert_eq!(config.env, ["AB=2", "A=3"]);
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        for bad in [
            "",
            "CMD",
            "RUN make",
            "CMD [sh]",
            "ENV =x",
            "ENV A='",
            "EXPOSE web",
            "EXPOSE 1-2-3",
            "EXPOSE 0",
            "EXPOSE 80/icmp",
            "WORKDIR srv",
            "LABEL x",
        ] {
            let mut config = ImageConfig::default();
            assert!(apply(&mut config, bad).is_err(), "{bad}");
            assert_eq!(config, ImageConfig::default(), "{bad}");
        }
    }
}
