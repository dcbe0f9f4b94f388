//! Checksums as distributions publish them.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256, Sha512};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The checksum of a file, in hexadecimal digits.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of_file(self, path: &Path) -> Result<String> {
        let hash = || match self {
            Self::Sha256 => hash::<Sha256>(path),
            Self::Sha512 => hash::<Sha512>(path),
        };
        hash().with_context(|| format!("cannot read {}", path.display()))
    }

    /// The checksum of `file` in a list, in lower-case hexadecimal digits.
    pub(crate) fn listed(self, list: &str, file: &str) -> Option<String> {
        self.entries(list)
            .find(|(_, name)| *name == file)
            .map(|(digits, _)| digits.to_ascii_lowercase())
    }

    /// Checksum and name of every file in a list of `sha256sum(1)`.
    pub(crate) fn entries(self, list: &str) -> impl Iterator<Item = (&str, &str)> {
        list.lines().filter_map(move |line| {
            let (digits, name) = line.split_once(char::is_whitespace)?;
            let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let name = name.trim_start();
            // `*` marks the binary mode of `sha256sum`.
            let name = name.strip_prefix('*').unwrap_or(name);
            let name = name.strip_prefix("./").unwrap_or(name);
            (hex && digits.len() == self.digits()).then_some((digits, name.trim_end()))
        })
    }
}

fn hash<D: Digest>(path: &Path) -> io::Result<String> {
    struct Hasher<D>(D);
    impl<D: Digest> Write for Hasher<D> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Hasher(D::new());
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hex(&hasher.0.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_nothing_is_known() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let of = |algorithm: Algorithm| algorithm.of_file(empty.path()).unwrap();
        assert_eq!(
            of(Algorithm::Sha256),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(of(Algorithm::Sha512).starts_with("cf83e1357eefb8bdf1542850d66d8007"));
    }

    #[test]
    fn a_file_is_found_in_each_form_of_a_list() {
        let digits = "0123456789ABCDEF".repeat(4);
        let found =
            |line: &str| Algorithm::Sha256.listed(&format!("# a list\n{line}\n"), "a.tar.gz");
        for line in ["  a.tar.gz", " *a.tar.gz", "  ./a.tar.gz", " a.tar.gz\r"] {
            assert_eq!(
                found(&format!("{digits}{line}")),
                Some(digits.to_lowercase()),
                "{line}"
            );
        }
        assert_eq!(found(&format!("{digits}  b/a.tar.gz")), None);
        assert_eq!(found(&format!("{digits}  xa.tar.gz")), None);
        assert_eq!(found("0123  a.tar.gz"), None, "too short");
        assert_eq!(found("<html>"), None);
        assert_eq!(found(""), None);
    }
}
