//! `coop completion`.

use anyhow::{Context, Result, bail};
use clap_complete::env::Shells;

use crate::args::CompletionArgs;
use crate::completion::VARIABLE;

/// `coop completion`: the script that makes a shell ask this program.
pub(super) fn completion(args: &CompletionArgs) -> Result<i32> {
    let name = args.shell.to_string();
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&name) else {
        bail!("no completion for {name}");
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "coop", "coop", &this_program()?, &mut script)
        .context("write the script")?;
    crate::ui::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// As it was called: by its name, so that the script survives a new version elsewhere in the
/// path; else with its whole path.
fn this_program() -> Result<String> {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = std::path::Path::new(&called);
    if called.components().count() < 2 {
        return Ok("coop".into());
    }
    let path = std::path::absolute(called).context("find this program")?;
    Ok(path.to_string_lossy().into_owned())
}
