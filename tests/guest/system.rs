//! An ordinary system around the tests.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::mount::MountFlags;

use crate::accounts;
use crate::boot::filesystem;
use crate::job::Job;

pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where cgroup v2 is.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";

/// The cgroup of the ordinary user's systemd, which is the subtree that root delegates.
const MANAGER: &str = "user.slice/user-1000.slice/user@1000.service";

/// The slice in which that systemd would start programs.
pub(crate) const SLICE: &str = "user.slice/user-1000.slice/user@1000.service/app.slice";

/// The cgroup of the user's programs, in the slice.
pub(crate) const SCOPE: &str = "tests.scope";

/// What the user's systemd hands down to its slices.
const USERS_CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Mounts, users, links of busybox, cgroups, loopback, and what the variant takes away.
pub(crate) fn prepare(job: &Job) -> Result<()> {
    mounts()?;
    accounts::prepare()?;
    busybox()?;
    cgroups().context("cgroups")?;
    rustix::system::sethostname(b"guest").context("the name of the machine")?;
    program("ip", &["link", "set", "lo", "up"])?;
    accounts::owned_by_user("/run/user/1000", 0o700)?;
    workspace(&job.workspace)?;
    vary(&job.variant)
}

fn mounts() -> Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    let terminals = c"gid=5,mode=620,ptmxmode=666";
    filesystem("devpts", "/dev/pts", MountFlags::NOSUID, Some(terminals))?;
    filesystem("tmpfs", "/dev/shm", safe, Some(c"mode=1777"))?;
    filesystem("mqueue", "/dev/mqueue", safe, None)?;
    filesystem("tmpfs", "/run", safe, Some(c"mode=755"))?;
    for (link, target) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
        ("/var/run", "/run"),
    ] {
        if !Path::new(link).exists() {
            let parent = Path::new(link).parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(parent)?;
            symlink(target, link).with_context(|| format!("link {link}"))?;
        }
    }
    Ok(())
}

/// Links for everything that busybox does and no other program on the disk.
fn busybox() -> Result<()> {
    let output = Command::new("/usr/bin/busybox")
        .arg("--list")
        .output()
        .context("start busybox")?;
    for applet in String::from_utf8_lossy(&output.stdout).lines() {
        let exists = ["/usr/bin", "/usr/sbin"]
            .iter()
            .any(|directory| Path::new(directory).join(applet).symlink_metadata().is_ok());
        if !exists {
            let link = Path::new("/usr/bin").join(applet);
            symlink("busybox", &link).with_context(|| format!("link {}", link.display()))?;
        }
    }
    Ok(())
}

/// Mounts cgroup v2, hands every controller down to the user's subtree, and some to its slice.
fn cgroups() -> Result<()> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = c"nsdelegate,memory_recursiveprot";
    filesystem("cgroup2", CGROUPS, safe, Some(options))?;
    let mut directory = Path::new(CGROUPS).to_path_buf();
    for name in MANAGER.split('/') {
        hand_down(&directory, &controllers(&directory)?)?;
        directory.push(name);
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
    }
    give(&directory)?;
    hand_down(&directory, &USERS_CONTROLLERS.map(str::to_owned))?;
    for group in [Path::new(SLICE).to_path_buf(), Path::new(SLICE).join(SCOPE)] {
        let group = Path::new(CGROUPS).join(group);
        fs::create_dir(&group).with_context(|| format!("create {}", group.display()))?;
        give(&group)?;
    }
    Ok(())
}

fn controllers(directory: &Path) -> Result<Vec<String>> {
    let path = directory.join("cgroup.controllers");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn hand_down(directory: &Path, controllers: &[String]) -> Result<()> {
    for controller in controllers {
        fs::write(
            directory.join("cgroup.subtree_control"),
            format!("+{controller}"),
        )
        .with_context(|| format!("hand {controller} down from {}", directory.display()))?;
    }
    Ok(())
}

/// What `cgroups(7)` says under "Delegation": the directory and these files, and no other.
fn give(directory: &Path) -> Result<()> {
    let files = ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];
    let files = files.iter().map(|name| directory.join(name));
    for path in std::iter::once(directory.to_path_buf()).chain(files) {
        chown(&path, Some(accounts::USER), Some(accounts::USER))
            .with_context(|| format!("give {} away", path.display()))?;
    }
    Ok(())
}

/// Lets the programs find the files of the workspace where they were built.
fn workspace(place: &str) -> Result<()> {
    let place = Path::new(place);
    let parent = place.parent().context("the workspace has no parent")?;
    fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    symlink("/tests/workspace", place).with_context(|| format!("link {}", place.display()))
}

/// Takes away what `variant` says; see `main.rs`.
fn vary(variant: &str) -> Result<()> {
    const NAMESPACES: &str = "/proc/sys/user/max_user_namespaces";
    match variant {
        "full" | "selinux" => Ok(()),
        "userns=limited" => fs::write(NAMESPACES, "4").context("limit user namespaces"),
        "userns=forbidden" => fs::write(NAMESPACES, "0").context("forbid user namespaces"),
        "no-nft" => fs::remove_file("/usr/sbin/nft").context("remove nft"),
        "no-idmap" => filesystem("tmpfs", "/tmp", MountFlags::empty(), Some(c"mode=1777")),
        other => bail!("there is no variant {other}"),
    }
}

fn program(name: &str, args: &[&str]) -> Result<()> {
    let status = Command::new(name)
        .args(args)
        .env("PATH", PATH)
        .status()
        .with_context(|| format!("start {name}"))?;
    if !status.success() {
        bail!("{name} {}: {status}", args.join(" "));
    }
    Ok(())
}

/// A shell on the console, until it ends.
pub(crate) fn shell(job: &Job) -> Result<()> {
    let size = job
        .terminal
        .as_ref()
        .map_or(String::new(), |(rows, columns)| {
            format!("stty rows {rows} cols {columns}; ")
        });
    // `setsid -c` makes the console the controlling terminal, for ctrl-C and job control.
    let script = format!("{size}cd /root; exec setsid -c sh -l </dev/ttyS0 >/dev/ttyS0 2>&1");
    let status = Command::new("/usr/bin/busybox")
        .args(["sh", "-c", &script])
        .env("PATH", format!("/tests/bin:{PATH}"))
        .env("HOME", "/root")
        .env("TERM", "xterm")
        .status()
        .context("start a shell")?;
    println!("the shell has ended: {status}");
    Ok(())
}
