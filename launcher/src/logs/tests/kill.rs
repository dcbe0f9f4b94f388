//! Writers that are killed at each of their steps.

use rustix::pipe::{PipeFlags, pipe_with};

use super::super::kill_point::dies_at;
use super::*;

/// What a container writes, step by step.
type Output = &'static [(Stream, &'static [&'static str])];

const OUT: Stream = Stream::Stdout;
const ERR: Stream = Stream::Stderr;

const SHORT: Output = &[
    (OUT, &["one\n", "two\nthr"]),
    (ERR, &["error ", "one\nerror"]),
    (OUT, &["ee\nfour\n", "five\n"]),
    (ERR, &[" two\n\n"]),
    (OUT, &["one\n", "one\n", "one\n", "la"]),
    (ERR, &["last "]),
    (OUT, &["st"]),
    (ERR, &["words"]),
];

/// A container, its pipes, and the files of its log.
struct Container {
    dir: tempfile::TempDir,
    options: LogOptions,
    readers: [std::os::fd::OwnedFd; 2],
    writers: [std::os::fd::OwnedFd; 2],
    /// Someone who follows the log from its beginning.
    follower: LogReader,
    seen: Vec<(Stream, String)>,
}

impl Container {
    fn new(options: LogOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (out, err) = [(); 2]
            .map(|()| pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap())
            .into();
        let follower = LogReader::open(&dir.path().join("log"), Selection::default()).unwrap();
        Self {
            dir,
            options,
            readers: [out.0, err.0],
            writers: [out.1, err.1],
            follower,
            seen: Vec::new(),
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn open(&self) -> LogWriter {
        LogWriter::open(&self.log(), self.options.clone()).unwrap()
    }

    fn print(&self, stream: Stream, text: &str) {
        let length = rustix::io::write(&self.writers[stream as usize], text.as_bytes()).unwrap();
        assert_eq!(length, text.len());
    }

    fn drain(&self, writer: &mut LogWriter) {
        for stream in [OUT, ERR] {
            let pipe = &self.readers[stream as usize];
            while let Taken::Some(_) = writer.take(stream, pipe, |_| ()).unwrap() {}
        }
    }

    /// What a supervisor does, killed before `step`; whether it was.
    fn supervise(&self, step: u32, output: &mut impl Iterator<Item = (Stream, String)>) -> bool {
        dies_at(step, || {
            let mut writer = self.open();
            self.drain(&mut writer);
            for (stream, text) in output {
                self.print(stream, &text);
                self.drain(&mut writer);
            }
            writer.flush().unwrap();
        })
    }

    fn follow(&mut self) {
        while let Some(record) = self.follower.next_record().unwrap() {
            self.seen.push((record.stream, record.log));
        }
    }

    /// The records of one stream, as the follower saw them, and as they are found afterwards.
    fn assert_logged(&mut self, expected: &[(Stream, String)], context: &str) {
        self.follow();
        let found: Vec<_> = records(&self.log())
            .into_iter()
            .map(|record| (record.stream, record.log))
            .collect();
        for stream in [OUT, ERR] {
            let of = |all: &[(Stream, String)]| -> Vec<String> {
                let of_stream = all.iter().filter(|(of, _)| *of == stream);
                of_stream.map(|(_, text)| text.clone()).collect()
            };
            let expected = of(expected);
            assert!(of(&found) == expected, "{context}: {:?}", of(&found));
            assert!(
                of(&self.seen) == expected,
                "{context}: followed {:?}",
                of(&self.seen)
            );
        }
        let left: Vec<_> = { std::fs::read_dir(self.dir.path()).unwrap() }
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("log.std"))
            .collect();
        assert_eq!(left, [""; 0], "{context}");
    }
}

fn steps(output: Output) -> impl Iterator<Item = (Stream, String)> {
    output
        .iter()
        .flat_map(|(stream, texts)| texts.iter().map(|text| (*stream, (*text).to_owned())))
}

/// What a writer that nobody kills writes.
fn undisturbed(
    options: &LogOptions,
    output: impl Iterator<Item = (Stream, String)>,
) -> Vec<(Stream, String)> {
    let container = Container::new(options.clone());
    let mut output = output;
    assert!(!container.supervise(u32::MAX, &mut output));
    let records = records(&container.log());
    records
        .into_iter()
        .map(|record| (record.stream, record.log))
        .collect()
}

/// Kills the first writer before each of its steps, and the second before these of its own.
fn kill_at_every_step(
    options: &LogOptions,
    seconds: &[u32],
    output: impl Fn() -> Box<dyn Iterator<Item = (Stream, String)>>,
) {
    let expected = undisturbed(options, output());
    for first in 0.. {
        for &second in seconds {
            let mut container = Container::new(options.clone());
            let mut rest = output();
            let killed = container.supervise(first, &mut rest);
            container.follow();
            let again = container.supervise(second, &mut rest);
            container.follow();
            assert!(!container.supervise(u32::MAX, &mut rest));
            let context = format!("killed at {first} and {second}");
            container.assert_logged(&expected, &context);
            if !killed {
                assert!(first > 20, "{first} steps");
                return;
            }
            if !again {
                break;
            }
        }
    }
}

fn rotated(max_size: u64) -> LogOptions {
    LogOptions {
        max_size: Some(max_size),
        max_file: 100,
        keep: true,
    }
}

#[test]
fn a_writer_killed_at_any_step_loses_no_line_and_doubles_none() {
    kill_at_every_step(&LogOptions::default(), &[0, 1, 2, 3, 4, 5, 6, 30], || {
        Box::new(steps(SHORT))
    });
}

#[test]
fn a_writer_killed_at_any_step_of_a_rotation_loses_no_line_and_doubles_none() {
    for max_size in [1, 150] {
        kill_at_every_step(&rotated(max_size), &[1, 6, 11], || Box::new(steps(SHORT)));
    }
}

#[test]
fn a_writer_killed_with_long_lines_in_its_hands_loses_nothing() {
    // Pieces of 16 KiB, and stages that get full with and without a rest.
    let lines = || -> Box<dyn Iterator<Item = (Stream, String)>> {
        Box::new((0..14).map(|number| {
            let end = if number % 3 == 0 { "" } else { "\n" };
            (OUT, format!("{number}{}{end}", "€".repeat(13_000)))
        }))
    };
    let size: usize = lines().map(|(_, text)| text.len()).sum();
    assert!(size > 512 * 1024, "a stage is emptied twice: {size}");
    let expected = undisturbed(&LogOptions::default(), lines());
    for step in (0..).step_by(3) {
        let mut container = Container::new(LogOptions::default());
        let mut rest = lines();
        let killed = container.supervise(step, &mut rest);
        assert!(!container.supervise(u32::MAX, &mut rest));
        container.assert_logged(&expected, &format!("killed at {step}"));
        if !killed {
            return;
        }
    }
}

#[test]
fn a_container_that_keeps_no_log_has_no_files() {
    let options = LogOptions {
        keep: false,
        ..LogOptions::default()
    };
    let container = Container::new(options);
    let mut writer = container.open();
    let mut shown = Vec::new();
    container.print(OUT, "text\n");
    let pipe = &container.readers[0];
    let taken = writer.take(OUT, pipe, |bytes| shown.extend_from_slice(bytes));
    assert_eq!(taken.unwrap(), Taken::Some(5));
    assert_eq!(writer.take(OUT, pipe, |_| ()).unwrap(), Taken::Nothing);
    assert_eq!(shown, b"text\n");
    writer.flush().unwrap();
    assert_eq!(std::fs::read_dir(container.dir.path()).unwrap().count(), 0);
}

#[test]
fn the_time_of_what_a_killed_writer_had_taken_is_when_it_took_it() {
    let container = Container::new(LogOptions::default());
    container.print(OUT, "taken\n");
    // Before the write to the log.
    for step in 0.. {
        let before = SystemTime::now();
        assert!(dies_at(step, || container.drain(&mut container.open())));
        if container.log().metadata().is_ok_and(|log| log.len() > 0) {
            break;
        }
        let stage = container.dir.path().join("log.stdout");
        if stage.metadata().is_ok_and(|stage| stage.len() > 32) {
            std::thread::sleep(Duration::from_millis(30));
            let after = SystemTime::now();
            drop(container.open());
            let time = records(&container.log())[0].time;
            let tick = Duration::from_millis(10);
            assert!(before - tick <= time && time < after - tick * 2, "{time:?}");
            return;
        }
    }
    panic!("never between the two");
}

#[test]
fn a_log_that_somebody_cut_off_is_recovered_once_however_often_it_is_tried() {
    for (cut, left) in [(0, 0), (60, 0), (100, 1)] {
        for step in 0.. {
            let container = Container::new(LogOptions::default());
            // The marks are behind the records of an earlier writer.
            let mut writer = container.open();
            for text in ["early\n", "early too\n"] {
                writer.write(OUT, text.as_bytes()).unwrap();
            }
            writer.flush().unwrap();
            drop(writer);
            let mut writer = container.open();
            for (stream, text) in [(OUT, "out\n"), (ERR, "err\n"), (OUT, "more\nand")] {
                writer.write(stream, text.as_bytes()).unwrap();
            }
            drop(writer);
            let log = OpenOptions::new().write(true).open(container.log());
            log.unwrap().set_len(cut).unwrap();

            let killed = dies_at(step, || drop(container.open()));
            drop(container.open());
            drop(container.open());
            let expected = [&["early\n"][..left], &["out\n", "more\n", "err\n"]].concat();
            assert_eq!(texts(&container.log()), expected, "{cut} {step}");
            container.open().flush().unwrap();
            assert_eq!(texts(&container.log()).last().unwrap(), "and");
            if !killed {
                assert!(step > 3, "{step} steps");
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn however_often_it_is_killed_no_byte_is_lost_or_doubled(
        chunks in proptest::collection::vec((any::<bool>(), "[a-cä\n]{1,30}"), 1..25),
        kills in proptest::collection::vec(0_u32..40, 0..12),
        max_size in proptest::option::of(1_u64..600),
    ) {
        let options = LogOptions { max_size, max_file: 1000, keep: true };
        let output: Vec<_> = { chunks.into_iter() }
            .map(|(error, text)| (if error { ERR } else { OUT }, text))
            .collect();
        let expected = undisturbed(&options, output.iter().cloned());
        let mut container = Container::new(options);
        let mut rest = output.into_iter();
        for kill in kills {
            container.supervise(kill, &mut rest);
            container.follow();
        }
        container.supervise(u32::MAX, &mut rest);
        // One that had ended is not asked again for the last words of its first end.
        container.follow();
        let joined = |records: &[(Stream, String)], stream| -> String {
            let of_stream = records.iter().filter(|(of, _)| *of == stream);
            of_stream.map(|(_, text)| text.as_str()).collect()
        };
        for stream in [OUT, ERR] {
            prop_assert_eq!(joined(&container.seen, stream), joined(&expected, stream));
        }
    }
}
