//! A stream whose bytes are counted.

use std::io::{Read, Result, Write};

/// A reader or writer that knows how much went through it.
pub(super) struct Counted<T> {
    inner: T,
    bytes: u64,
}

impl<T> Counted<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, bytes: 0 }
    }

    /// What is counted.
    pub(super) fn inner(&self) -> &T {
        &self.inner
    }

    /// So far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.inner.flush()
    }
}
