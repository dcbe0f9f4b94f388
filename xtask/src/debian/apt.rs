//! `apt-get` with directories of its own.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The keys of Debian's archive, where the package `debian-archive-keyring` puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Every suite that a machine's sources may name for us to know Debian's mirror by it.
const SUITES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// One suite for one architecture.
pub(super) struct Apt {
    options: Vec<OsString>,
    /// The address that packages come from.
    pub(super) mirror: String,
}

impl Apt {
    /// Prepares the directories below `store`. Without a `mirror` it is the machine's.
    pub(super) fn new(
        store: &Path,
        mirror: Option<&str>,
        suite: &str,
        architecture: &str,
    ) -> Result<Self> {
        if !is_word(suite) || !is_word(architecture) {
            bail!("{suite:?} for {architecture:?} is no suite of Debian");
        }
        let mirror = match mirror {
            Some(mirror) if mirror.chars().all(|c| c.is_ascii_graphic()) => mirror.to_owned(),
            Some(mirror) => bail!("{mirror:?} is not the address of a mirror"),
            None => machines_mirror()?,
        };
        let state = store.join("apt");
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(directory))?;
        }
        // No package is installed here, so that a closure has everything.
        fs::write(state.join("status"), "")?;
        let sources = state.join("debian.sources");
        fs::write(&sources, source(&mirror, suite))?;

        let mut options = Vec::new();
        for (name, path) in [
            ("Dir::State", state.clone()),
            ("Dir::State::lists", state.join("lists")),
            ("Dir::State::status", state.join("status")),
            ("Dir::Cache", state.join("cache")),
            ("Dir::Etc::sourcelist", sources),
            ("Dir::Etc::sourceparts", "/dev/null".into()),
            ("Dir::Etc::preferencesparts", "/dev/null".into()),
            ("Dir::Etc::preferences", "/dev/null".into()),
        ] {
            let mut option = OsString::from(format!("{name}="));
            option.push(path);
            options.extend(["-o".into(), option]);
        }
        for option in [
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            "APT::Install-Recommends=false".into(),
            // Whatever the machine's own configuration says.
            "APT::Get::AllowUnauthenticated=false".into(),
            "Acquire::AllowInsecureRepositories=false".into(),
            "Acquire::AllowDowngradeToInsecureRepositories=false".into(),
            "Acquire::Retries=3".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            "Acquire::Languages=none".into(),
        ] {
            options.extend(["-o".into(), option.into()]);
        }
        Ok(Self { options, mirror })
    }

    /// Fetches the index and checks its signature.
    pub(super) fn update(&self) -> Result<()> {
        // Without the option, an index that cannot be fetched is only a warning.
        self.run(
            Path::new("/"),
            ["-o", "APT::Update::Error-Mode=any", "update"],
        )
        .map(drop)
    }

    /// Names of `packages` and of everything that they depend on.
    pub(super) fn closure(&self, packages: &[&str]) -> Result<Vec<String>> {
        let install = ["install", "--print-uris"];
        let list = self.run(Path::new("/"), install.iter().chain(packages))?;
        Ok(names_in(&list).into_iter().collect())
    }

    /// Fetches `packages` into `directory`, and checks them.
    pub(super) fn download(&self, packages: &[String], directory: &Path) -> Result<()> {
        let download = ["download".to_owned()];
        self.run(directory, download.iter().chain(packages))
            .map(drop)
    }

    fn run<A: AsRef<OsStr>>(
        &self,
        directory: &Path,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        let mut command = Command::new("apt-get");
        command
            .arg("--quiet=2")
            .args(&self.options)
            .args(args)
            .current_dir(directory);
        output_of(&mut command)
    }
}

/// Standard output of a program that succeeds.
fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .context(
            "cannot start apt-get, which fetches packages of Debian \
             (the package `apt` exists in most distributions)",
        )?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("apt-get: {}\n{}", output.status, words.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The address of Debian's packages in the machine's own sources.
fn machines_mirror() -> Result<String> {
    let mut command = Command::new("apt-get");
    // Without release information: an index need not have been fetched for it.
    command.args(["indextargets", "--no-release-info", "--format"]);
    command.args([
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Identifier: Packages",
    ]);
    let targets = output_of(&mut command)?;
    mirror_in(&targets).context(
        "no source of Debian's packages in /etc/apt: add one, \
         as `man sources.list` shows it, with the component `main`",
    )
}

fn mirror_in(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (address, suite, component) = (words.next()?, words.next()?, words.next()?);
        (SUITES.contains(&suite) && component == "main").then(|| address.to_owned())
    })
}

/// One entry in the format of `sources.list(5)`.
fn source(mirror: &str, suite: &str) -> String {
    // Else the keys that the machine trusts, which are the same on a Debian machine.
    let keys = if Path::new(KEYRING).exists() {
        format!("Signed-By: {KEYRING}\n")
    } else {
        String::new()
    };
    format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n{keys}")
}

/// Package names in the output of `--print-uris`: `'ADDRESS' NAME_VERSION_ARCH.deb SIZE HASH`.
fn names_in(list: &str) -> BTreeSet<String> {
    list.lines()
        .filter_map(|line| line.split(' ').nth(1)?.split_once('_'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debians_mirror_is_told_from_other_sources() {
        let targets = "https://a.example/apt cloud-sdk main\n\
                       http://b.example/security bookworm-security main\n\
                       http://b.example/debian bookworm contrib\n\
                       http://b.example/debian bookworm main\n";
        let mirror = mirror_in(targets);
        assert_eq!(mirror.as_deref(), Some("http://b.example/debian"));
        assert_eq!(mirror_in("http://c.example/ubuntu noble main\n"), None);
    }

    #[test]
    fn names_are_read_from_the_list_of_addresses() {
        let list = "'http://x/pool/libc6_2.36-9%2bdeb12u14_amd64.deb' \
                    libc6_2.36-9+deb12u14_amd64.deb 2759320 MD5Sum:01\n\
                    'http://x/pool/gcc-12-base.deb' gcc-12-base_1%3a12_amd64.deb 1 MD5Sum:02\n\n";
        let names: Vec<_> = names_in(list).into_iter().collect();
        assert_eq!(names, ["gcc-12-base", "libc6"]);
    }

    #[test]
    fn a_suite_cannot_smuggle_lines_into_the_sources() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Apt::new(directory.path(), None, "sid\nTrusted: yes", "amd64").is_err());
        assert!(Apt::new(directory.path(), None, "../x/", "amd64").is_err());
        let mirror = Some("http://x\nTrusted: yes");
        assert!(Apt::new(directory.path(), mirror, "sid", "amd64").is_err());
    }
}
