//! Files that are found in an image, or that a crash has torn.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use coop_fs::Volumes;
use coop_launcher::journal;
use coop_launcher::logs::{LogOptions, LogReader, LogWriter, Record, Selection};
use rustix::fs::{Mode, OFlags};

use crate::scratch::Scratch;

/// `passwd`, `group` and who is looked for, with a NUL between.
pub(crate) fn passwd(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let scratch = Scratch::new();
    let etc = scratch.inside().join("etc");
    fs::create_dir(&etc).expect("create etc");
    fs::write(etc.join("passwd"), part()).expect("write passwd");
    fs::write(etc.join("group"), part()).expect("write group");
    let who = String::from_utf8_lossy(part()).into_owned();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(scratch.inside(), flags, Mode::empty()).expect("open the root");
    match coop_fs::lookup_user_in(std::os::fd::AsFd::as_fd(&root), &who) {
        // To setresuid(2), the largest of all means "as it is".
        Ok(user) => {
            let ids = [&[user.uid, user.gid], &user.additional_gids[..]].concat();
            assert!(ids.iter().all(|&id| i32::try_from(id).is_ok()), "{user:?}");
        }
        Err(error) => drop(error.to_string()),
    }
}

/// A journal: what is undone is JSON, in reverse, and the journal goes.
pub(crate) fn journal(data: &[u8]) {
    let scratch = Scratch::new();
    let path = scratch.inside().join("journal");
    fs::write(&path, data).expect("write the journal");
    let undo = |_: &str, undo: &str| {
        serde_json::from_str::<serde_json::Value>(undo).map(drop)?;
        Ok(())
    };
    journal::unwind(&path, undo).expect("each record is JSON");
    assert!(!path.exists());
}

/// A log, read whole and from near its end. The first byte says how many records are wanted.
pub(crate) fn log(data: &[u8]) {
    let Some((&tail, text)) = data.split_first() else {
        return;
    };
    let scratch = Scratch::new();
    let path = scratch.inside().join("log");
    fs::write(&path, text).expect("write the log");
    let all = records(&path, Selection::default());
    let tail = usize::from(tail);
    let last = records(
        &path,
        Selection {
            tail: Some(tail),
            ..Selection::default()
        },
    );
    assert_eq!(last, all[all.len().saturating_sub(tail)..]);
    let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (since, until) in [(Some(at), None), (None, Some(at)), (Some(at), Some(at))] {
        let selection = Selection {
            since,
            until,
            tail: Some(tail),
        };
        assert!(records(&path, selection).len() <= all.len());
    }
}

/// Output that a killed supervisor left beside the log: it is brought into the log once. 16
/// bytes of the header, then the log, a NUL, and the output.
pub(crate) fn log_stage(data: &[u8]) {
    let Some((numbers, rest)) = data.split_first_chunk::<16>() else {
        return;
    };
    let at = rest.iter().position(|&byte| byte == 0);
    let (text, output) = rest.split_at(at.unwrap_or(rest.len()));
    let scratch = Scratch::new();
    let path = scratch.inside().join("log");
    fs::write(&path, text).expect("write the log");
    let inode = fs::metadata(&path).expect("look at the log").ino();
    let header = [&b"cooplog1"[..], &inode.to_le_bytes(), numbers];
    fs::write(
        scratch.inside().join("log.stdout"),
        [&header.concat(), output].concat(),
    )
    .expect("write the stage");
    drop(LogWriter::open(&path, LogOptions::default()).expect("open the log"));
    let first = fs::read(&path).expect("read the log");
    drop(LogWriter::open(&path, LogOptions::default()).expect("open the log again"));
    assert!(
        first == fs::read(&path).expect("read the log"),
        "recovered twice"
    );
}

/// The record of a volume: damaged, it says nothing, and the volume is there all the same.
pub(crate) fn volume_record(data: &[u8]) {
    let scratch = Scratch::new();
    let volumes = Volumes::new(&scratch.inside());
    volumes.create("db").expect("create a volume");
    let record = volumes.dir().join("db/volume.json");
    fs::write(record, data).expect("write the record");
    let volume = volumes.get("db").expect("read the record");
    assert_eq!(volume.expect("it is there").name, "db");
}

fn records(path: &Path, selection: Selection) -> Vec<Record> {
    let mut reader = LogReader::open(path, selection).expect("open the log");
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().expect("read the log") {
        records.push(record);
    }
    records
}
