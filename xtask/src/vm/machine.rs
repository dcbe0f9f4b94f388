//! A virtual machine that runs: its lines are passed on as they come, and it is ended when it
//! hangs, panics or takes too long.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;

/// How long a guest may be silent, and how long it may take as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) silence: Duration,
    pub(crate) whole: Duration,
}

/// Why a machine is no more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was switched off from inside.
    Off,
    /// Its kernel panicked; the kernel's words.
    Panic(String),
    /// It was silent for too long, and has been ended.
    Silent,
    /// It took too long as a whole, and has been ended.
    TooLong,
    /// The program that emulates it failed; its words.
    Broken(String),
}

/// A machine whose console is in a file.
pub(crate) struct Machine {
    child: Child,
    console: PathBuf,
    /// What the program that emulates it says; without a name, so that it goes with us.
    errors: File,
}

impl Machine {
    /// Starts `command`, whose standard output is the guest's second serial port.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, console: &Path) -> Result<Self> {
        let errors = File::from(memfd_create(c"errors", MemfdFlags::CLOEXEC)?);
        ends_with_this_process(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self {
            child,
            console: console.to_path_buf(),
            errors,
        })
    }

    /// Passes on each line to `hear`, until the machine is off or has to be ended.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub(crate) fn watch(mut self, limits: Limits, mut hear: impl FnMut(&str)) -> Result<End> {
        let output = self.child.stdout.take().context("no output")?;
        let (sender, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let start = Instant::now();
        let mut last = (Instant::now(), 0);
        let end = loop {
            match lines.recv_timeout(Duration::from_millis(500)) {
                Ok(line) => {
                    last.0 = Instant::now();
                    hear(String::from_utf8_lossy(&line).trim_end_matches('\r'));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait().context("wait for the machine")?;
                    break self.after(status);
                }
                Err(RecvTimeoutError::Timeout) => {
                    // What it writes to the console is a sign of life too.
                    let length = fs::metadata(&self.console).map_or(0, |it| it.len());
                    if length != last.1 {
                        last = (Instant::now(), length);
                    }
                }
            }
            if last.0.elapsed() > limits.silence {
                break self.kill(End::Silent)?;
            }
            if start.elapsed() > limits.whole {
                break self.kill(End::TooLong)?;
            }
        };
        let _ = reader.join();
        Ok(end)
    }

    /// Ends the machine, unless its kernel had panicked, which explains its silence.
    fn kill(&mut self, why: End) -> Result<End> {
        self.child.kill().context("end the machine")?;
        self.child.wait().context("wait for the machine")?;
        Ok(self.panic().map_or(why, End::Panic))
    }

    fn after(&mut self, status: ExitStatus) -> End {
        if let Some(panic) = self.panic() {
            return End::Panic(panic);
        }
        if status.success() {
            return End::Off;
        }
        let how = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => status.to_string(),
        };
        let mut words = String::new();
        // Without them, the status has to do.
        let _ = self.errors.rewind();
        let _ = self.errors.read_to_string(&mut words);
        End::Broken(format!("{how}\n{}", words.trim_end()))
    }

    /// What the kernel said when it panicked.
    fn panic(&self) -> Option<String> {
        let console = fs::read(&self.console).ok()?;
        let console = String::from_utf8_lossy(&console);
        let line = console.lines().find(|line| line.contains("Kernel panic"))?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It is gone already, unless an error came between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// However this process ends, no machine outlives it. Ctrl-C reaches both anyhow.
pub(crate) fn ends_with_this_process(command: &mut Command) {
    let ask = || {
        Ok(rustix::process::set_parent_process_death_signal(Some(
            Signal::KILL,
        ))?)
    };
    // SAFETY: one system call.
    unsafe { command.pre_exec(ask) };
}

/// The last lines of the file at `path`.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let content = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let all: Vec<_> = text.lines().map(str::trim_end).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `script` in place of QEMU, with the console at `$1`.
    fn imitation(script: &str, limits: Limits) -> (End, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let console = directory.path().join("console.log");
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&console);
        let mut heard = Vec::new();
        let machine = Machine::start(command, &console).unwrap();
        let end = machine.watch(limits, |line| heard.push(line.to_owned()));
        (end.unwrap(), heard)
    }

    const PATIENT: Limits = Limits {
        silence: Duration::from_secs(60),
        whole: Duration::from_secs(60),
    };

    const IMPATIENT: Limits = Limits {
        silence: Duration::from_millis(700),
        whole: Duration::from_secs(60),
    };

    #[test]
    fn lines_are_passed_on_until_the_machine_is_off() {
        let (end, heard) = imitation("printf 'one\\r\\ntwo\\n'", PATIENT);
        assert_eq!((end, heard), (End::Off, vec!["one".into(), "two".into()]));
    }

    #[test]
    fn a_machine_that_says_nothing_more_is_ended() {
        let (end, heard) = imitation("echo one; exec sleep 1000", IMPATIENT);
        assert_eq!((end, heard), (End::Silent, vec!["one".into()]));
    }

    #[test]
    fn a_machine_that_never_comes_to_an_end_is_ended() {
        let limits = Limits {
            whole: Duration::from_millis(700),
            ..PATIENT
        };
        let (end, _) = imitation("while sleep 0.1; do echo x; done", limits);
        assert_eq!(end, End::TooLong);
    }

    #[test]
    fn a_panic_is_told_from_silence_and_from_switching_off() {
        let panic = "echo '[ 1.0] Kernel panic - not syncing: oops' > $1";
        let words = "[ 1.0] Kernel panic - not syncing: oops".to_owned();
        let (end, _) = imitation(panic, PATIENT);
        assert_eq!(end, End::Panic(words.clone()));
        let (end, _) = imitation(&format!("{panic}; exec sleep 1000"), IMPATIENT);
        assert_eq!(end, End::Panic(words));
    }

    #[test]
    fn a_machine_that_does_not_start_says_why() {
        let (end, _) = imitation("echo no such disk >&2; exit 1", PATIENT);
        let End::Broken(words) = end else {
            panic!("{end:?}")
        };
        assert!(words.contains("no such disk"), "{words}");
    }

    #[test]
    fn the_end_of_a_console_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, "1\r\n2\r\n3\r\n").unwrap();
        assert_eq!(tail(&path, 2), "2\n3");
        assert_eq!(tail(&path, 9), "1\n2\n3");
    }
}
