//! What a container costs while it runs: the program `load` inside and outside.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::{Outcome, bridged};
use crate::bench::contest::Rounds;
use crate::bench::engine::Engine;
use crate::bench::measure::{Words, succeed};
use crate::bench::report::{Row, Unit};
use crate::bench::stand::Stand;
use crate::bench::stats::Summary;
use crate::bench::sys;
use crate::bench::tools::Peer;

/// What the program is told, what it then does, in which unit it says how much, and whether it
/// needs a directory.
const LOADS: [(&str, &str, Unit, bool); 7] = [
    ("cpu", "processor loop", Unit::PerSecond, false),
    ("syscall", "system calls (getppid)", Unit::PerSecond, false),
    ("create", "files made and removed", Unit::PerSecond, true),
    ("write", "file written", Unit::BytesPerSecond, true),
    ("read", "file read", Unit::BytesPerSecond, true),
    ("tcp", "TCP over loopback", Unit::BytesPerSecond, false),
    (
        "ping",
        "TCP round trips over loopback",
        Unit::PerSecond,
        false,
    ),
];

/// Where the program is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Host,
    Inside(Engine),
}

pub(super) fn contest(stand: &Stand<'_>, rounds: Rounds) -> Result<Outcome> {
    let program = stand.site.rootfs().join("bin/load");
    fs::copy(&stand.tools.load, &program).context("copy the program load")?;
    // Root of a container with its own ids is anybody to this directory.
    let open = Permissions::from_mode(0o1777);
    fs::set_permissions(stand.site.rootfs().join("work"), open)?;
    let places: Vec<Where> = [
        Engine::Coop,
        Engine::Oci(Peer::Crun),
        Engine::Oci(Peer::Runc),
    ]
    .into_iter()
    .filter(|engine| engine.is_there(stand))
    .map(Where::Inside)
    .collect();
    let places = [&[Where::Host], &places[..]].concat();
    let overlay = MountedOverlay::new(stand)?;
    let mut rows = Vec::new();
    for (load, what, unit, in_directory) in LOADS {
        let rates = interleaved(&places, rounds, |place| {
            let words = words(stand, place, &overlay.root, load, in_directory)?;
            parse(&succeed(&words)?.output)
        })?;
        for (place, rates) in places.iter().zip(rates) {
            rows.push(row(name(*place), what, unit, &rates));
        }
    }
    drop(overlay);
    rows.extend(bridged::rows(stand, rounds)?);
    Ok(Outcome {
        title: "While it runs: more is better",
        rows,
        goals: Vec::new(),
        notes: vec![
            "A static program works for 0.3 s and counts; its start is not in it. All \
             but the host have a seccomp filter."
                .into(),
            "Files are written to and read from the page cache: on ext4 or what the target \
             directory is on for the host, on an overlay above it for the others. The overlay of \
             crun and runc was mounted for them."
                .into(),
            "Over the bridge: from the host to a server in a container; beside it, one in a bare \
             network namespace at a bridge that `ip` has made, without rules."
                .into(),
        ],
    })
}

fn name(place: Where) -> &'static str {
    match place {
        Where::Host => "host",
        Where::Inside(engine) => engine.name(),
    }
}

pub(super) fn row(who: &str, what: &str, unit: Unit, rates: &[f64]) -> Row {
    Row {
        value: Summary::of(rates),
        unit,
        ..Row::missing(who, what, "")
    }
}

/// One list of rates for each contender, measured in turn: there and back again, so that what
/// grows or fades while it is measured prefers nobody.
pub(super) fn interleaved<P: Copy>(
    contenders: &[P],
    rounds: Rounds,
    mut measure: impl FnMut(P) -> Result<f64>,
) -> Result<Vec<Vec<f64>>> {
    let mut rates = vec![Vec::new(); contenders.len()];
    for round in 0..rounds.warmup + rounds.counted {
        for turn in 0..contenders.len() {
            let number = if round % 2 == 0 {
                turn
            } else {
                contenders.len() - 1 - turn
            };
            let rate = measure(contenders[number])?;
            if round >= rounds.warmup {
                rates[number].push(rate);
            }
            if sys::stop_asked() {
                bail!("stopped by a signal");
            }
        }
    }
    Ok(rates)
}

fn words(
    stand: &Stand<'_>,
    place: Where,
    overlay: &Path,
    load: &str,
    in_directory: bool,
) -> Result<Words> {
    let name = stand.name();
    let mut argv = vec!["/bin/load", load];
    match place {
        Where::Host => {
            let words = Words::new(&stand.tools.load).with([load]);
            if !in_directory {
                return Ok(words);
            }
            let directory = stand.site.path("host-work");
            fs::create_dir_all(&directory)?;
            Ok(words.with([directory]))
        }
        Where::Inside(engine) => {
            if in_directory {
                argv.push("/work");
            }
            match engine {
                Engine::Oci(peer) => {
                    let bundle = stand.bundle(&name, overlay, &argv)?;
                    let run = stand.oci(peer).with(["run", "--bundle"]).with([bundle]);
                    Ok(run.with([&name]))
                }
                Engine::Coop | Engine::Podman => engine.run(stand, &name, &argv),
            }
        }
    }
}

/// The number that `load` prints.
pub(super) fn parse(output: &str) -> Result<f64> {
    let line = output.trim();
    line.parse()
        .with_context(|| format!("`load` printed {line:?} and no number"))
}

/// An overlay on the root filesystem, for those who make none.
struct MountedOverlay {
    root: PathBuf,
}

impl MountedOverlay {
    fn new(stand: &Stand<'_>) -> Result<Self> {
        let directory = |name: &str| -> Result<PathBuf> {
            let path = stand.site.path("overlay").join(name);
            fs::create_dir_all(&path)?;
            Ok(path)
        };
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            stand.site.rootfs().display(),
            directory("upper")?.display(),
            directory("work")?.display(),
        );
        let root = directory("root")?;
        let options = std::ffi::CString::new(options)?;
        mount(
            "overlay",
            &root,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .context("mount an overlay for crun and runc")?;
        Ok(Self { root })
    }
}

impl Drop for MountedOverlay {
    fn drop(&mut self) {
        let _ = unmount(&self.root, UnmountFlags::DETACH);
    }
}
