//! From a container's hand to the user's eye, over real files and pipes.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    (dir, path)
}

fn open(path: &Path) -> LogWriter {
    LogWriter::open(path, LogOptions::default()).unwrap()
}

fn reader(path: &Path) -> LogReader {
    LogReader::open(path, Selection::default()).unwrap()
}

fn records(path: &Path) -> Vec<Record> {
    let mut reader = reader(path);
    std::iter::from_fn(|| reader.next_record().unwrap()).collect()
}

fn texts(path: &Path) -> Vec<String> {
    records(path).into_iter().map(|record| record.log).collect()
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

#[test]
fn lines_are_records_and_the_rest_waits_for_its_end() {
    let (_dir, path) = temp();
    let mut writer = open(&path);
    writer.write(Stream::Stdout, b"one\ntwo\nthr").unwrap();
    writer.write(Stream::Stderr, b"error\n").unwrap();
    assert_eq!(texts(&path), ["one\n", "two\n", "error\n"]);
    writer.write(Stream::Stdout, b"ee\n\n").unwrap();
    assert_eq!(texts(&path)[3..], ["three\n", "\n"]);
    writer.write(Stream::Stdout, b"prompt> ").unwrap();
    writer.flush().unwrap();
    assert_eq!(texts(&path).last().unwrap(), "prompt> ");
    assert_eq!(records(&path)[2].stream, Stream::Stderr);
    let mode = path.metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
        1,
        "only the log"
    );
}

#[test]
fn a_long_line_is_cut_at_16_kib_but_never_inside_a_character() {
    let (_dir, path) = temp();
    let mut writer = open(&path);
    let line = format!("{}\n", "€".repeat(20_000));
    for chunk in line.as_bytes().chunks(7_001) {
        writer.write(Stream::Stdout, chunk).unwrap();
    }
    let texts = texts(&path);
    assert_eq!(texts.concat(), line);
    assert_eq!(texts.len(), 4);
    assert!(texts.iter().all(|text| text.len() <= MAX_TEXT));
    assert!(texts[..3].iter().all(|text| !text.ends_with('\n')));
}

#[test]
fn the_start_of_a_line_survives_its_reader() {
    let (dir, path) = temp();
    let mut writer = open(&path);
    writer.write(Stream::Stdout, b"whole\nbegin").unwrap();
    writer.write(Stream::Stderr, b"err").unwrap();
    // As after a kill -9: no flush.
    drop(writer);
    let mut writer = open(&path);
    writer.write(Stream::Stdout, b"ning\n").unwrap();
    drop(writer);
    assert_eq!(texts(&path), ["whole\n", "beginning\n"]);
    let mut writer = open(&path);
    writer.flush().unwrap();
    assert_eq!(texts(&path), ["whole\n", "beginning\n", "err"]);
    drop(writer);
    // Once only.
    drop(open(&path));
    assert_eq!(texts(&path).len(), 3);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_line_torn_by_a_kill_costs_no_other_line() {
    let (_dir, path) = temp();
    let mut writer = open(&path);
    writer.write(Stream::Stdout, b"first\n").unwrap();
    drop(writer);
    append(&path, b"{\"time\":\"2024-05-01T12:00:00Z\",\"stre");
    let mut reader = reader(&path);
    assert_eq!(reader.next_record().unwrap().unwrap().log, "first\n");
    assert_eq!(
        reader.next_record().unwrap(),
        None,
        "the torn line may still get its end"
    );
    let mut writer = open(&path);
    writer.write(Stream::Stdout, b"second\n").unwrap();
    assert_eq!(reader.next_record().unwrap().unwrap().log, "second\n");
    assert_eq!(texts(&path), ["first\n", "second\n"]);
}

#[test]
fn garbage_of_any_length_is_passed_over() {
    let (_dir, path) = temp();
    append(
        &path,
        b"\n\n{}\n[1]\nnull\n\xff\xfe\n{\"time\":\"never\",\"stream\":\"x\",\"log\":1}\n",
    );
    append(&path, &vec![b'x'; 3 * 1024 * 1024]);
    append(&path, b"\n");
    open(&path).write(Stream::Stdout, b"good\n").unwrap();
    assert_eq!(texts(&path), ["good\n"]);
}

#[test]
fn tail_finds_the_last_records_over_block_borders() {
    let (_dir, path) = temp();
    let mut writer = open(&path);
    for line in 0..3000 {
        writer
            .write(Stream::Stdout, format!("line {line}\n").as_bytes())
            .unwrap();
    }
    append(&path, b"{\"torn");
    for count in [0, 1, 2, 999, 2999, 3000, 3001, 100_000] {
        let last = Selection {
            tail: Some(count),
            ..Selection::default()
        };
        let mut reader = LogReader::open(&path, last).unwrap();
        let read: Vec<_> = std::iter::from_fn(|| reader.next_record().unwrap()).collect();
        assert_eq!(read.len(), count.min(3000), "{count}");
        if let Some(first) = read.first() {
            assert_eq!(first.log, format!("line {}\n", 3000 - read.len()));
        }
    }
}

#[test]
fn a_log_that_does_not_exist_yet_is_empty_and_then_is_not() {
    let (_dir, path) = temp();
    let last = Selection {
        tail: Some(5),
        ..Selection::default()
    };
    let mut reader = LogReader::open(&path, last).unwrap();
    assert_eq!(reader.next_record().unwrap(), None);
    open(&path).write(Stream::Stdout, b"x\n").unwrap();
    assert_eq!(reader.next_record().unwrap().unwrap().log, "x\n");
}

#[test]
fn a_full_disk_loses_no_line() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    }
    // A file system of a few pages in a mount namespace of its own, by util-linux.
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c"])
        .arg("mount -t tmpfs -o size=48k none /mnt && exec \"$0\" \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(own_path("helper_fill_a_disk"))
        .env("COOP_LOG_TEST", "/mnt/log")
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: no unshare(1)");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "part of another test"]
fn helper_fill_a_disk() {
    let Some(path) = std::env::var_os("COOP_LOG_TEST") else {
        return;
    };
    let path = Path::new(&path);
    let mut writer = open(path);
    let mut failed = None;
    let mut written = 0;
    std::fs::write(path.with_file_name("ballast"), vec![0; 16 * 1024]).unwrap();
    while written < 2000 {
        written += 1;
        if let Err(error) = writer.write(Stream::Stdout, b"a line of some length, ninety-odd\n") {
            failed = Some(error);
            break;
        }
    }
    let error = failed.expect("the disk is full");
    assert_eq!(error.source, Errno::NOSPC);
    assert!(error.to_string().contains("/mnt/"), "{error}");
    assert!(writer.is_behind());
    assert!(writer.catch_up().is_err());
    // What came meanwhile waits, in a pipe or in memory.
    let (reader, end) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&end, b"in the pipe\n").unwrap();
    assert!(writer.take(Stream::Stdout, &reader, |_| ()).is_err());
    let _ = writer.write(Stream::Stdout, b"in memory\n");
    let before = texts(path);
    // Someone makes room.
    std::fs::remove_file(path.with_file_name("ballast")).unwrap();
    writer.catch_up().unwrap();
    writer.take(Stream::Stdout, &reader, |_| ()).unwrap();
    writer.flush().unwrap();
    let after = texts(path);
    assert_eq!(after.len(), written + 2);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after[written..], ["in memory\n", "in the pipe\n"]);
}

/// A test's path as the harness wants it.
fn own_path(test: &str) -> String {
    let module = module_path!().split_once("::").unwrap().1;
    format!("{module}::{test}")
}

#[test]
fn a_container_writes_on_without_a_supervisor_and_the_next_one_gets_it_all() {
    let (dir, path) = temp();
    let pipe = dir.path().join("stdout");
    LogPipe::create(&pipe, rustix::process::getuid(), rustix::process::getgid()).unwrap();
    let first = LogPipe::open_reader(&pipe).unwrap();
    let container_end = LogPipe::open_rw(&pipe).unwrap();
    let mut container = Command::new("sh")
        .args(["-c", "echo one; printf tw; read go; echo o; echo three"])
        .stdin(Stdio::piped())
        .stdout(container_end)
        .spawn()
        .unwrap();
    let mut writer = open(&path);
    let mut seen = 0;
    while seen < "one\ntw".len() {
        if let Taken::Some(length) = writer.take(Stream::Stdout, &first, |_| ()).unwrap() {
            seen += length;
        }
    }
    // The supervisor is killed; the container goes on without getting SIGPIPE, while
    // someone else adopts it.
    drop((first, writer));
    let mut input = container.stdin.take().unwrap();
    let second = LogPipe::open_reader(&pipe).unwrap();
    let mut writer = open(&path);
    input.write_all(b"\n").unwrap();
    assert!(container.wait().unwrap().success());
    while writer.take(Stream::Stdout, &second, |_| ()).unwrap() != Taken::End {}
    writer.flush().unwrap();
    assert_eq!(texts(&path), ["one\n", "two\n", "three\n"]);
}

#[test]
fn several_logs_are_merged_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = Logs::default();
    let line = |nanos: u64, text: &str| {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        let mut out = Vec::new();
        Record::encode(
            &mut out,
            &crate::store::time::format(time),
            Stream::Stdout,
            text.as_bytes(),
        );
        out
    };
    for (name, lines) in [
        ("a", &[(1, "1"), (4, "4"), (6, "6a")][..]),
        ("b", &[(2, "2"), (3, "3"), (6, "6b")]),
        ("c", &[]),
    ] {
        let path = dir.path().join(name);
        for (nanos, text) in lines {
            append(&path, &line(*nanos, text));
        }
        logs.open(&path, Selection::default()).unwrap();
    }
    let merged: Vec<_> = std::iter::from_fn(|| logs.next_record().unwrap())
        .map(|(_, record)| record.log)
        .collect();
    assert_eq!(merged, ["1", "2", "3", "4", "6a", "6b"]);
}

#[test]
fn following_ends_when_the_container_has_ended_and_all_is_read() {
    let (dir, path) = temp();
    let mut logs = Logs::default();
    let index = logs
        .open(
            &path,
            Selection {
                tail: Some(0),
                ..Selection::default()
            },
        )
        .unwrap();
    let watch = DirWatch::new().unwrap();
    watch.add(dir.path()).unwrap();
    let container = std::thread::spawn({
        let (path, done) = (path.clone(), dir.path().join("done"));
        move || {
            let mut writer = open(&path);
            for line in 0..500 {
                writer
                    .write(Stream::Stdout, format!("{line}\n").as_bytes())
                    .unwrap();
            }
            writer.write(Stream::Stdout, b"no line end").unwrap();
            writer.flush().unwrap();
            std::fs::write(done, "").unwrap();
        }
    });
    let mut read = Vec::new();
    while !logs.is_finished() {
        if dir.path().join("done").exists() {
            logs.set_ended(index);
        }
        while let Some((_, record)) = logs.next_record().unwrap() {
            read.push(record.log);
        }
        if !logs.is_finished() {
            watch.wait().unwrap();
        }
    }
    container.join().unwrap();
    assert_eq!(read.len(), 501);
    assert_eq!(read[500], "no line end");
}

#[test]
fn a_directory_that_is_gone_cannot_be_watched() {
    let error = DirWatch::new()
        .unwrap()
        .add(Path::new("/nowhere"))
        .unwrap_err();
    assert_eq!(error.source, Errno::NOENT);
}

/// Writes what comes from standard input to a log, as a supervisor does, until it is killed.
#[test]
#[ignore = "part of another test"]
fn helper_log_standard_input() {
    let Some(path) = std::env::var_os("COOP_LOG_TEST") else {
        return;
    };
    let mut writer = open(Path::new(&path));
    let mut buffer = [0; 512];
    let mut stdin = std::io::stdin().lock();
    loop {
        match stdin.read(&mut buffer).unwrap() {
            0 => break,
            length => writer.write(Stream::Stdout, &buffer[..length]).unwrap(),
        }
    }
    writer.flush().unwrap();
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_readable_log() {
    let (_dir, path) = temp();
    let length = || path.metadata().map_or(0, |metadata| metadata.len());
    for round in 1..=8_usize {
        let before = length();
        let mut supervisor = Command::new("/proc/self/exe")
            .args(["--ignored", "--exact"])
            .arg(own_path("helper_log_standard_input"))
            .env("COOP_LOG_TEST", &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = supervisor.stdin.take().unwrap();
        for line in 0..200 * round {
            writeln!(input, "round {round} line {line}").unwrap();
        }
        while length() == before {
            std::thread::yield_now();
        }
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
    }
    let mut writer = open(&path);
    writer.write(Stream::Stdout, b"\nthe end\n").unwrap();
    let all = texts(&path);
    assert_eq!(all.last().unwrap(), "the end\n");
    // Up to where its reader was killed, each round's lines count up without a gap. Where a
    // line was cut, the next round's first one goes on behind it.
    let joined = all.concat();
    let rounds = joined.strip_suffix("\nthe end\n").unwrap();
    let mut next = [0; 9];
    for line in rounds
        .split("round ")
        .filter_map(|line| line.strip_suffix('\n'))
    {
        let Some((round, number)) = line.split_once(" line ") else {
            continue;
        };
        let round: usize = round.parse().unwrap();
        assert_eq!(number.parse(), Ok(next[round]), "round {line:?}");
        next[round] += 1;
    }
    assert!(next[1] > 0, "{next:?}");
}

mod kill;
mod rotation;
mod select;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_output_is_cut_into_chunks_no_byte_is_lost(
        chunks in proptest::collection::vec(
            (any::<bool>(), "[a-zäö€\n]{0,40}"), 0..30,
        ),
        killed_at in 0_usize..30,
    ) {
        let (_dir, path) = temp();
        let mut writer = open(&path);
        let mut expected = [String::new(), String::new()];
        for (at, (error, chunk)) in chunks.iter().enumerate() {
            if at == killed_at {
                writer = open(&path);
            }
            let stream = if *error { Stream::Stderr } else { Stream::Stdout };
            writer.write(stream, chunk.as_bytes()).unwrap();
            expected[usize::from(*error)].push_str(chunk);
        }
        writer.flush().unwrap();
        let mut read = [String::new(), String::new()];
        for record in records(&path) {
            read[record.stream as usize].push_str(&record.log);
        }
        prop_assert_eq!(read, expected);
    }
}
