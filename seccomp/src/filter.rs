//! A filter as a plan has it: made once, saved, and loaded at every start.

use std::fmt;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::{Flags, LoadError, Program};

/// What is loaded before a program is executed.
///
/// It is saved as `"unconfined"`, or with its compiled program: to read that takes less time
/// than to compile it again, and a container that is started again has the filter that it had.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Nothing: every system call is allowed.
    #[default]
    Unconfined,
    /// A program.
    Filtered(Filtered),
}

/// A program, and how it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Filtered {
    /// What it was made of, for people: `default`, or a file.
    pub profile: String,
    /// How it is loaded.
    #[serde(default, skip_serializing_if = "Flags::is_empty")]
    pub flags: Flags,
    /// What is loaded.
    #[serde(serialize_with = "as_text", deserialize_with = "of_text")]
    pub program: Program,
}

impl Filtered {
    /// The program as it is saved: in hexadecimal digits.
    pub fn program_text(&self) -> String {
        text(&self.program)
    }
}

impl Filter {
    /// What it was made of; `unconfined` when there is none.
    pub fn profile(&self) -> &str {
        match self {
            Self::Unconfined => "unconfined",
            Self::Filtered(filtered) => &filtered.profile,
        }
    }

    /// Puts the filter in force for the calling thread, and all that it will execute and fork.
    /// Filters that are in force already stay, and the strictest of them decides.
    ///
    /// The thread must have `no_new_privs`, or `CAP_SYS_ADMIN` in its user namespace.
    ///
    /// # Errors
    /// As for [`Program::load`].
    pub fn apply(&self) -> Result<(), LoadError> {
        match self {
            Self::Unconfined => Ok(()),
            Self::Filtered(filtered) => filtered.program.load(filtered.flags),
        }
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn as_text<S: Serializer>(program: &Program, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(program))
}

fn text(program: &Program) -> String {
    let mut text = String::new();
    for byte in program.to_bytes() {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

fn of_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Program, D::Error> {
    struct Text;
    impl serde::de::Visitor<'_> for Text {
        type Value = Program;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a program in hexadecimal digits")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Program, E> {
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let digit = |byte: u8| (byte as char).to_digit(16).map(|value| value as u8);
            let bytes: Option<Vec<u8>> = { pairs.iter() }
                .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
                .collect();
            match bytes {
                Some(bytes) if rest.is_empty() => Program::from_bytes(&bytes).map_err(E::custom),
                _ => Err(E::custom("not a program in hexadecimal digits")),
            }
        }
    }
    deserializer.deserialize_str(Text).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, BuiltIn, Capabilities, Context, KernelVersion};

    #[test]
    fn a_filter_is_saved_and_loaded_and_the_word_of_older_versions_is_known() {
        let context = Context {
            arch: Arch::X86_64,
            capabilities: Capabilities::NONE,
            kernel: KernelVersion { major: 6, minor: 1 },
        };
        let policy = BuiltIn::Default.policy(&context);
        let filter = Filter::Filtered(Filtered {
            profile: "default".into(),
            flags: policy.flags,
            program: policy.compile(Arch::X86_64).unwrap(),
        });
        let text = serde_json::to_string(&filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        let old: Filter = serde_json::from_str(r#""unconfined""#).unwrap();
        assert_eq!(old, Filter::Unconfined);
        assert_eq!(
            serde_json::to_string(&Filter::Unconfined).unwrap(),
            r#""unconfined""#
        );
    }

    #[test]
    fn a_damaged_program_is_refused() {
        let read = |program: &str| {
            let text = format!(r#"{{"filtered":{{"profile":"x","program":"{program}"}}}}"#);
            serde_json::from_str::<Filter>(&text)
        };
        // RET_K allow.
        assert!(read("060000000000ff7f").is_ok());
        for bad in [
            "",
            "06",
            "0",
            "zz",
            "060000000000ff7f00",
            "ff00000000000000",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
