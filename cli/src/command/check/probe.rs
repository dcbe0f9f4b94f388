//! A default container, made by a `coop` of its own, to be looked at.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};

use super::super::ui;
use super::inside::Inside;
use crate::host::Host;

/// What was seen of it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) inside: Inside,
    pub(super) outside: Outside,
    /// Whether it is an ordinary user's.
    pub(super) rootless: bool,
    /// What Coop said about it: which promise it has had to make weaker.
    pub(super) warnings: Vec<String>,
}

/// What its files in `/proc` say.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Kinds of namespaces, and whether the container has one of its own.
    pub(super) namespaces: BTreeMap<&'static str, bool>,
    /// Lines of `uid_map`: first id inside, first id outside, how many.
    pub(super) uid_map: Vec<[u32; 3]>,
}

/// Kinds of namespaces that a default container has for itself.
const NAMESPACES: [&str; 7] = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"];

/// Runs it, looks at it from both sides, and removes it.
///
/// # Errors
/// When it cannot be run.
pub(super) fn run(host: &Host) -> Result<Seen> {
    let root = RootDir::create(host)?;
    let name = format!("coop-check-{}", rustix::process::getpid());
    let mut child = ui::coop(host)
        .args(["run", "--rm", "--interactive", "--name", &name, "--rootfs"])
        .arg(&root.0)
        .args(["--", "/coop", "check", "--inside", "look"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start coop")?;
    let seen = look(host, &name, &mut child);
    // The end of its input ends it.
    drop(child.stdin.take());
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let status = child.wait().context("wait for coop")?;
    match seen {
        Err(_) if !status.success() => {
            let said = said.trim();
            bail!("{}", said.strip_prefix("error: ").unwrap_or(said))
        }
        seen => {
            let warnings = said
                .lines()
                .filter_map(|line| line.strip_prefix("warning: "));
            Ok(Seen {
                warnings: warnings.map(str::to_owned).collect(),
                ..seen?
            })
        }
    }
}

fn look(host: &Host, name: &str, child: &mut Child) -> Result<Seen> {
    let stdout = child.stdout.as_mut().context("no output")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("read what it says")?;
    let inside = serde_json::from_str(&line).context("read what it says")?;
    let id = host.store.resolve(name)?;
    let state = host.store.load_state(&id)?;
    let pid = state.live_init().context("it has ended")?;
    Ok(Seen {
        inside,
        outside: Outside::look(&Path::new("/proc").join(pid.to_string()))?,
        rootless: host.rootless.is_some(),
        warnings: Vec::new(),
    })
}

impl Outside {
    fn look(process: &Path) -> Result<Self> {
        let mut namespaces = BTreeMap::new();
        for kind in NAMESPACES {
            let of = |process: &Path| fs::read_link(process.join("ns").join(kind));
            let theirs = of(process).with_context(|| format!("look at its {kind} namespace"))?;
            let ours = of(Path::new("/proc/self")).context("look at this namespace")?;
            namespaces.insert(kind, theirs != ours);
        }
        let map = fs::read_to_string(process.join("uid_map")).context("read its uid_map")?;
        let line = |line: &str| {
            let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
            Some([numbers.next()??, numbers.next()??, numbers.next()??])
        };
        Ok(Self {
            namespaces,
            uid_map: map.lines().filter_map(line).collect(),
        })
    }
}

/// A root directory with this program in it, and nothing else; removed on drop.
struct RootDir(PathBuf);

/// Goes before the process id in the name of a [`RootDir`].
const ROOT_DIR: &str = "check-";

/// The root directories of checks that were killed. One whose process id somebody else has by now
/// is not among them.
///
/// # Errors
/// When Coop's data cannot be listed.
pub(in crate::command) fn abandoned(host: &Host) -> Result<Vec<PathBuf>> {
    let data = &host.store.dirs().data;
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("list {}", data.display()))?,
    };
    let is_abandoned = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        let pid = name.and_then(|name| name.strip_prefix(ROOT_DIR)?.parse::<u32>().ok());
        pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
    };
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(is_abandoned).collect())
}

impl RootDir {
    fn create(host: &Host) -> Result<Self> {
        let data = &host.store.dirs().data;
        let path = data.join(format!("{ROOT_DIR}{}", rustix::process::getpid()));
        let failed = || format!("make a root directory: {}", path.display());
        fs::create_dir_all(&path).with_context(failed)?;
        let root = Self(path.clone());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(failed)?;
        for directory in ["dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir(path.join(directory)).with_context(failed)?;
        }
        // A copy: the container is not to have the host's own file.
        fs::copy("/proc/self/exe", path.join("coop")).with_context(failed)?;
        fs::set_permissions(path.join("coop"), fs::Permissions::from_mode(0o755))
            .with_context(failed)?;
        Ok(root)
    }
}

impl Drop for RootDir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!("remove {}: {error}", self.0.display());
        }
    }
}
