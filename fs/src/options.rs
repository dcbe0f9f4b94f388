//! Mount options: the words of `mount(8)` and of compose files.

use std::fmt;
use std::str::FromStr;

use bitflags::bitflags;
use rustix::mount::{MountFlags, MountPropagationFlags};
use serde::{Deserialize, Serialize};

use crate::Error;

bitflags! {
    /// Attributes of one mount, with the values of `mount_setattr(2)`.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub struct MountAttributes: u64 {
        /// Nothing can be written through this mount.
        const RDONLY = 0x1;
        /// Set-user-id bits and file capabilities are ignored.
        const NOSUID = 0x2;
        /// Device nodes cannot be opened.
        const NODEV = 0x4;
        /// Programs cannot be executed.
        const NOEXEC = 0x8;
        /// Access times are never updated.
        const NOATIME = 0x10;
        /// Access times are always updated.
        const STRICTATIME = 0x20;
        /// Access times of directories are never updated.
        const NODIRATIME = 0x80;
        /// Symlinks are not followed.
        const NOSYMFOLLOW = 0x0020_0000;
    }
}

impl MountAttributes {
    /// The bits that the kernel treats as one field (`MOUNT_ATTR__ATIME`).
    pub(crate) const ATIME: Self = Self::from_bits_retain(0x70);
    /// What Docker gives every filesystem that has no business with programs or devices.
    pub(crate) const INERT: Self = Self::NOSUID.union(Self::NODEV).union(Self::NOEXEC);

    /// The same attributes for `mount(2)`.
    pub(crate) fn mount_flags(self) -> MountFlags {
        const PAIRS: [(MountAttributes, MountFlags); 8] = [
            (MountAttributes::RDONLY, MountFlags::RDONLY),
            (MountAttributes::NOSUID, MountFlags::NOSUID),
            (MountAttributes::NODEV, MountFlags::NODEV),
            (MountAttributes::NOEXEC, MountFlags::NOEXEC),
            (MountAttributes::NOATIME, MountFlags::NOATIME),
            (MountAttributes::STRICTATIME, MountFlags::STRICTATIME),
            (MountAttributes::NODIRATIME, MountFlags::NODIRATIME),
            (MountAttributes::NOSYMFOLLOW, MountFlags::NOSYMFOLLOW),
        ];
        PAIRS
            .into_iter()
            .filter(|(attribute, _)| self.contains(*attribute))
            .fold(MountFlags::empty(), |flags, (_, flag)| flags | flag)
    }
}

/// How mounts made later below a mount travel between namespaces
/// (`mount_namespaces(7)`). The names with `R` also cover the mounts below.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// None, for this mount only.
    Private,
    /// None: the default, as in Docker.
    #[default]
    RPrivate,
    /// From the host to the container, for this mount only.
    Slave,
    /// From the host to the container.
    RSlave,
    /// Both ways, for this mount only.
    Shared,
    /// Both ways.
    RShared,
    /// None, and it cannot be bind-mounted; for this mount only.
    Unbindable,
    /// None, and none of it can be bind-mounted.
    RUnbindable,
}

impl Propagation {
    const ALL: [(&'static str, Self); 8] = [
        ("private", Self::Private),
        ("rprivate", Self::RPrivate),
        ("slave", Self::Slave),
        ("rslave", Self::RSlave),
        ("shared", Self::Shared),
        ("rshared", Self::RShared),
        ("unbindable", Self::Unbindable),
        ("runbindable", Self::RUnbindable),
    ];

    fn word(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(_, it)| *it == self)
            .map_or("rprivate", |(word, _)| word)
    }

    pub(crate) fn is_recursive(self) -> bool {
        matches!(
            self,
            Self::RPrivate | Self::RSlave | Self::RShared | Self::RUnbindable
        )
    }

    pub(crate) fn flags(self) -> MountPropagationFlags {
        match self {
            Self::Private | Self::RPrivate => MountPropagationFlags::PRIVATE,
            Self::Slave | Self::RSlave => MountPropagationFlags::DOWNSTREAM,
            Self::Shared | Self::RShared => MountPropagationFlags::SHARED,
            Self::Unbindable | Self::RUnbindable => MountPropagationFlags::UNBINDABLE,
        }
    }
}

/// The `SELinux` label asked for a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relabel {
    /// `z`: a label that several containers share.
    Shared,
    /// `Z`: a label of this container alone.
    Private,
}

/// The options of one mount, parsed.
///
/// Reads the words that `mount(8)`, `docker run -v` and compose files use, and prints
/// them again in one canonical order:
///
/// ```
/// let options: coop_fs::MountOptions = "ro,nosuid,z".parse()?;
/// assert!(options.is_readonly());
/// assert_eq!(options.to_string(), "ro,nosuid,rbind,rprivate,z");
/// # Ok::<(), coop_fs::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MountOptions {
    /// Attributes to set.
    pub set: MountAttributes,
    /// Attributes to clear: `rw`, `suid`, `dev`, `exec` and so on. A bind mount never
    /// becomes writable by this when the host has its source read-only.
    pub clear: MountAttributes,
    /// How mounts made later travel.
    pub propagation: Propagation,
    /// Whether the mounts below a bind mount's source come along (`rbind`).
    pub recursive: bool,
    /// The `SELinux` label asked for; accepted, and without effect on hosts without it.
    pub relabel: Option<Relabel>,
    /// Whether an empty new volume gets the image's files at its target; `nocopy` clears it.
    pub copy: bool,
    /// Words for the filesystem itself (`size=64m`), as given.
    pub data: Vec<String>,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            set: MountAttributes::empty(),
            clear: MountAttributes::empty(),
            propagation: Propagation::default(),
            recursive: true,
            relabel: None,
            copy: true,
            data: Vec::new(),
        }
    }
}

/// Each attribute with the word that sets it and the word that clears it.
const WORDS: [(&str, &str, MountAttributes); 8] = [
    ("ro", "rw", MountAttributes::RDONLY),
    ("nosuid", "suid", MountAttributes::NOSUID),
    ("nodev", "dev", MountAttributes::NODEV),
    ("noexec", "exec", MountAttributes::NOEXEC),
    ("noatime", "atime", MountAttributes::NOATIME),
    ("strictatime", "nostrictatime", MountAttributes::STRICTATIME),
    ("nodiratime", "diratime", MountAttributes::NODIRATIME),
    ("nosymfollow", "symfollow", MountAttributes::NOSYMFOLLOW),
];

/// The words of tmpfs that are passed on: `tmpfs(5)`.
const DATA_KEYS: [&str; 7] = [
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "huge",
];

impl MountOptions {
    /// Whether nothing can be written through the mount.
    pub fn is_readonly(&self) -> bool {
        self.set.contains(MountAttributes::RDONLY)
    }

    /// The same options, read-only.
    pub fn readonly(mut self) -> Self {
        self.turn_on(MountAttributes::RDONLY);
        self
    }

    /// `base` as changed by these options.
    pub(crate) fn over(&self, base: MountAttributes) -> MountAttributes {
        (base - self.clear) | self.set
    }

    fn turn_on(&mut self, attribute: MountAttributes) {
        // One field in the kernel: the last word wins.
        if MountAttributes::ATIME.contains(attribute) {
            self.set -= MountAttributes::ATIME;
        }
        self.set |= attribute;
        self.clear -= attribute;
    }

    fn turn_off(&mut self, attribute: MountAttributes) {
        self.set -= attribute;
        self.clear |= attribute;
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        for (on, off, attribute) in WORDS {
            if word == on {
                self.turn_on(attribute);
                return Ok(());
            }
            if word == off {
                self.turn_off(attribute);
                return Ok(());
            }
        }
        if let Some((_, propagation)) = Propagation::ALL.into_iter().find(|(it, _)| *it == word) {
            self.propagation = propagation;
            return Ok(());
        }
        match word {
            "rro" | "readonly" => self.turn_on(MountAttributes::RDONLY),
            "relatime" => self.set -= MountAttributes::ATIME,
            "bind" => self.recursive = false,
            "rbind" => self.recursive = true,
            "z" => self.relabel = Some(Relabel::Shared),
            "Z" => self.relabel = Some(Relabel::Private),
            "copy" => self.copy = true,
            "nocopy" => self.copy = false,
            // Without meaning on Linux, but in many compose files.
            "" | "defaults" | "async" | "consistent" | "cached" | "delegated" => {}
            _ => self.data_word(word)?,
        }
        Ok(())
    }

    fn data_word(&mut self, word: &str) -> Result<(), Error> {
        let unknown = || Error::UnknownOption {
            option: word.to_owned(),
        };
        let (key, value) = word.split_once('=').ok_or_else(unknown)?;
        if !DATA_KEYS.contains(&key) {
            return Err(unknown());
        }
        let expected = match key {
            "mode" if u32::from_str_radix(value, 8).is_err() => "an octal number",
            "uid" | "gid" if value.parse::<u32>().is_err() => "a number",
            "size" | "nr_inodes" | "nr_blocks" if !is_size(value) => {
                "a number with an optional k, m, g or %"
            }
            "huge" if value.is_empty() => "never, always, within_size or advise",
            _ => {
                self.data
                    .retain(|old| !old.starts_with(&word[..=key.len()]));
                self.data.push(word.to_owned());
                return Ok(());
            }
        };
        Err(Error::InvalidOption {
            option: word.to_owned(),
            expected,
        })
    }
}

/// What the kernel's `memparse` takes, and a per cent sign.
fn is_size(value: &str) -> bool {
    let digits = value.trim_end_matches(|c: char| "kKmMgG%".contains(c));
    value.len() - digits.len() <= 1
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl FromStr for MountOptions {
    type Err = Error;

    /// Words with commas between them; where two contradict, the last one wins.
    fn from_str(words: &str) -> Result<Self, Error> {
        let mut options = Self::default();
        for word in words.split(',') {
            options.word(word.trim())?;
        }
        Ok(options)
    }
}

impl fmt::Display for MountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = WORDS.into_iter().filter_map(|(on, off, attribute)| {
            if self.set.contains(attribute) {
                Some(on)
            } else {
                self.clear.contains(attribute).then_some(off)
            }
        });
        let words: Vec<&str> = attributes
            .chain([
                if self.recursive { "rbind" } else { "bind" },
                self.propagation.word(),
            ])
            .chain(self.relabel.map(|relabel| match relabel {
                Relabel::Shared => "z",
                Relabel::Private => "Z",
            }))
            .chain((!self.copy).then_some("nocopy"))
            .chain(self.data.iter().map(String::as_str))
            .collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(words: &str) -> MountOptions {
        words.parse().unwrap()
    }

    #[test]
    fn the_last_word_wins() {
        assert!(parse("rw,ro").is_readonly());
        let options = parse("ro,noexec,rw,exec");
        assert_eq!(options.set, MountAttributes::empty());
        assert_eq!(
            options.over(MountAttributes::INERT),
            MountAttributes::NOSUID | MountAttributes::NODEV
        );
        assert_eq!(
            parse("noatime,strictatime").set,
            MountAttributes::STRICTATIME
        );
        assert_eq!(parse("size=1m,size=2m").data, ["size=2m"]);
    }

    #[test]
    fn an_unknown_word_is_named() {
        for word in ["readwrite", "uid", "comment=x", "U", "remount"] {
            let error = format!("ro,{word}").parse::<MountOptions>().unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn a_bad_value_says_what_would_be_right() {
        for (word, expected) in [
            ("mode=9", "octal"),
            ("uid=x", "number"),
            ("size=1q", "number"),
        ] {
            let error = word.parse::<MountOptions>().unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(words in ".{0,64}") {
            let _ = words.parse::<MountOptions>();
        }

        #[test]
        fn printed_options_read_back_the_same(
            words in proptest::sample::subsequence(
                vec!["ro", "rw", "nosuid", "suid", "dev", "noexec", "noatime", "strictatime",
                     "nodiratime", "bind", "rbind", "rslave", "shared", "z", "Z", "nocopy",
                     "size=64m", "mode=1777", "uid=0"], 0..12).prop_shuffle()
        ) {
            let options = parse(&words.join(","));
            prop_assert_eq!(parse(&options.to_string()), options);
        }
    }
}
