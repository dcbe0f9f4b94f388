//! Logs in several files.

use super::*;

fn rotated(max_size: u64, max_file: u32) -> LogOptions {
    LogOptions {
        max_size: Some(max_size),
        max_file,
        keep: true,
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("log.std"))
        .collect();
    names.sort_unstable();
    names
}

fn write_lines(writer: &mut LogWriter, lines: std::ops::Range<u32>) {
    for line in lines {
        let text = format!("line {line}\n");
        writer.write(Stream::Stdout, text.as_bytes()).unwrap();
    }
}

fn numbers(texts: &[String]) -> Vec<u32> {
    let number = |text: &String| text.strip_prefix("line ")?.trim_end().parse().ok();
    texts.iter().map(|text| number(text).unwrap()).collect()
}

#[test]
fn full_files_are_numbered_and_the_oldest_goes() {
    let (dir, path) = temp();
    let mut writer = LogWriter::open(&path, rotated(1000, 3)).unwrap();
    write_lines(&mut writer, 0..5);
    assert_eq!(files(dir.path()), ["log"]);
    write_lines(&mut writer, 5..100);
    assert_eq!(files(dir.path()), ["log", "log.1", "log.2"]);
    let all = numbers(&texts(&path));
    assert_eq!(*all.last().unwrap(), 99);
    let expected: Vec<_> = (100 - all.len() as u32..100).collect();
    assert_eq!(all, expected, "the newest, without a gap");
    for name in ["log.1", "log.2"] {
        let length = dir.path().join(name).metadata().unwrap().len();
        assert!((1000..1200).contains(&length), "{name}: {length}");
    }
}

#[test]
fn one_file_begins_anew_when_it_is_full() {
    let (dir, path) = temp();
    let mut writer = LogWriter::open(&path, rotated(1000, 1)).unwrap();
    let mut follower = reader(&path);
    let mut followed = Vec::new();
    for line in 0..50 {
        write_lines(&mut writer, line..line + 1);
        while let Some(record) = follower.next_record().unwrap() {
            followed.push(record.log);
        }
    }
    assert_eq!(files(dir.path()), ["log"]);
    assert!(path.metadata().unwrap().len() < 1200);
    assert_eq!(numbers(&followed), (0..50).collect::<Vec<_>>());
}

#[test]
fn a_chunk_larger_than_a_file_is_spread_over_several() {
    let (dir, path) = temp();
    let mut writer = LogWriter::open(&path, rotated(500, 1000)).unwrap();
    let lines: Vec<_> = (0..300).map(|line| format!("line {line}\n")).collect();
    writer
        .write(Stream::Stdout, lines.concat().as_bytes())
        .unwrap();
    assert!(files(dir.path()).len() > 30);
    assert_eq!(numbers(&texts(&path)), (0..300).collect::<Vec<_>>());
}

#[test]
fn who_was_away_for_several_rotations_finds_all_that_is_left() {
    let (_dir, path) = temp();
    let mut writer = LogWriter::open(&path, rotated(300, 10)).unwrap();
    write_lines(&mut writer, 0..2);
    let mut follower = reader(&path);
    assert!(follower.next_record().unwrap().is_some());
    write_lines(&mut writer, 2..15);
    let rest: Vec<_> = std::iter::from_fn(|| follower.next_record().unwrap())
        .map(|record| record.log)
        .collect();
    assert_eq!(numbers(&rest), (1..15).collect::<Vec<_>>());
    // The file that it has read to its end is long gone.
    write_lines(&mut writer, 15..200);
    let rest: Vec<_> = std::iter::from_fn(|| follower.next_record().unwrap())
        .map(|record| record.log)
        .collect();
    // What it had not read of that file it still can.
    assert_eq!(numbers(&rest)[0], 15);
    assert_eq!(numbers(&rest)[1..], numbers(&texts(&path)));
    assert_eq!(numbers(&rest).last(), Some(&199));
}

#[test]
fn a_reader_beside_a_fast_writer_sees_every_line_once() {
    let (dir, path) = temp();
    let writing = std::thread::spawn({
        let (path, done) = (path.clone(), dir.path().join("done"));
        move || {
            let mut writer = LogWriter::open(&path, rotated(2000, 10_000)).unwrap();
            write_lines(&mut writer, 0..3000);
            std::fs::write(done, "").unwrap();
        }
    });
    let mut follower = reader(&path);
    let mut followed = Vec::new();
    loop {
        let done = dir.path().join("done").exists();
        while let Some(record) = follower.next_record().unwrap() {
            followed.push(record.log);
        }
        if done {
            break;
        }
    }
    writing.join().unwrap();
    let all = numbers(&followed);
    let gap = all
        .iter()
        .zip(0..)
        .find(|(seen, expected)| *seen != expected);
    assert_eq!(gap, None, "seen and expected, of {}", all.len());
    assert_eq!(all.len(), 3000);
}

#[test]
fn who_opens_a_log_amid_rotations_finds_its_first_line() {
    const LINES: u32 = 150;
    let (_dir, path) = temp();
    let mut writer = LogWriter::open(&path, rotated(1, 10_000)).unwrap();
    write_lines(&mut writer, 0..1);
    let writing = std::thread::spawn(move || write_lines(&mut writer, 1..LINES));
    let mut seen = 0;
    while seen + 1 < LINES {
        let numbers = numbers(&texts(&path));
        // All that there was at that moment, the oldest files above all.
        let gap = numbers
            .iter()
            .zip(0..)
            .find(|(seen, expected)| *seen != expected);
        assert_eq!(gap, None, "seen and expected, of {}", numbers.len());
        seen = *numbers.last().unwrap();
    }
    writing.join().unwrap();
}

#[test]
fn a_log_that_someone_emptied_is_read_on() {
    let (_dir, path) = temp();
    let mut writer = open(&path);
    write_lines(&mut writer, 0..100);
    let mut follower = reader(&path);
    while follower.next_record().unwrap().is_some() {}
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    write_lines(&mut writer, 100..103);
    let rest: Vec<_> = std::iter::from_fn(|| follower.next_record().unwrap())
        .map(|record| record.log)
        .collect();
    assert_eq!(numbers(&rest), [100, 101, 102]);
}

#[test]
fn the_tail_reaches_back_into_older_files() {
    let (_dir, path) = temp();
    let mut writer = LogWriter::open(&path, rotated(300, 1000)).unwrap();
    write_lines(&mut writer, 0..100);
    for count in [0, 1, 3, 4, 5, 8, 50, 99, 100, 101] {
        let last = Selection {
            tail: Some(count),
            ..Selection::default()
        };
        let mut reader = LogReader::open(&path, last).unwrap();
        let read: Vec<_> = std::iter::from_fn(|| reader.next_record().unwrap())
            .map(|record| record.log)
            .collect();
        let first = 100_u32.saturating_sub(count as u32);
        assert_eq!(numbers(&read), (first..100).collect::<Vec<_>>(), "{count}");
    }
}
