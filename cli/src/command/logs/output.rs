//! Records on their way to the user.

use std::collections::BTreeSet;

use anyhow::Result;
use coop_launcher::logs::{Printer, Record, Stream};

use crate::ui::print_bytes;

/// Bytes that are written at once.
const BLOCK: usize = 64 * 1024;

/// Where records go: each stream to its own, or all to standard output.
pub(super) struct Output {
    stdout: Printer,
    /// None: all goes to standard output.
    stderr: Option<Printer>,
    /// What is not written yet, all for `stream`.
    buffer: Vec<u8>,
    stream: Stream,
    ends_in_line: bool,
    /// Containers of which nothing is shown.
    silent: BTreeSet<usize>,
}

impl Output {
    /// Standard error to standard error; both printers know the same containers.
    pub(super) fn split([stdout, stderr]: [Printer; 2]) -> Self {
        Self {
            stderr: Some(stderr),
            ..Self::merged(stdout)
        }
    }

    /// Everything to standard output.
    pub(super) fn merged(stdout: Printer) -> Self {
        Self {
            stdout,
            stderr: None,
            buffer: Vec::new(),
            stream: Stream::Stdout,
            ends_in_line: true,
            silent: BTreeSet::new(),
        }
    }

    /// Shows nothing of this container.
    pub(super) fn silence(&mut self, index: usize) {
        self.silent.insert(index);
    }

    /// Takes a record of the container that the printers know by this number.
    pub(super) fn print(&mut self, index: usize, record: &Record) -> Result<()> {
        if self.silent.contains(&index) {
            return Ok(());
        }
        let stream = if self.stderr.is_some() {
            record.stream
        } else {
            Stream::Stdout
        };
        if stream != self.stream || self.buffer.len() > BLOCK {
            // The order of the lines holds also where both streams go to one place.
            self.flush()?;
        }
        self.stream = stream;
        self.ends_in_line = record.log.ends_with('\n');
        let printer = match (stream, &mut self.stderr) {
            (Stream::Stderr, Some(stderr)) => stderr,
            _ => &mut self.stdout,
        };
        printer.print_record(index, record, &mut self.buffer);
        Ok(())
    }

    /// Writes what has been taken.
    pub(super) fn flush(&mut self) -> Result<()> {
        print_bytes(self.stream, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the rest. With names before the lines, the last one ends; bare output stays as
    /// it is.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.stderr.is_none() && !self.ends_in_line {
            self.buffer.push(b'\n');
        }
        self.flush()
    }
}
