//! The releases that are known, and where their root filesystems lie.
//!
//! What is pinned are versions and the fingerprints of those who sign them. The digests are the
//! ones that the distributions publish and sign.

use anyhow::{Context, Result, bail};

use super::architecture::Architecture;
use super::checksum::Algorithm;
use super::signature::{Keys, Signer};

/// Keys by fingerprint.
const KEYSERVER: &str = "https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x{}";

const ALPINE_SIGNER: Signer = Signer {
    name: "Alpine's release key",
    fingerprint: "0482D84022F52DF1C4E7CD43293ACD0907D9495A",
    keys: &[
        Keys::Address("https://alpinelinux.org/keys/ncopa.asc"),
        Keys::Address(KEYSERVER),
    ],
};
const UBUNTU_SIGNER: Signer = Signer {
    name: "Ubuntu's key for images",
    fingerprint: "843938DF228D22F7B3742BC0D94AA3F0EFE21092",
    keys: &[
        Keys::File("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
        Keys::Address(KEYSERVER),
    ],
};
const ARCH_SIGNER: Signer = Signer {
    name: "Arch Linux's release key",
    fingerprint: "3E80CA1A8B89F69CBA57D98A76A5EF9054449A5C",
    keys: &[
        Keys::File("/usr/share/pacman/keyrings/archlinux.gpg"),
        Keys::Package("archlinux-keyring", "usr/share/keyrings/archlinux.gpg"),
        Keys::Address(KEYSERVER),
    ],
};

/// A series, and the version of it that is fetched. The first of a table is the default.
type Pinned = (&'static str, &'static str);

const ALPINE: &[Pinned] = &[
    ("3.24", "3.24.1"),
    ("3.23", "3.23.3"),
    ("3.22", "3.22.2"),
    ("3.21", "3.21.3"),
    ("3.20", "3.20.6"),
];
const UBUNTU: &[Pinned] = &[
    ("24.04", "24.04.4"),
    ("26.04", "26.04"),
    ("22.04", "22.04.5"),
];
/// Debian's own names, for the suites of its mirrors.
pub(super) const DEBIAN: &[Pinned] = &[("12", "bookworm"), ("13", "trixie"), ("11", "bullseye")];

/// A root filesystem in an archive on a mirror, and what proves it.
#[derive(Debug)]
pub(crate) struct Tarball {
    /// The name of the image.
    pub(crate) image: String,
    pub(crate) title: &'static str,
    pub(crate) version: String,
    pub(crate) shell: &'static str,
    /// The directory on the mirror, with a slash at its end.
    pub(crate) directory: String,
    pub(crate) file: String,
    /// The list of checksums in the same directory.
    pub(crate) checksums: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) signature: Signature,
    /// No distribution publishes larger ones.
    pub(crate) limit: u64,
    /// Whether the same name means another file later.
    pub(crate) moves: bool,
}

#[derive(Debug)]
pub(crate) struct Signature {
    /// In the same directory.
    pub(crate) file: String,
    pub(crate) of: Signed,
    pub(crate) signer: &'static Signer,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Archive,
    Checksums,
}

/// Alpine's mini root filesystem.
///
/// # Errors
/// When the release or the architecture is not known.
pub(crate) fn alpine(
    release: Option<&str>,
    architecture: &Architecture,
    mirror: Option<&str>,
) -> Result<Tarball> {
    let version = pinned("Alpine", ALPINE, release)?;
    let mut numbers = version.splitn(3, '.');
    let series = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        _ => bail!("{version} is not a release of Alpine, such as 3.20"),
    };
    let machine = architecture
        .alpine
        .with_context(|| architecture.not_of("Alpine"))?;
    let file = format!("alpine-minirootfs-{version}-{machine}.tar.gz");
    Ok(Tarball {
        image: format!("alpine:{series}"),
        title: "Alpine Linux",
        shell: "/bin/sh",
        directory: format!(
            "{}/v{series}/releases/{machine}/",
            mirror_or(mirror, "https://dl-cdn.alpinelinux.org/alpine")
        ),
        checksums: format!("{file}.sha512"),
        algorithm: Algorithm::Sha512,
        signature: Signature {
            file: format!("{file}.asc"),
            of: Signed::Archive,
            signer: &ALPINE_SIGNER,
        },
        limit: 64 << 20,
        moves: false,
        file,
        version,
    })
}

/// Ubuntu Base.
///
/// # Errors
/// When the release or the architecture is not known.
pub(crate) fn ubuntu(
    release: Option<&str>,
    architecture: &Architecture,
    mirror: Option<&str>,
) -> Result<Tarball> {
    let version = pinned("Ubuntu", UBUNTU, release)?;
    let mut numbers = version.splitn(3, '.');
    let series = match (numbers.next(), numbers.next()) {
        (Some(year), Some(month)) => format!("{year}.{month}"),
        _ => bail!("{version} is not a release of Ubuntu, such as 24.04"),
    };
    let machine = architecture
        .debian
        .with_context(|| architecture.not_of("Ubuntu"))?;
    Ok(Tarball {
        image: format!("ubuntu:{series}"),
        title: "Ubuntu",
        shell: "/bin/bash",
        directory: format!(
            "{}/ubuntu-base/releases/{series}/release/",
            mirror_or(mirror, "https://cdimage.ubuntu.com")
        ),
        file: format!("ubuntu-base-{version}-base-{machine}.tar.gz"),
        checksums: "SHA256SUMS".into(),
        algorithm: Algorithm::Sha256,
        signature: Signature {
            file: "SHA256SUMS.gpg".into(),
            of: Signed::Checksums,
            signer: &UBUNTU_SIGNER,
        },
        limit: 512 << 20,
        moves: false,
        version,
    })
}

/// Arch Linux's bootstrap archive: the newest, or that of a day.
///
/// # Errors
/// When the release is not a day, or the architecture not Arch's.
pub(crate) fn arch(
    release: Option<&str>,
    architecture: &Architecture,
    mirror: Option<&str>,
) -> Result<Tarball> {
    let version = release.unwrap_or("latest");
    let machine = architecture
        .arch
        .with_context(|| architecture.not_of("Arch Linux"))?;
    let newest = version == "latest";
    if !newest && !is_day(version) {
        bail!("Arch Linux has no release {version:?}: `latest`, or a day such as 2026.11.01");
    }
    let day = if newest {
        String::new()
    } else {
        format!("{version}-")
    };
    let file = format!("archlinux-bootstrap-{day}{machine}.tar.zst");
    Ok(Tarball {
        image: format!("archlinux:{version}"),
        title: "Arch Linux",
        shell: "/usr/bin/bash",
        directory: format!(
            "{}/iso/{version}/",
            mirror_or(mirror, "https://geo.mirror.pkgbuild.com")
        ),
        checksums: "sha256sums.txt".into(),
        algorithm: Algorithm::Sha256,
        signature: Signature {
            file: format!("{file}.sig"),
            of: Signed::Archive,
            signer: &ARCH_SIGNER,
        },
        limit: 1 << 30,
        moves: newest,
        file,
        version: version.to_owned(),
    })
}

/// The pinned version of a release, or the release when it is a whole version of its own.
pub(super) fn pinned(
    distribution: &str,
    table: &[Pinned],
    release: Option<&str>,
) -> Result<String> {
    let Some(release) = release else {
        return Ok(table[0].1.to_owned());
    };
    if let Some((_, version)) = table
        .iter()
        .find(|(series, version)| *series == release || *version == release)
    {
        return Ok((*version).to_owned());
    }
    let numbers: Vec<_> = release.split('.').collect();
    let is_number =
        |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() == 3 && numbers.iter().all(is_number) {
        return Ok(release.to_owned());
    }
    let known: Vec<_> = table.iter().map(|(series, _)| *series).collect();
    bail!(
        "{distribution} has no release {release:?} that is known here: {}",
        known.join(", ")
    )
}

fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.char_indices().all(|(index, c)| {
            if matches!(index, 4 | 7) {
                c == '.'
            } else {
                c.is_ascii_digit()
            }
        })
}

fn mirror_or<'a>(mirror: Option<&'a str>, usual: &'a str) -> &'a str {
    mirror.unwrap_or(usual).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amd64() -> &'static Architecture {
        Architecture::named("amd64").unwrap()
    }

    #[test]
    fn every_pinned_release_has_its_place() {
        let mut places = Vec::new();
        let mut add = |tarball: Tarball| {
            let Tarball {
                image,
                directory,
                file,
                checksums,
                signature,
                ..
            } = tarball;
            places.push(format!(
                "{image}\n  {directory}{file}\n  {checksums} {}",
                signature.file
            ));
        };
        for (series, _) in ALPINE {
            add(alpine(Some(series), amd64(), None).unwrap());
        }
        for (series, _) in UBUNTU {
            add(ubuntu(Some(series), amd64(), None).unwrap());
        }
        for release in ["latest", "2026.11.01"] {
            add(arch(Some(release), amd64(), None).unwrap());
        }
        insta::assert_snapshot!(places.join("\n"));
    }

    #[test]
    fn another_version_architecture_and_mirror_can_be_named() {
        let arm64 = Architecture::named("aarch64").unwrap();
        let tarball = alpine(Some("3.19.7"), arm64, Some("http://localhost:8000/alpine/")).unwrap();
        assert_eq!(tarball.image, "alpine:3.19");
        assert_eq!(
            tarball.directory + &tarball.file,
            "http://localhost:8000/alpine/v3.19/releases/aarch64/\
             alpine-minirootfs-3.19.7-aarch64.tar.gz"
        );
        let tarball = ubuntu(None, arm64, None).unwrap();
        assert!(tarball.file.ends_with("-base-arm64.tar.gz"));
        assert!(arch(None, arm64, None).is_err());
    }

    #[test]
    fn a_release_is_no_way_to_another_place() {
        for bad in [
            "",
            "..",
            "3.20/../..",
            "../../x",
            "1.2.x",
            "a.b.c",
            "3..1",
            "2026-11-01",
        ] {
            assert!(alpine(Some(bad), amd64(), None).is_err(), "{bad:?}");
            assert!(ubuntu(Some(bad), amd64(), None).is_err(), "{bad:?}");
            assert!(arch(Some(bad), amd64(), None).is_err(), "{bad:?}");
        }
        assert!(arch(Some("2026.11.0"), amd64(), None).is_err());
    }
}
