//! Leases of host ids, so that no two containers share one.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, flock, open, openat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::IdRange;
use crate::subid::IDS_PER_CONTAINER;

/// A pool of host ids from which containers lease ranges of 65,536.
///
/// A lease is an empty file `START-COUNT-OWNER` in the pool's directory (`START-COUNT-=OWNER` for
/// ids that were [asked for by name](IdPool::lease_named)), and the directory is
/// locked (`flock(2)`) while one is looked for: any number of processes can use the pool, and
/// a lease costs one lock, one listing and one file. Nothing is synced to disk: after a power
/// failure, re-register what saved containers use by [`IdPool::lease_exact`].
#[derive(Debug, Clone)]
pub struct IdPool {
    dir: PathBuf,
    ids: IdRange,
}

/// Who holds which ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The name given to [`IdPool::lease`].
    pub owner: String,
    /// Its ids.
    pub range: IdRange,
    /// Whether these very ids were [asked for](IdPool::lease_named): others who do so may have
    /// them, too.
    pub named: bool,
}

/// A lease that cannot be had or given back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The directory cannot be created, opened, locked or listed.
    #[error("{operation} id lease directory {}", dir.display())]
    Directory {
        /// What was tried.
        operation: &'static str,
        /// The pool's directory.
        dir: PathBuf,
        /// The errno.
        #[source]
        source: Errno,
    },
    /// A lease file cannot be created or deleted.
    #[error("{operation} id lease {}", file.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The lease's file.
        file: PathBuf,
        /// The errno.
        #[source]
        source: Errno,
    },
    /// The name cannot be part of a file name.
    #[error("invalid owner of an id lease: {0:?}")]
    InvalidOwner(String),
    /// All ranges are leased.
    #[error("no free range of 65536 ids in {ids} ({leases} leases in {})", dir.display())]
    Exhausted {
        /// The pool's ids.
        ids: IdRange,
        /// How many leases there are.
        leases: usize,
        /// The pool's directory.
        dir: PathBuf,
    },
    /// There is nothing to share.
    #[error("{owner} has no ids of its own")]
    NoLease {
        /// Whose ids were to be shared.
        owner: String,
    },
    /// Somebody else has some of the ids asked for.
    #[error("ids {range} are in use by {holder}")]
    InUse {
        /// The ids asked for.
        range: IdRange,
        /// Who has some of them.
        holder: String,
    },
    /// The owner has other ids than those asked for.
    #[error("{owner} has ids {range} already")]
    HasOther {
        /// The owner.
        owner: String,
        /// What it has.
        range: IdRange,
    },
}

/// Two numbers of at most 10 digits, two hyphens and [`NAMED`] go before it in a name of at most
/// 255.
const MAX_OWNER: usize = 255 - 23;

/// Goes before the owner of ids that were asked for by name.
const NAMED: char = '=';

impl IdPool {
    /// The pool of `count` host ids from `base`, as in a line of `/etc/subuid`; see
    /// [`container_range`](crate::subid::container_range). The directory is made when needed.
    pub fn new(dir: impl Into<PathBuf>, base: u32, count: u32) -> Self {
        Self {
            dir: dir.into(),
            ids: IdRange { start: base, count },
        }
    }

    /// The owner's range: the one that it has, or else the first free one.
    ///
    /// # Errors
    /// [`PoolError`]; [`PoolError::Exhausted`] when none is free.
    pub fn lease(&self, owner: &str) -> Result<IdRange, PoolError> {
        check_owner(owner)?;
        Locked::new(&self.dir)?.lease(owner, self.ids)
    }

    /// [`lease`](Self::lease) for several owners, with one listing for all of them. Their ranges,
    /// in their order.
    ///
    /// # Errors
    /// As [`lease`](Self::lease): owners before the one that failed have their ranges.
    pub fn lease_several(&self, owners: &[&str]) -> Result<Vec<IdRange>, PoolError> {
        owners.iter().try_for_each(|owner| check_owner(owner))?;
        let mut leases = Locked::new(&self.dir)?;
        { owners.iter() }
            .map(|owner| leases.lease(owner, self.ids))
            .collect()
    }

    /// Gives the owner these very ids, in the pool or not: for a container that has files
    /// owned by them, or whose configuration names them.
    ///
    /// # Errors
    /// [`PoolError::InUse`], [`PoolError::HasOther`] and others of [`PoolError`].
    pub fn lease_exact(&self, owner: &str, range: IdRange) -> Result<(), PoolError> {
        check_owner(owner)?;
        let leases = Locked::new(&self.dir)?;
        match leases.range_of(owner) {
            Some(held) if held == range => return Ok(()),
            Some(held) => {
                return Err(PoolError::HasOther {
                    owner: owner.to_owned(),
                    range: held,
                });
            }
            None => {}
        }
        match leases.list.iter().find(|lease| lease.range.overlaps(range)) {
            Some(lease) => Err(PoolError::InUse {
                range,
                holder: lease.owner.clone(),
            }),
            None => leases.create(owner, range),
        }
    }

    /// Gives the owner these very ids, in the pool or not, besides those that it has: for one
    /// whose configuration names them. Whoever else names them may have them, too; the ids that
    /// another one was simply given stay its own, and nobody is given any of these.
    ///
    /// # Errors
    /// [`PoolError::InUse`] and others of [`PoolError`]: owners keep what they have got so far.
    pub fn lease_named(&self, owner: &str, ranges: &[IdRange]) -> Result<(), PoolError> {
        check_owner(owner)?;
        let leases = Locked::new(&self.dir)?;
        for range in ranges {
            let given = |lease: &&Lease| !lease.named && lease.owner != owner;
            let mut others = leases.list.iter().filter(given);
            if let Some(lease) = others.find(|lease| lease.range.overlaps(*range)) {
                return Err(PoolError::InUse {
                    range: *range,
                    holder: lease.owner.clone(),
                });
            }
        }
        { ranges.iter() }.try_for_each(|range| leases.create_named(owner, *range))
    }

    /// Gives the owner the very ids of another one, whose user namespace it shares. They are
    /// free again when both have given them back.
    ///
    /// # Errors
    /// [`PoolError::NoLease`] when the other has none, [`PoolError::HasOther`] and others of
    /// [`PoolError`].
    pub fn share(&self, owner: &str, with: &str) -> Result<(), PoolError> {
        check_owner(owner)?;
        let leases = Locked::new(&self.dir)?;
        let of = |owner| { leases.list.iter() }.filter(move |lease| lease.owner == owner);
        if of(with).next().is_none() {
            return Err(PoolError::NoLease {
                owner: with.to_owned(),
            });
        }
        let theirs = |range| of(with).any(|lease| lease.range == range);
        if let Some(other) = of(owner).find(|lease| !theirs(lease.range)) {
            return Err(PoolError::HasOther {
                owner: owner.to_owned(),
                range: other.range,
            });
        }
        for lease in of(with) {
            match (of(owner).any(|own| own.range == lease.range), lease.named) {
                (true, _) => {}
                (false, true) => leases.create_named(owner, lease.range)?,
                (false, false) => leases.create(owner, lease.range)?,
            }
        }
        Ok(())
    }

    /// Gives the owner's range back; fine when it has none. To be called when no process and
    /// no file of the container is left: the next one may get the same ids.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn release(&self, owner: &str) -> Result<(), PoolError> {
        self.release_several(&[owner])
    }

    /// [`release`](Self::release) for several owners, with one listing for all of them.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn release_several(&self, owners: &[&str]) -> Result<(), PoolError> {
        owners.iter().try_for_each(|owner| check_owner(owner))?;
        let leases = Locked::new(&self.dir)?;
        let going: BTreeSet<&str> = owners.iter().copied().collect();
        { leases.list.iter() }
            .filter(|lease| going.contains(lease.owner.as_str()))
            .try_for_each(|lease| leases.delete(lease))
    }

    /// All leases, by their first id.
    ///
    /// # Errors
    /// [`PoolError::Directory`].
    pub fn leases(&self) -> Result<Vec<Lease>, PoolError> {
        Ok(Locked::new(&self.dir)?.list.clone())
    }
}

fn check_owner(owner: &str) -> Result<(), PoolError> {
    let valid = (1..=MAX_OWNER).contains(&owner.len())
        && !owner.starts_with(NAMED)
        && !owner.contains(['/', '\0']);
    if valid {
        Ok(())
    } else {
        Err(PoolError::InvalidOwner(owner.to_owned()))
    }
}

/// The first range of the pool's grid that touches no lease. Leases are in order.
fn first_free(ids: IdRange, leases: &[Lease]) -> Option<IdRange> {
    let mut candidate = IdRange {
        start: ids.start,
        count: IDS_PER_CONTAINER,
    };
    for lease in leases {
        if lease.range.overlaps(candidate) {
            let beyond = lease.range.end() - u64::from(ids.start);
            let slot = beyond.div_ceil(u64::from(IDS_PER_CONTAINER));
            let start = u64::from(ids.start) + slot * u64::from(IDS_PER_CONTAINER);
            candidate.start = u32::try_from(start).ok()?;
        }
    }
    (candidate.end() <= ids.end()).then_some(candidate)
}

fn file_name(owner: &str, range: IdRange) -> String {
    format!("{}-{}-{owner}", range.start, range.count)
}

fn parse_file_name(name: &str) -> Option<Lease> {
    let mut parts = name.splitn(3, '-');
    let start = parts.next()?.parse().ok()?;
    let count = parts.next()?.parse().ok()?;
    let owner = parts.next()?;
    let (owner, named) = match owner.strip_prefix(NAMED) {
        Some(owner) => (owner, true),
        None => (owner, false),
    };
    (!owner.is_empty()).then(|| Lease {
        owner: owner.to_owned(),
        range: IdRange { start, count },
        named,
    })
}

/// The directory, locked until this is dropped, and what it held when it was locked.
struct Locked<'a> {
    path: &'a Path,
    dir: OwnedFd,
    list: Vec<Lease>,
}

impl<'a> Locked<'a> {
    fn new(path: &'a Path) -> Result<Self, PoolError> {
        let failed = |operation| {
            move |source| PoolError::Directory {
                operation,
                dir: path.to_owned(),
                source,
            }
        };
        let dir = open_or_create(path).map_err(failed("open"))?;
        retry_on_intr(|| flock(&dir, FlockOperation::LockExclusive)).map_err(failed("lock"))?;
        let mut list = Vec::new();
        for entry in Dir::read_from(&dir).map_err(failed("list"))? {
            let entry = entry.map_err(failed("list"))?;
            // Anything else in the directory is no lease.
            list.extend(entry.file_name().to_str().ok().and_then(parse_file_name));
        }
        list.sort_unstable_by_key(|lease| lease.range.start);
        Ok(Self { path, dir, list })
    }

    fn range_of(&self, owner: &str) -> Option<IdRange> {
        let lease = self.list.iter().find(|lease| lease.owner == owner)?;
        Some(lease.range)
    }

    /// The owner's range: the one that it has, or else the first free one of `ids`.
    fn lease(&mut self, owner: &str, ids: IdRange) -> Result<IdRange, PoolError> {
        if let Some(range) = self.range_of(owner) {
            return Ok(range);
        }
        let range = first_free(ids, &self.list).ok_or_else(|| PoolError::Exhausted {
            ids,
            leases: self.list.len(),
            dir: self.path.to_owned(),
        })?;
        self.create(owner, range)?;
        let place = self
            .list
            .partition_point(|lease| lease.range.start < range.start);
        let lease = Lease {
            owner: owner.to_owned(),
            range,
            named: false,
        };
        self.list.insert(place, lease);
        Ok(range)
    }

    fn create(&self, owner: &str, range: IdRange) -> Result<(), PoolError> {
        self.create_file(&file_name(owner, range))
    }

    /// The same ids twice are one lease.
    fn create_named(&self, owner: &str, range: IdRange) -> Result<(), PoolError> {
        match self.create_file(&file_name(&format!("{NAMED}{owner}"), range)) {
            Err(PoolError::File {
                source: Errno::EXIST,
                ..
            }) => Ok(()),
            created => created,
        }
    }

    fn create_file(&self, name: &str) -> Result<(), PoolError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) => Ok(()),
            Err(source) => Err(self.file_error("create", name, source)),
        }
    }

    fn delete(&self, lease: &Lease) -> Result<(), PoolError> {
        let name = if lease.named {
            file_name(&format!("{NAMED}{}", lease.owner), lease.range)
        } else {
            file_name(&lease.owner, lease.range)
        };
        match unlinkat(&self.dir, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(self.file_error("delete", &name, source)),
        }
    }

    fn file_error(&self, operation: &'static str, name: &str, source: Errno) -> PoolError {
        PoolError::File {
            operation,
            file: self.path.join(name),
            source,
        }
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing alone would not unlock while a process cloned in between has a copy.
        let _ = flock(self.dir.as_fd(), FlockOperation::Unlock);
    }
}

fn open_or_create(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            std::fs::create_dir_all(path)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            open(path, flags, Mode::empty())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests;
