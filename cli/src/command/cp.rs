//! `coop cp`: files into and out of a container.
//!
//! The container's side is done by a process of its own that sees the files as the container
//! does, and cannot see anything else. What goes between the two is a tar stream.

mod stream;
mod words;

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use coop_fs::archive::{self, ArchiveError, Owner, Source, Target, Tree};
use coop_launcher::Cloned;
use coop_launcher::store::{OwnLock, State, Status, StoreError};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::args::{CpArgs, StackArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::stage::{Transfer, Work};
use crate::{load, ui, wire};
use stream::Counted;
use words::{Direction, direction};

/// `coop cp`.
pub(super) fn cp(host: &Host, stack: &StackArgs, args: &CpArgs) -> Result<i32> {
    let (name, copied, to) = match direction(&args.source, &args.destination)? {
        Direction::In { from, name, to } => {
            let inside = Inside::find(host, stack, name)?;
            let shown = format!("{name}:{to}");
            let copied = match from {
                "-" => inside.unpack_stream(to),
                from => inside.unpack_files(from, to, args),
            };
            (inside.name(), copied, shown)
        }
        Direction::Out { name, from, to } => {
            let inside = Inside::find(host, stack, name)?;
            let copied = match to {
                "-" => inside.pack_stream(from, args),
                to => inside.pack_files(from, to, args),
            };
            (inside.name(), copied, to.to_owned())
        }
    };
    let bytes = copied.context(name)?;
    // To a stream nothing is said, as with Docker: it may be a terminal's.
    if !args.quiet && args.destination != "-" {
        let text = format!("Successfully copied {} to {to}\n", ui::decimal_size(bytes));
        ui::print_bytes(coop_launcher::logs::Stream::Stderr, text.as_bytes())?;
    }
    Ok(0)
}

/// A container whose files are worked on.
struct Inside {
    state: State,
    plan: ContainerPlan,
    /// Of a running container.
    init: Option<OwnedFd>,
    /// Of one that does not run: two copies at a time would mount its changes twice.
    _lock: Option<OwnLock>,
}

impl Inside {
    fn find(host: &Host, stack: &StackArgs, name: &str) -> Result<Self> {
        let state = load::resolve(host, stack, name)?;
        super::ps::mend_if_needed(host, &state.stack)?;
        loop {
            let lock = host.store.try_lock_changes(&state.id);
            // Under the lock, or when its holder has got further.
            let state = host.store.load_state(&state.id)?;
            let plan = host.store.load_config(&state.id)?;
            let (init, lock) = match (running(host, &state)?, lock) {
                (Some(init), _) => (Some(init), None),
                (None, Ok(Some(lock))) => (None, Some(lock)),
                // Its root is a directory of the host, which may be mounted twice.
                (None, Err(StoreError::Gone { .. })) => (None, None),
                (None, Err(error)) => return Err(error.into()),
                (None, Ok(None)) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
            };
            return Ok(Self {
                state,
                plan,
                init,
                _lock: lock,
            });
        }
    }

    fn name(&self) -> String {
        self.state.name.to_string()
    }

    /// Starts the container's side, which has `child_end` of a pipe.
    fn start(&self, child_end: OwnedFd, work: Work) -> Result<Cloned> {
        let transfer = Transfer::new(child_end, work);
        let init = self.init.as_ref().map(OwnedFd::try_clone).transpose()?;
        let pipeline = wire::files_pipeline(&self.plan, init, transfer)?;
        let mut cloned = pipeline.clone_child(None)?;
        cloned.attach()?;
        Ok(cloned)
    }

    /// Files of the host into the container; gives the size of the stream.
    fn unpack_files(&self, from: &str, to: &str, args: &CpArgs) -> Result<u64> {
        let source = host_source(from, args)?;
        let (target, name) = (Target::new(to), source.name().map(ToOwned::to_owned));
        let owner = if args.archive {
            Owner::Archived
        } else {
            Owner::Root
        };
        let work: Work = Box::new(move |pipe| {
            let tree = Tree::of_container()?;
            let unpacked = archive::unpack(&tree, pipe, owner, &mut |kind| {
                target.place(&tree, name.as_deref(), kind)
            })?;
            warn_of(&unpacked.skipped);
            Ok(())
        });
        self.feed(work, |pipe| {
            let packed = archive::pack(&Tree::of_host()?, &source, pipe)?;
            warn_of(&packed.skipped);
            Ok(())
        })
    }

    /// An archive on standard input into a directory of the container, with the owners that
    /// it names.
    fn unpack_stream(&self, to: &str) -> Result<u64> {
        if std::io::stdin().is_terminal() {
            bail!(
                "standard input is a terminal\n  help: give it a tar archive: `tar c . | coop cp - …`"
            );
        }
        let target = Target::new(to);
        let work: Work = Box::new(move |pipe| {
            let tree = Tree::of_container()?;
            // Before the stream, which may be long: whether there is such a directory.
            let place = target.directory(&tree)?;
            let unpacked =
                archive::unpack(&tree, pipe, Owner::Archived, &mut |_| Ok(place.clone()))?;
            warn_of(&unpacked.skipped);
            Ok(())
        });
        self.feed(work, |mut pipe| {
            std::io::copy(&mut std::io::stdin().lock(), &mut pipe)
                .map(drop)
                .map_err(|source| ArchiveError::Stream {
                    operation: "pass on",
                    source,
                })
        })
    }

    fn feed(
        &self,
        work: Work,
        write: impl FnOnce(&mut Counted<File>) -> Result<(), ArchiveError>,
    ) -> Result<u64> {
        let (ours, theirs) = stream_pair()?;
        let cloned = self.start(theirs, work)?;
        let mut pipe = Counted::new(File::from(ours));
        let written = write(&mut pipe);
        let bytes = pipe.bytes();
        // The other side has a copy of this end: closing it would not tell it of the end.
        shutdown(pipe.inner(), Shutdown::Write).context("end the stream")?;
        finish(cloned, written)?;
        Ok(bytes)
    }

    /// Files of the container to the host.
    fn pack_files(&self, from: &str, to: &str, args: &CpArgs) -> Result<u64> {
        let source = container_source(from, args);
        let name = source.name().map(ToOwned::to_owned);
        let target = Target::new(&host_path(to)?);
        let owner = if args.archive {
            Owner::Archived
        } else {
            Owner::Caller
        };
        self.drain(source, |pipe| {
            let tree = Tree::of_host()?;
            let unpacked = archive::unpack(&tree, pipe, owner, &mut |kind| {
                target.place(&tree, name.as_deref(), kind)
            })?;
            warn_of(&unpacked.skipped);
            Ok(())
        })
    }

    /// Files of the container as an archive on standard output.
    fn pack_stream(&self, from: &str, args: &CpArgs) -> Result<u64> {
        if std::io::stdout().is_terminal() {
            bail!(
                "refusing to write an archive to a terminal\n  help: redirect it: `coop cp … - | tar t`"
            );
        }
        self.drain(container_source(from, args), |mut pipe| {
            std::io::copy(&mut pipe, &mut std::io::stdout().lock())
                .map(drop)
                .map_err(|source| ArchiveError::Stream {
                    operation: "write",
                    source,
                })
        })
    }

    fn drain(
        &self,
        source: Source,
        read: impl FnOnce(&mut Counted<File>) -> Result<(), ArchiveError>,
    ) -> Result<u64> {
        let (ours, theirs) = stream_pair()?;
        let work: Work = Box::new(move |pipe| {
            let packed = archive::pack(&Tree::of_container()?, &source, pipe)?;
            warn_of(&packed.skipped);
            Ok(())
        });
        let cloned = self.start(theirs, work)?;
        let mut pipe = Counted::new(File::from(ours));
        let done = read(&mut pipe);
        let bytes = pipe.bytes();
        finish(cloned, done)?;
        Ok(bytes)
    }
}

/// Between two looks whether another copy is done.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// The container's first process, when its program is executed; until then its namespaces have
/// the host's files in them.
fn running(host: &Host, state: &State) -> Result<Option<OwnedFd>> {
    let Some(pid) = state.live_init() else {
        return Ok(None);
    };
    if matches!(state.status, Status::Creating | Status::Created) {
        bail!("it is being started\n  help: try again when it runs");
    }
    let pidfd = pidfd_open(host.namespaces_of(pid), PidfdFlags::empty());
    // The number may have become another process's before it was opened.
    Ok(pidfd.ok().filter(|_| state.init_alive()))
}

/// Two ends of a stream.
fn stream_pair() -> Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    socketpair(family, kind, SocketFlags::CLOEXEC, None).context("make a pair of sockets")
}

/// Waits for the container's side, whose words explain a stream that broke off.
fn finish(cloned: Cloned, here: Result<(), ArchiveError>) -> Result<()> {
    match here {
        Ok(()) => Ok(cloned.finish().map(drop)?),
        Err(error @ ArchiveError::Stream { .. }) => {
            // It has closed its end, and so it is about to end.
            match cloned
                .failure()
                .map_or_else(|| cloned.finish().map(drop), Err)
            {
                Err(failure) => Err(failure.into()),
                Ok(()) => Err(error.into()),
            }
        }
        // It may wait for us: it is killed.
        Err(error) => Err(match cloned.failure() {
            Some(failure) => failure.into(),
            None => anyhow::Error::from(error).context("on the host"),
        }),
    }
}

fn container_source(path: &str, args: &CpArgs) -> Source {
    if args.follow_link {
        Source::followed(path)
    } else {
        Source::new(path)
    }
}

fn host_source(path: &str, args: &CpArgs) -> Result<Source> {
    Ok(container_source(&host_path(path)?, args))
}

/// An absolute path that ends as the user wrote it: `dir/`, `dir/.`.
fn host_path(path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    let directory = std::env::current_dir().context("find the working directory")?;
    let directory = directory
        .to_str()
        .context("the working directory's name is not UTF-8")?;
    Ok(format!("{directory}/{path}"))
}

/// What was left out, as far as anybody would read it.
fn warn_of(skipped: &[String]) {
    const SHOWN: usize = 10;
    for left_out in skipped.iter().take(SHOWN) {
        log::warn!("left out {left_out}");
    }
    if skipped.len() > SHOWN {
        log::warn!("left out {} more", skipped.len() - SHOWN);
    }
}
