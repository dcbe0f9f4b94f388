//! The kernels that the tests run on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::debian::{Dependencies, Packages};

/// A kernel image and its modules.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// What the user calls it; part of file names.
    pub(crate) name: String,
    pub(crate) image: PathBuf,
    /// The directory with `kernel/…/*.ko`; without one, everything is built in.
    pub(crate) modules: Option<PathBuf>,
}

/// A kernel of Debian: our name, and the suite that has it as its cloud kernel.
struct Named {
    name: &'static str,
    suite: &'static str,
}

/// From the oldest; the first word of the names is the version.
const KERNELS: [Named; 4] = [
    Named {
        name: "5.10",
        suite: "bullseye",
    },
    Named {
        name: "6.1",
        suite: "bookworm",
    },
    Named {
        name: "6.12",
        suite: "trixie",
    },
    // Whatever is newest.
    Named {
        name: "sid",
        suite: "sid",
    },
];

/// The kernel of whoever names none.
pub(crate) const DEFAULT: &str = "6.1";

/// The kernels that `word` means: a name of the table, `all` of it, or the path of an image.
///
/// # Errors
/// When there is no such kernel, or it cannot be fetched.
pub(crate) fn chosen(word: &str, modules: Option<&Path>) -> Result<Vec<Kernel>> {
    if word.contains('/') {
        return Ok(vec![own(Path::new(word), modules)?]);
    }
    if modules.is_some() {
        bail!("--modules belongs to a kernel that is given by its path, and {word} is not one");
    }
    let named: Vec<_> = KERNELS
        .iter()
        .filter(|kernel| word == "all" || kernel.name == word)
        .collect();
    if named.is_empty() {
        let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        bail!(
            "no kernel {word}: there are {}, all, or /path/to/vmlinuz",
            names.join(", ")
        );
    }
    named.into_iter().map(fetch).collect()
}

fn own(image: &Path, modules: Option<&Path>) -> Result<Kernel> {
    if !image.is_file() {
        bail!("no kernel at {}", image.display());
    }
    if let Some(modules) = modules
        && !modules.is_dir()
    {
        bail!("no directory of modules at {}", modules.display());
    }
    Ok(Kernel {
        name: "own".to_owned(),
        image: image.to_path_buf(),
        modules: modules.map(Path::to_path_buf),
    })
}

fn fetch(named: &Named) -> Result<Kernel> {
    let root = Packages {
        suite: named.suite,
        architecture: "amd64",
        names: &["linux-image-cloud-amd64"],
        // Not the programs that would install it.
        dependencies: Dependencies::StartingWith("linux-"),
    }
    .unpacked()?;
    let modules = only_one(&root.join("lib/modules"), "")?;
    // Newer packages have the image among the modules, and copy it when they are installed.
    let among_modules = modules.join("vmlinuz");
    Ok(Kernel {
        name: named.name.to_owned(),
        image: if among_modules.is_file() {
            among_modules
        } else {
            only_one(&root.join("boot"), "vmlinuz-")?
        },
        modules: Some(modules),
    })
}

/// The one entry of `directory` whose name begins with `prefix`.
fn only_one(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("{}", directory.display()))?;
    let mut found = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path());
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => bail!("{}: not just one {prefix}*", directory.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kernel_is_refused_with_the_names_of_those_there_are() {
        let error = chosen("4.19", None).unwrap_err().to_string();
        assert!(error.contains("5.10, 6.1, 6.12, sid, all"), "{error}");
    }

    #[test]
    fn the_default_kernel_is_in_the_table() {
        assert!(KERNELS.iter().any(|kernel| kernel.name == DEFAULT));
    }

    #[test]
    fn a_kernel_of_ones_own_is_given_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("vmlinuz");
        fs::write(&image, "").unwrap();
        let kernels = chosen(image.to_str().unwrap(), Some(directory.path())).unwrap();
        assert_eq!(kernels[0].image, image);
        assert!(chosen("/no/such/vmlinuz", None).is_err());
        assert!(chosen(DEFAULT, Some(directory.path())).is_err());
    }
}
