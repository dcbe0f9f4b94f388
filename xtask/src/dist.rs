//! `cargo xtask dist`: what a release is made of.
//!
//! The same commit gives the same bytes, wherever it is built with the same compiler: paths of
//! this machine are kept out of the binary, and archives are sorted, belong to root and carry
//! the commit's time.

mod archive;
mod contents;
mod debian_package;
mod static_binary;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

pub(crate) use self::contents::{Contents, Item};
use crate::cargo::{build_with, target_directory, workspace};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Builds the static binary, completions, man pages, checksums and the Debian package.
///
/// # Errors
/// When a step fails, or the binary is not static.
pub(crate) fn run() -> Result<()> {
    let binary = binary()?;
    let contents = Contents::gather(&binary)?;
    let time = release_time()?;
    let dist = target_directory()?.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("remove {}", dist.display()))?;
    }
    fs::create_dir_all(&dist).with_context(|| format!("create {}", dist.display()))?;

    let name = format!("coop-{VERSION}-{}-linux", std::env::consts::ARCH);
    let tarball = archive::tar_gz(&contents, &name, time)?;
    let (package, deb) = debian_package::build(&contents, VERSION, time)?;
    let mut files = vec![(format!("{name}.tar.gz"), tarball), (package, deb)];
    for item in contents.items() {
        let path = dist.join(&name).join(&item.path);
        write(&path, &item.content, item.mode)?;
    }
    files.push(("coop".to_owned(), fs::read(&binary)?));
    files.sort();
    for (file, bytes) in &files {
        let mode = if file == "coop" { 0o755 } else { 0o644 };
        write(&dist.join(file), bytes, mode)?;
    }
    let sums: Vec<_> = { files.iter() }
        .map(|(file, bytes)| format!("{}  {file}\n", archive::sha256(bytes)))
        .collect();
    let sums = sums.concat();
    write(&dist.join("SHA256SUMS"), sums.as_bytes(), 0o644)?;
    print!("{sums}");
    eprintln!("xtask: in {}", dist.display());
    Ok(())
}

/// Builds the binary of a release: static, and without a path of this machine.
///
/// # Errors
/// When the build fails, or the binary needs a loader.
pub(crate) fn binary() -> Result<PathBuf> {
    let home = |variable: &str, directory: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(directory)))
    };
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    let places = [
        (Some(workspace()), "/coop"),
        (home("CARGO_HOME", ".cargo"), "/cargo"),
        (home("RUSTUP_HOME", ".rustup"), "/rustup"),
    ];
    for (place, instead) in places {
        if let Some(place) = place {
            flags.push(format!("--remap-path-prefix={}={instead}", place.display()));
        }
    }
    // Other flags than those of an everyday build: neither makes the other one recompile.
    let directory = target_directory()?.join("release-build");
    let options = [
        "--release".into(),
        "--target-dir".into(),
        directory.into_os_string(),
    ];
    let binary = build_with("cli", "coop", &options, |cargo| {
        cargo
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    })?;
    let bytes = fs::read(&binary).with_context(|| format!("read {}", binary.display()))?;
    ensure!(
        static_binary::is_static(&bytes),
        "{} is not static: it names a dynamic loader",
        binary.display()
    );
    Ok(binary)
}

/// Seconds since 1970 that everything in a release carries: `SOURCE_DATE_EPOCH`, else the time
/// of the commit.
fn release_time() -> Result<u64> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return time
            .parse()
            .with_context(|| format!("SOURCE_DATE_EPOCH={time} is no number of seconds"));
    }
    let output = Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(workspace())
        .stdin(Stdio::null())
        .output();
    let time = match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().parse().ok()
        }
        _ => None,
    };
    match time {
        Some(time) => Ok(time),
        None => bail!("no git, or no commit here: set SOURCE_DATE_EPOCH to the release's time"),
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let failed = || format!("write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(failed)?;
    }
    fs::write(path, bytes).with_context(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(failed)
}
