//! Writing to the standard streams, with nothing held back.

use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};
use coop_launcher::logs::Stream;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};

/// What a shell makes of a program that `SIGPIPE` ended: 128 and the signal's number.
const BROKEN_PIPE: i32 = 141;

/// Writes an answer to standard output. When nobody reads it any more (`coop ps | head -1`),
/// the program ends quietly, as `SIGPIPE` ends other tools: Rust ignores that signal.
pub(crate) fn print(text: &str) -> Result<()> {
    print_bytes(Stream::Stdout, text.as_bytes())
}

/// As [`fn@print`], to either stream.
pub(crate) fn print_bytes(stream: Stream, bytes: &[u8]) -> Result<()> {
    match write_all(descriptor(stream), bytes) {
        Err(Errno::PIPE) => std::process::exit(BROKEN_PIPE),
        result => result.context(match stream {
            Stream::Stdout => "write to standard output",
            Stream::Stderr => "write to standard error",
        }),
    }
}

/// As [`print_bytes`], where the reader's end is an error like others.
pub(crate) fn try_print_bytes(stream: Stream, bytes: &[u8]) -> Result<(), Errno> {
    write_all(descriptor(stream), bytes)
}

/// Writes all of it, also to a descriptor that a neighbour in the pipeline has made
/// non-blocking.
pub(super) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    let to = to.as_fd();
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&to, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            },
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The process's own descriptor 1 or 2.
pub(super) fn descriptor(stream: Stream) -> BorrowedFd<'static> {
    match stream {
        Stream::Stdout => rustix::stdio::stdout(),
        Stream::Stderr => rustix::stdio::stderr(),
    }
}

/// A standard stream that containers' output goes to. The containers go on when its reader has
/// gone.
#[derive(Debug)]
pub(super) struct Sink {
    stream: Stream,
    open: bool,
}

impl Sink {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, open: true }
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'static> {
        descriptor(self.stream)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.open && write_all(descriptor(self.stream), bytes).is_err() {
            self.open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn everything_is_written_through_a_full_non_blocking_pipe() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let sent = vec![7; 300_000];
        let reading = std::thread::spawn(move || {
            let mut received = Vec::new();
            std::fs::File::from(reader)
                .read_to_end(&mut received)
                .unwrap();
            received
        });
        write_all(&writer, &sent).unwrap();
        drop(writer);
        assert_eq!(reading.join().unwrap(), sent);
    }

    #[test]
    fn a_reader_that_has_gone_is_told() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        assert_eq!(write_all(&writer, b"x"), Err(Errno::PIPE));
    }
}
