//! `coop man`.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::{Cli, ManArgs};

/// `coop man`: one page for each command in a directory, or the main page.
pub(super) fn man(args: &ManArgs) -> Result<i32> {
    if let Some(dir) = &args.dir {
        write_all(dir)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .context("write the page")?;
        crate::ui::print(&String::from_utf8_lossy(&page))?;
    }
    Ok(0)
}

/// `coop.1`, `coop-run.1`, `coop-image-ls.1` and so on.
fn write_all(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("write the pages to {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let temp = tempfile::tempdir().unwrap();
        write_all(temp.path()).unwrap();
        let has = |page: &str| temp.path().join(page).is_file();
        assert!(has("coop.1"));
        for verb in Cli::command().get_subcommands() {
            assert!(
                has(&format!("coop-{}.1", verb.get_name())),
                "{}",
                verb.get_name()
            );
        }
        assert!(has("coop-image-ls.1"));
        let page = std::fs::read_to_string(temp.path().join("coop-ps.1")).unwrap();
        for words in [
            ".TH",
            "List containers",
            "\\-\\-filter",
            "EXAMPLES",
            ".SH OPTIONS",
        ] {
            assert!(
                page.to_uppercase().contains(&words.to_uppercase()),
                "{words}\n{page}"
            );
        }
    }
}
