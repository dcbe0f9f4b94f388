//! The undo records of one container: written before each step, carried out in reverse.
//!
//! A record is plain data, so that another process can carry it out after a `kill -9`. Each
//! undo succeeds when what it names is already gone: carrying a journal out twice is safe.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{BoxError, Error};
use crate::fault;

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    stage: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    undo: &'a RawValue,
}

/// An open journal: one file, one JSON record a line, only ever appended to.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens the journal at `path`, making it when it does not exist.
    ///
    /// # Errors
    /// [`Error::Journal`] when the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(Error::Journal {
                operation: "open",
                path,
                source,
            }),
        }
    }

    /// Writes down how to undo what `stage` is about to do.
    ///
    /// The record survives the death of this process. It need not survive the machine's: what
    /// it names lives in the kernel.
    ///
    /// # Errors
    /// [`Error::Journal`]: the step must then not be taken.
    pub fn record(&mut self, stage: &str, undo: &impl Serialize) -> Result<(), Error> {
        let fail = |path: &Path, source| Error::Journal {
            operation: "write",
            path: path.to_owned(),
            source,
        };
        let undo = serde_json::value::to_raw_value(undo)
            .map_err(|error| fail(&self.path, error.into()))?;
        let record = Record {
            stage: stage.into(),
            undo: &undo,
        };
        let mut line =
            serde_json::to_vec(&record).map_err(|error| fail(&self.path, error.into()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(|error| fail(&self.path, error))
    }
}

/// Carries out the journal at `path` in reverse and removes it. A missing journal is an empty
/// one. `undo` gets the stage's name and its record as JSON.
///
/// A record that fails does not keep the others from being carried out; the journal then stays
/// for the next try.
///
/// # Errors
/// The first record that failed.
pub fn unwind(
    path: &Path,
    mut undo: impl FnMut(&str, &str) -> Result<(), BoxError>,
) -> Result<(), Error> {
    let fail = |operation, source| Error::Journal {
        operation,
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    match File::open(path) {
        Ok(mut file) => file
            .read_to_end(&mut text)
            .map_err(|error| fail("read", error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail("open", error)),
    };
    let mut first_error = None;
    // A torn last line was never followed by its step: it does not parse, and is skipped.
    let records: Vec<Record<'_>> = text
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    for record in records.iter().rev() {
        let result = fault::point(&record.stage, "undo")
            .and_then(|()| undo(&record.stage, record.undo.get()));
        if let Err(source) = result {
            log::debug!("undo {}: {source}", record.stage);
            first_error.get_or_insert(Error::Undo {
                stage: record.stage.to_string(),
                source,
            });
        }
    }
    if let Some(error) = first_error {
        return Err(error);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(fail("remove", error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_undone_in_reverse_and_the_journal_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.record("cgroup", &"a").unwrap();
        journal.record("network", &["b", "c"]).unwrap();
        let mut seen = Vec::new();
        unwind(&path, |stage, undo| {
            seen.push(format!("{stage} {undo}"));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [r#"network ["b","c"]"#, r#"cgroup "a""#]);
        assert!(!path.exists());
    }

    #[test]
    fn a_torn_last_record_is_skipped_and_a_failed_one_keeps_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(
            &path,
            "{\"stage\":\"a\",\"undo\":1}\n{\"stage\":\"b\",\"undo\":2}\n{\"sta",
        )
        .unwrap();
        let mut seen = 0;
        let error = unwind(&path, |stage, _| {
            seen += 1;
            if stage == "b" {
                Err("busy".into())
            } else {
                Ok(())
            }
        })
        .unwrap_err();
        assert_eq!(seen, 2);
        assert_eq!(error.to_string(), "undo b");
        assert!(path.exists());
    }
}
