//! What the guest tells the host, on the second serial port: one event a line, of which the
//! first word is the kind.
//!
//! ```text
//! @ready 6.1.0-50-cloud-amd64
//! @begin run_process
//! | test a_command_reads_its_input ... ok        (a line of the program's output)
//! @end run_process exit 0 12.5                    (or: signal 9, timeout; seconds)
//! @done
//! ```
//!
//! `xtask/src/vm/protocol.rs` reads it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

const PORT: &str = "/dev/ttyS1";

/// The port.
pub(crate) struct Report {
    port: File,
}

impl Report {
    /// Opens the port and takes everything off it that is for people.
    pub(crate) fn open() -> Result<Self> {
        let port = OpenOptions::new()
            .write(true)
            .open(PORT)
            .with_context(|| format!("open {PORT}"))?;
        let mut attributes = tcgetattr(&port).with_context(|| format!("settings of {PORT}"))?;
        attributes.make_raw();
        tcsetattr(&port, OptionalActions::Now, &attributes)
            .with_context(|| format!("settings of {PORT}"))?;
        Ok(Self { port })
    }

    /// The guest has come up.
    pub(crate) fn ready(&mut self) -> Result<()> {
        let kernel = rustix::system::uname();
        self.line(&format!("@ready {}", kernel.release().to_string_lossy()))
    }

    /// A program starts.
    pub(crate) fn begin(&mut self, program: &str) -> Result<()> {
        self.line(&format!("@begin {program}"))
    }

    /// It printed a line.
    pub(crate) fn output(&mut self, line: &str) -> Result<()> {
        self.line(&format!("| {line}"))
    }

    /// It ended.
    pub(crate) fn end(&mut self, program: &str, how: &str, after: Duration) -> Result<()> {
        self.line(&format!("@end {program} {how} {:.1}", after.as_secs_f64()))
    }

    /// All programs have run.
    pub(crate) fn done(&mut self) -> Result<()> {
        self.line("@done")
    }

    fn line(&mut self, text: &str) -> Result<()> {
        // A carriage return would move the cursor, a zero byte would end a string somewhere.
        let clean: String = text
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\t' | '\u{1b}'))
            .collect();
        self.port
            .write_all(format!("{clean}\n").as_bytes())
            .with_context(|| format!("write to {PORT}"))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // The machine goes off a moment later: what is in the port's buffer has to be out.
        let _ = rustix::termios::tcdrain(&self.port);
    }
}
