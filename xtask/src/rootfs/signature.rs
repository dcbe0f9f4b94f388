//! Signatures of distributions, checked by `gpgv`, the verifier that apt uses.
//!
//! Nothing is trusted but the fingerprints in the table. Where a key is fetched from does not
//! matter: only a signature by the key of the pinned fingerprint counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::http::Client;
use super::keyring;
use crate::debian;

/// Who signs the files of a distribution.
#[derive(Debug)]
pub(crate) struct Signer {
    pub(crate) name: &'static str,
    /// Of the primary key: 40 hexadecimal digits, upper case.
    pub(crate) fingerprint: &'static str,
    /// Where the key is found, in the order in which they are tried.
    pub(crate) keys: &'static [Keys],
}

/// A place of public keys.
#[derive(Debug)]
pub(crate) enum Keys {
    /// A file of the machine, when it is there.
    File(&'static str),
    /// A file in a package of Debian.
    Package(&'static str, &'static str),
    /// An address; `{}` stands for the fingerprint.
    Address(&'static str),
}

/// What is known of a signature that is not wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Good,
    /// Neither right nor wrong, and why.
    Not(String),
}

const MAX_KEYS: u64 = 8 << 20;
const KEYRING: &str = "keys.gpg";

impl Signer {
    /// Checks the detached `signature` of the file `signed`. Keys are kept in `cache`.
    ///
    /// # Errors
    /// When the signature is wrong, or by somebody else.
    pub(crate) fn check(
        &self,
        client: &Client,
        cache: &Path,
        signature: &Path,
        signed: &Path,
    ) -> Result<Checked> {
        if !is_there("gpgv") {
            return Ok(Checked::Not(
                "gpgv is not installed (Debian's package gpgv)".into(),
            ));
        }
        let kept = cache.join(KEYRING);
        let mut without = Vec::new();
        let mut refused = None;
        if kept.is_file() {
            match self.judge(&kept, signature, signed)? {
                Verdict::Good => return Ok(Checked::Good),
                // The key may have been renewed.
                Verdict::Refused(why) => refused = Some(why),
            }
        }
        for place in self.keys {
            let keys = match place.fetch(client, self.fingerprint) {
                Ok(Some(keys)) => keys,
                Ok(None) => continue,
                Err(error) => {
                    without.push(
                        format!("{error:#}")
                            .lines()
                            .next()
                            .unwrap_or_default()
                            .to_owned(),
                    );
                    continue;
                }
            };
            fs::write(&kept, keys).with_context(|| format!("cannot write {}", kept.display()))?;
            match self.judge(&kept, signature, signed)? {
                Verdict::Good => return Ok(Checked::Good),
                Verdict::Refused(why) => refused = Some(why),
            }
        }
        // What did not help is not to be asked first the next time.
        let _ = fs::remove_file(&kept);
        match refused {
            Some(why) => bail!("{}", self.not_by(&why)),
            None => Ok(Checked::Not(format!(
                "the key of {} cannot be had ({})",
                self.name,
                without.join("; ")
            ))),
        }
    }

    fn not_by(&self, why: &str) -> String {
        format!(
            "it is not signed by {} ({}): {why}",
            self.name, self.fingerprint
        )
    }

    /// # Errors
    /// When the signature is wrong whatever the keys, or gpgv does not start.
    fn judge(&self, keyring: &Path, signature: &Path, signed: &Path) -> Result<Verdict> {
        let output = Command::new("gpgv")
            .args(["--status-fd", "1", "--keyring"])
            .args([
                &absolute(keyring)?,
                &absolute(signature)?,
                &absolute(signed)?,
            ])
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .context("cannot start gpgv")?;
        let status = String::from_utf8_lossy(&output.stdout);
        match verdict(&status, self.fingerprint) {
            Some(verdict) => Ok(verdict),
            None => bail!("{}", self.not_by("the file is not the one that was signed")),
        }
    }
}

/// gpgv takes a name without a slash to lie in the user's own directory of keys.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("where is {}?", path.display()))
}

enum Verdict {
    Good,
    /// With these keys, and why.
    Refused(String),
}

/// Reads what gpgv says of one or more signatures (`doc/DETAILS` of its source); nothing when one of
/// them does not fit the file.
fn verdict(status: &str, fingerprint: &str) -> Option<Verdict> {
    let mut good = false;
    let mut why = "there is no signature in it".to_owned();
    for line in status.lines() {
        let mut words = line.strip_prefix("[GNUPG:] ")?.split(' ');
        match words.next()? {
            "NEWSIG" => good = false,
            "GOODSIG" => good = true,
            "BADSIG" => return None,
            "EXPKEYSIG" => "its key has expired".clone_into(&mut why),
            "REVKEYSIG" => "its key was revoked".clone_into(&mut why),
            "EXPSIG" => "it has expired".clone_into(&mut why),
            "NO_PUBKEY" => why = format!("it is by the key {}", words.next().unwrap_or("?")),
            // The last word is the primary key's, of which the first may be a subkey.
            "VALIDSIG" => {
                let signer = words.next_back().unwrap_or_default();
                if good && signer == fingerprint {
                    return Some(Verdict::Good);
                }
                if good {
                    why = format!("it is by {signer}");
                }
            }
            _ => {}
        }
    }
    Some(Verdict::Refused(why))
}

impl Keys {
    /// The keys in binary form, or nothing when this machine has no such place.
    fn fetch(&self, client: &Client, fingerprint: &str) -> Result<Option<Vec<u8>>> {
        let bytes = match self {
            Self::File(path) if !Path::new(path).is_file() => return Ok(None),
            Self::File(path) => fs::read(path).with_context(|| format!("cannot read {path}"))?,
            Self::Package(name, file) => {
                let tree = debian::Packages {
                    suite: "stable",
                    architecture: debian::native_architecture(),
                    names: &[name],
                    dependencies: debian::Dependencies::None,
                }
                .unpacked()?;
                fs::read(tree.join(file)).with_context(|| format!("{name} has no {file}"))?
            }
            Self::Address(address) => {
                client.small(&address.replace("{}", fingerprint), MAX_KEYS)?
            }
        };
        keyring::binary(bytes).map(Some)
    }
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn said(lines: &[&str]) -> String {
        let status: Vec<_> = lines
            .iter()
            .map(|line| format!("[GNUPG:] {line}"))
            .collect();
        let status = status.join("\n");
        match verdict(&status, OURS) {
            Some(Verdict::Good) => "good".into(),
            Some(Verdict::Refused(why)) => why,
            None => "wrong".into(),
        }
    }

    #[test]
    fn only_the_pinned_key_counts() {
        let valid = |primary: &str| format!("VALIDSIG 89AB 2026-01-01 0 0 4 0 1 10 00 {primary}");
        let good = "GOODSIG 89AB A Name";
        assert_eq!(said(&["NEWSIG", good, &valid(OURS)]), "good");
        assert_eq!(said(&["NEWSIG", good, &valid("FFFF")]), "it is by FFFF");
        assert_eq!(said(&["NEWSIG", "BADSIG 89AB A Name"]), "wrong");
        assert_eq!(
            said(&["NEWSIG", "EXPKEYSIG 89AB A Name", &valid(OURS)]),
            "its key has expired"
        );
        assert_eq!(
            said(&["NEWSIG", "REVKEYSIG 89AB A Name", &valid(OURS)]),
            "its key was revoked"
        );
        assert_eq!(
            said(&["NEWSIG", "ERRSIG 89AB", "NO_PUBKEY 89AB"]),
            "it is by the key 89AB"
        );
        assert_eq!(said(&["NODATA 4"]), "there is no signature in it");
        assert_eq!(said(&[]), "there is no signature in it");
        // One of two signatures is ours.
        let two = [
            "NEWSIG",
            "ERRSIG 12",
            "NO_PUBKEY 12",
            "NEWSIG",
            good,
            &valid(OURS),
        ];
        assert_eq!(said(&two), "good");
        // A good signature of somebody else does not make ours good.
        let two = [
            "NEWSIG",
            good,
            &valid("FFFF"),
            "NEWSIG",
            "EXPKEYSIG 89AB A",
            &valid(OURS),
        ];
        assert_ne!(said(&two), "good");
    }
}
