//! `coop man`.

use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};

/// `coop man`: one page for each command in a directory, or the main page.
pub(super) fn man(args: &ManArgs) -> Result<i32> {
    if let Some(dir) = &args.dir {
        write_all(dir)?;
    } else {
        crate::ui::print(&page(Cli::command())?)?;
    }
    Ok(0)
}

/// `coop.1`, `coop-run.1`, `coop-image-ls.1` and so on.
fn write_all(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let mut main = Cli::command().disable_help_subcommand(true);
    // Gives the commands below their full names: `coop-image-ls`.
    main.build();
    write(&main, dir)
}

fn write(command: &clap::Command, dir: &Path) -> Result<()> {
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        write(below, dir)?;
    }
    let file = dir.join(Man::new(command.clone()).get_filename());
    std::fs::write(&file, page(command.clone())?)
        .with_context(|| format!("write {}", file.display()))
}

/// A page of the manual. What follows the options in the help is "EXTRA" to `clap_mangen`; to
/// readers of manuals it is EXAMPLES, or NOTES.
fn page(command: clap::Command) -> Result<String> {
    let mut page = Vec::new();
    Man::new(command)
        .render(&mut page)
        .context("write the page")?;
    Ok(String::from_utf8_lossy(&page)
        .replace("\n.SH EXTRA\nExamples:\n", "\n.SH EXAMPLES\n")
        .replace("\n.SH EXTRA\n", "\n.SH NOTES\n"))
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
            ".SH EXAMPLES",
            ".SH OPTIONS",
        ] {
            assert!(page.contains(words), "{words}\n{page}");
        }
    }
}
