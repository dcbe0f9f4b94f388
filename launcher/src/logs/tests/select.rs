//! Parts of a log, by time and by number.

use super::*;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A log of lines `0`, `1`…, one each second, `per_file` in a file.
fn log(lines: u64, per_file: u64) -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = temp();
    let newest = (lines.max(1) - 1) / per_file;
    for line in 0..lines {
        let mut record = Vec::new();
        let time = crate::store::time::format(at(line));
        let text = format!("{line}\n");
        Record::encode(&mut record, &time, Stream::Stdout, text.as_bytes());
        let age = newest - line / per_file;
        append(&generations::path(&path, age as u32), &record);
    }
    (dir, path)
}

fn selected(path: &Path, selection: Selection) -> Vec<u64> {
    let mut reader = LogReader::open(path, selection).unwrap();
    std::iter::from_fn(|| reader.next_record().unwrap())
        .map(|record| record.log.trim_end().parse().unwrap())
        .collect()
}

/// What is to be selected, found without any search.
fn expected(lines: u64, selection: Selection) -> Vec<u64> {
    let wanted: Vec<_> = (0..lines)
        .filter(|&line| {
            selection.since.is_none_or(|since| at(line) >= since)
                && selection.until.is_none_or(|until| at(line) <= until)
        })
        .collect();
    let tail = selection.tail.unwrap_or(usize::MAX).min(wanted.len());
    wanted[wanted.len() - tail..].to_vec()
}

#[test]
fn since_and_until_include_their_own_second() {
    let (_dir, path) = log(10, 100);
    let since = Selection {
        since: Some(at(7)),
        ..Selection::default()
    };
    assert_eq!(selected(&path, since), [7, 8, 9]);
    let until = Selection {
        until: Some(at(2)),
        ..Selection::default()
    };
    assert_eq!(selected(&path, until), [0, 1, 2]);
    let last_before = Selection {
        until: Some(at(5)),
        tail: Some(2),
        since: None,
    };
    assert_eq!(selected(&path, last_before), [4, 5]);
}

#[test]
fn what_is_later_than_wanted_ends_the_reading() {
    let (_dir, path) = log(3, 100);
    let mut reader = LogReader::open(
        &path,
        Selection {
            until: Some(at(0)),
            ..Selection::default()
        },
    )
    .unwrap();
    assert_eq!(reader.next_record().unwrap().unwrap().log, "0\n");
    assert!(!reader.is_past_end());
    assert_eq!(reader.next_record().unwrap(), None);
    assert!(reader.is_past_end());
}

#[test]
fn the_end_of_a_large_log_is_found_without_reading_it() {
    let (_dir, path) = log(20_000, 100_000);
    // Nothing in front of the place is looked at but by the search.
    let wanted = Selection {
        since: Some(at(19_990)),
        ..Selection::default()
    };
    let place = seek::first(&path, &wanted).unwrap().unwrap();
    let length = path.metadata().unwrap().len();
    assert!(place.offset < length && length - place.offset < 1000);
    assert_eq!(
        selected(&path, wanted),
        (19_990..20_000).collect::<Vec<_>>()
    );
}

#[test]
fn garbage_does_not_lead_the_search_astray() {
    let (_dir, path) = log(2000, 100_000);
    append(&path, &vec![b'x'; 200_000]);
    append(&path, b"\n\n\0\0\n");
    let mut record = Vec::new();
    let time = crate::store::time::format(at(5000));
    Record::encode(&mut record, &time, Stream::Stdout, b"5000\n");
    append(&path, &record);
    for (since, expected) in [(5000, 1), (2000, 1), (1999, 2), (0, 2001)] {
        let wanted = Selection {
            since: Some(at(since)),
            ..Selection::default()
        };
        assert_eq!(selected(&path, wanted).len(), expected, "{since}");
    }
}

#[test]
fn the_last_records_are_counted_without_the_garbage_between_them() {
    let (_dir, path) = log(3, 2);
    let garbage = [
        b"\n\n{}\n".to_vec(),
        [vec![b'x'; 3 * 1024 * 1024], b"\n".to_vec()].concat(),
        b"{\"torn\n".to_vec(),
    ];
    for (line, garbage) in garbage.iter().enumerate() {
        append(&path, garbage);
        let mut record = Vec::new();
        let time = crate::store::time::format(at(3 + line as u64));
        let text = format!("{}\n", 3 + line);
        Record::encode(&mut record, &time, Stream::Stdout, text.as_bytes());
        append(&path, &record);
    }
    append(&path, b"garbage\n{\"torn");
    for tail in 0..8 {
        let selection = Selection {
            tail: Some(tail),
            ..Selection::default()
        };
        assert_eq!(selected(&path, selection), expected(6, selection), "{tail}");
    }
}

#[test]
fn a_line_is_too_long_to_be_a_record_from_either_side() {
    let record = |text: usize| {
        let mut record = Vec::new();
        let time = crate::store::time::format(at(1));
        Record::encode(&mut record, &time, Stream::Stdout, &vec![b'x'; text]);
        record
    };
    let most = reader::MAX_LINE - (record(100).len() - 100);
    for (text, expected) in [(most, 1), (most + 1, 0), (most + 64 * 1024, 0)] {
        let (_dir, path) = temp();
        append(&path, &record(text));
        assert_eq!(records(&path).len(), expected);
        let mut place = LogReader::open(
            &path,
            Selection {
                tail: Some(1),
                ..Selection::default()
            },
        )
        .unwrap();
        let found = std::iter::from_fn(|| place.next_record().unwrap()).count();
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn every_selection_is_found(
        lines in 0_u64..200,
        per_file in 1_u64..120,
        since in proptest::option::of(0_u64..220),
        until in proptest::option::of(0_u64..220),
        tail in proptest::option::of(0_usize..220),
    ) {
        let (_dir, path) = log(lines, per_file);
        let selection = Selection { since: since.map(at), until: until.map(at), tail };
        prop_assert_eq!(selected(&path, selection), expected(lines, selection));
    }
}
