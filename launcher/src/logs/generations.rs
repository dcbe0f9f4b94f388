//! A log and its predecessors: `log`, `log.1`, `log.2`…, the newest first.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{rename, unlink};
use rustix::io::Errno;

use super::LogError;
use super::kill_point::kill_point;

/// The file that was the log that many rotations ago.
pub(super) fn path(log: &Path, age: u32) -> PathBuf {
    if age == 0 {
        return log.to_owned();
    }
    let mut path = log.as_os_str().to_owned();
    path.push(format!(".{age}"));
    path.into()
}

/// Makes way for a new log, and removes all predecessors but the newest `kept`: `log` becomes
/// `log.1`, and so on. A kill between leaves a number without a file, which does no harm.
pub(super) fn shift(log: &Path, kept: u32) -> Result<(), LogError> {
    let mut ages = ages(log);
    ages.push(0);
    ages.sort_unstable_by(|a, b| b.cmp(a));
    for age in ages {
        let from = path(log, age);
        // The log itself always moves: who reads it must find that there is another.
        let done = if age < kept.max(1) {
            rename(&from, path(log, age + 1))
        } else {
            unlink(&from)
        };
        match done {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(LogError::at("rotate", &from)(errno)),
        }
        kill_point();
    }
    Ok(())
}

/// Removes the predecessor that a log without predecessors had to leave for a moment.
pub(super) fn remove_excess(log: &Path, kept: u32) {
    if kept == 0 {
        // When it stays, the next rotation replaces it.
        let _ = unlink(path(log, 1));
        kill_point();
    }
}

/// The ages of the predecessors that there are, in no order.
fn ages(log: &Path) -> Vec<u32> {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name()) else {
        return Vec::new();
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let age: u32 = name.to_str()?.strip_prefix(&prefix)?.parse().ok()?;
            (age > 0).then_some(age)
        })
        .collect()
}

/// One file of a log.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) file: File,
    pub(super) inode: u64,
}

impl Generation {
    pub(super) fn open(path: &Path) -> Result<Option<Self>, LogError> {
        let failed = |operation, error: &std::io::Error| {
            LogError::at(operation, path)(Errno::from_io_error(error).unwrap_or(Errno::IO))
        };
        match File::open(path) {
            Ok(file) => {
                let inode = file.metadata().map_err(|error| failed("look at", &error))?;
                let inode = inode.ino();
                Ok(Some(Self { file, inode }))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", &error)),
        }
    }
}

/// All files of a log, the newest first.
///
/// Rotations meanwhile only give files higher numbers, one at a time: none that is there at
/// the beginning is passed unseen on the way up, and one that is met twice counts where it was
/// met last. The newest may be one that is not the newest any more.
pub(super) fn open_all(log: &Path) -> Result<Vec<Generation>, LogError> {
    newer_than(log, None)
}

/// So many numbers in a row without a file are the end: at a rotation one is without, and a
/// listing of a directory may miss what is renamed at that moment.
const MISSING: u32 = 4;

/// The files that came after the one with this inode, the newest first; all of them when that
/// one is gone.
pub(super) fn newer_than(log: &Path, inode: Option<u64>) -> Result<Vec<Generation>, LogError> {
    let mut found: Vec<Generation> = Vec::new();
    let mut age = 0;
    let mut oldest = 0;
    let mut missing = 0;
    loop {
        if age > oldest {
            // Any number of rotations may have come by on the way.
            oldest = ages(log).into_iter().max().unwrap_or(0);
        }
        match Generation::open(&path(log, age))? {
            Some(generation) if Some(generation.inode) == inode => return Ok(found),
            Some(generation) => {
                missing = 0;
                // One that is met again goes behind those met in between: they are newer, and
                // came below it by a rotation.
                found.retain(|known| known.inode != generation.inode);
                found.push(generation);
            }
            None if age > oldest => {
                missing += 1;
                if missing == MISSING {
                    return Ok(found);
                }
            }
            None => {}
        }
        age += 1;
    }
}
