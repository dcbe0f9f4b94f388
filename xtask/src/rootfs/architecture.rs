//! What machines are called.

use anyhow::{Context, Result};

/// A machine, in the words of OCI and of those distributions that have something for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) oci: &'static str,
    pub(crate) alpine: Option<&'static str>,
    /// Ubuntu's word as well.
    pub(crate) debian: Option<&'static str>,
    pub(crate) arch: Option<&'static str>,
}

const ALL: &[Architecture] = &[
    row("amd64", "x86_64", "amd64", Some("x86_64")),
    row("arm64", "aarch64", "arm64", None),
    row("arm", "armv7", "armhf", None),
    row("386", "x86", "i386", None),
    row("ppc64le", "ppc64le", "ppc64el", None),
    row("riscv64", "riscv64", "riscv64", None),
    row("s390x", "s390x", "s390x", None),
];

const fn row(
    oci: &'static str,
    alpine: &'static str,
    debian: &'static str,
    arch: Option<&'static str>,
) -> Architecture {
    Architecture {
        oci,
        alpine: Some(alpine),
        debian: Some(debian),
        arch,
    }
}

impl Architecture {
    /// By any of its names.
    ///
    /// # Errors
    /// When it has none.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let names = |row: &&Self| {
            row.oci == name || [row.alpine, row.debian, row.arch].contains(&Some(name))
        };
        ALL.iter().find(names).with_context(|| {
            let known: Vec<_> = ALL.iter().map(|row| row.oci).collect();
            format!(
                "no machine is called {name:?}: {} are known",
                known.join(", ")
            )
        })
    }

    /// This machine.
    ///
    /// # Errors
    /// When it is none of those that are known.
    pub(crate) fn native() -> Result<&'static Self> {
        Self::named(std::env::consts::ARCH)
    }

    pub(crate) fn not_of(&self, distribution: &str) -> String {
        format!("{distribution} has nothing for {}", self.oci)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_several_names() {
        for (names, oci) in [
            (["x86_64", "amd64"], "amd64"),
            (["aarch64", "arm64"], "arm64"),
        ] {
            for name in names {
                assert_eq!(Architecture::named(name).unwrap().oci, oci);
            }
        }
        assert!(Architecture::named("../x").is_err());
        assert!(Architecture::native().is_ok());
    }
}
