//! Memory filesystems.

use super::{ByteSize, ParseError, serde_as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a tmpfs is mounted with, in the long and the short syntax.
///
/// Set-user-id files and device nodes are always off: `nosuid` and `nodev` may be
/// written, their opposites may not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TmpfsOptions {
    /// Most that it holds; `None` leaves it to the kernel, half of the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// Permission bits of its root, such as `0o1777`; octal text in a file.
    #[serde(skip_serializing_if = "Option::is_none", with = "octal_text")]
    pub mode: Option<u32>,
    /// Owner of its root inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group of its root inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Programs on it may be executed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exec: bool,
    /// Nothing may be written to it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// `--tmpfs` and the service key `tmpfs`: `TARGET[:OPTION,...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TmpfsMount {
    /// Absolute path in the container.
    pub target: String,
    /// How it is mounted.
    pub options: TmpfsOptions,
}

serde_as_text!(TmpfsMount);

const FORM: &str = "write TARGET or TARGET:OPTION,..., such as /run:size=64m,mode=1777; the options are size, \
     mode, uid, gid, exec, noexec, ro, rw, nosuid and nodev";

impl FromStr for TmpfsMount {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (target, list) = text.split_once(':').unwrap_or((text, ""));
        super::volume::check_target(target, FORM)?;
        let mut options = TmpfsOptions::default();
        for option in list.split(',').filter(|o| !o.is_empty()) {
            options.apply(option)?;
        }
        Ok(Self {
            target: target.to_owned(),
            options,
        })
    }
}

impl TmpfsOptions {
    fn apply(&mut self, option: &str) -> Result<(), ParseError> {
        let bad = |what: &str| ParseError::new(format!("{option:?}: {what}"), FORM);
        let id = |text: &str| text.parse().map_err(|_| bad("not a number"));
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) => self.size = Some(size.parse().map_err(|e: ParseError| bad(&e.why))?),
            ("mode", mode) => self.mode = Some(octal(mode).ok_or_else(|| bad("not a mode"))?),
            ("uid", uid) => self.uid = Some(id(uid)?),
            ("gid", gid) => self.gid = Some(id(gid)?),
            ("exec", "") => self.exec = true,
            ("noexec", "") => self.exec = false,
            ("ro", "") => self.read_only = true,
            ("rw", "") => self.read_only = false,
            ("nosuid" | "nodev", "") => {}
            _ => return Err(bad("not an option of a tmpfs")),
        }
        Ok(())
    }
}

/// Permission bits as compose prints them, `"01777"`.
mod octal_text {
    use super::octal;
    use serde::{Deserialize, Deserializer, Serializer, de};

    // The signature is serde's.
    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(mode: &Option<u32>, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:04o}", mode.unwrap_or_default()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        let bad = || de::Error::custom("permission bits must be octal");
        text.map(|text| octal(&text).ok_or_else(bad)).transpose()
    }
}

/// Permission bits in octal, `1777` or `01777` or `0o1777`.
pub(crate) fn octal(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return None;
    }
    u32::from_str_radix(digits, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
}

impl fmt::Display for TmpfsMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.target)?;
        let o = &self.options;
        let parts = [
            o.size.map(|size| format!("size={size}")),
            o.mode.map(|mode| format!("mode={mode:o}")),
            o.uid.map(|uid| format!("uid={uid}")),
            o.gid.map(|gid| format!("gid={gid}")),
            o.exec.then(|| "exec".to_owned()),
            o.read_only.then(|| "ro".to_owned()),
        ];
        for (index, part) in parts.into_iter().flatten().enumerate() {
            f.write_str(if index == 0 { ":" } else { "," })?;
            f.write_str(&part)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_of_docker() {
        let mount: TmpfsMount = "/run:rw,noexec,nosuid,size=65536k,mode=1777"
            .parse()
            .unwrap();
        assert_eq!(mount.target, "/run");
        assert_eq!(mount.options.size, Some(ByteSize(64 << 20)));
        assert_eq!(mount.options.mode, Some(0o1777));
        assert!(!mount.options.exec);
        for bad in [
            "",
            "run",
            "/run:size=",
            "/run:suid",
            "/run:mode=9",
            "/run:size=1m=2",
        ] {
            assert!(bad.parse::<TmpfsMount>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(
            size in proptest::option::of(0u64..1 << 40),
            mode in proptest::option::of(0u32..=0o7777),
            uid in proptest::option::of(0u32..70000),
            exec: bool, read_only: bool,
        ) {
            let mount = TmpfsMount {
                target: "/t".into(),
                options: TmpfsOptions { size: size.map(ByteSize), mode, uid, gid: None, exec, read_only },
            };
            prop_assert_eq!(mount.to_string().parse(), Ok(mount.clone()));
            let json = serde_json::to_string(&mount.options).unwrap();
            prop_assert_eq!(serde_json::from_str::<TmpfsOptions>(&json).unwrap(), mount.options);
        }
    }
}
