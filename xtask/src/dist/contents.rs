//! The files of a release, below a prefix such as `/usr/local`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cargo::workspace;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Relative to the prefix.
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

/// All files, by path.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    items: Vec<Item>,
}

impl Contents {
    /// Asks `binary` for its completions and man pages, and adds the documents.
    ///
    /// # Errors
    /// When the binary does not run here, or a document is missing.
    pub(crate) fn gather(binary: &Path) -> Result<Self> {
        let mut items = vec![Item {
            path: "bin/coop".to_owned(),
            mode: 0o755,
            content: fs::read(binary).with_context(|| format!("read {}", binary.display()))?,
        }];
        let completions = [
            ("bash", "share/bash-completion/completions/coop"),
            ("zsh", "share/zsh/site-functions/_coop"),
            ("fish", "share/fish/vendor_completions.d/coop.fish"),
        ];
        for (shell, path) in completions {
            let mut script = ask(binary, &["completion", shell])?;
            if shell == "zsh" {
                // A file of `fpath` is read at the first press of the key, which is to have an
                // answer as well.
                script.extend(
                    b"\n[ \"$funcstack[1]\" = _coop ] && _clap_dynamic_completer_coop \"$@\"\n",
                );
            }
            items.push(Item::data(path, script));
        }
        let pages = tempfile::tempdir().context("make a directory for the man pages")?;
        ask(binary, &["man", &pages.path().to_string_lossy()])?;
        for page in fs::read_dir(pages.path()).context("list the man pages")? {
            let page = page.context("list the man pages")?;
            let path = format!("share/man/man1/{}", page.file_name().to_string_lossy());
            let content = fs::read(page.path()).with_context(|| format!("read {path}"))?;
            items.push(Item::data(path, content));
        }
        for document in ["README.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            let content =
                fs::read(workspace().join(document)).with_context(|| format!("read {document}"))?;
            items.push(Item::data(format!("share/doc/coop/{document}"), content));
        }
        Ok(Self::of(items))
    }

    /// These files.
    pub(crate) fn of(mut items: Vec<Item>) -> Self {
        items.sort_by(|one, other| one.path.cmp(&other.path));
        Self { items }
    }

    /// The files, by path.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }
}

impl Item {
    pub(crate) fn data(path: impl Into<String>, content: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            mode: 0o644,
            content,
        }
    }
}

/// What the program prints. It is called by its name alone, so that its completions do not name
/// the place where it was built.
fn ask(binary: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let step = || format!("{} {}", binary.display(), words.join(" "));
    let output = Command::new(binary)
        .arg0("coop")
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(step)?;
    if !output.status.success() {
        bail!("{}: {}", step(), output.status);
    }
    Ok(output.stdout)
}
