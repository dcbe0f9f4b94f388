//! Commands that a test runs on its host.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::running::{Pipes, Running};
use crate::{Host, Output};

/// A command to be run on a [`Host`], built like [`std::process::Command`].
pub struct Cmd<'h> {
    host: &'h Host,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    input: Input,
    user: Option<u32>,
    timeout: Duration,
}

/// What a command reads on standard input.
enum Input {
    Nothing,
    Bytes(Vec<u8>),
    Open,
}

impl<'h> Cmd<'h> {
    pub(crate) fn new(host: &'h Host, program: PathBuf) -> Self {
        Self {
            host,
            program,
            args: Vec::new(),
            env: Vec::new(),
            cwd: host.work(),
            input: Input::Nothing,
            user: None,
            timeout: patience(),
        }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory; it is [`Host::work`] otherwise.
    pub fn cwd(mut self, directory: &Path) -> Self {
        self.cwd = directory.to_path_buf();
        self
    }

    /// Lets `sh -c SCRIPT` start the command, which is `"$@"` in the script.
    pub fn through_shell(mut self, script: &str) -> Self {
        let program = std::mem::replace(&mut self.program, PathBuf::from("sh"));
        let words = ["-c", script, "sh"].map(OsString::from).into_iter();
        let command =
            std::iter::once(program.into_os_string()).chain(std::mem::take(&mut self.args));
        self.args = words.chain(command).collect();
        self
    }

    /// Gives the command something to read; standard input is empty otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// Keeps standard input open for [`Running::send`].
    pub fn open_stdin(mut self) -> Self {
        self.input = Input::Open;
        self
    }

    /// Runs as an ordinary user, with the group of the same number and no other.
    pub fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Sets how long the command may take before the test gives up on it.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    /// When it cannot be started or takes too long.
    #[track_caller]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts the command.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn(self) -> Running<'h> {
        let line = self.line();
        self.start()
            .unwrap_or_else(|error| panic!("$ {line}\n  {error:#}"))
    }

    /// Starts the command on a terminal of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn pty(self, columns: u16, rows: u16) -> Running<'h> {
        let line = self.line();
        self.start_on_terminal(columns, rows)
            .unwrap_or_else(|error| panic!("$ {line}\n  {error:#}"))
    }

    fn start(self) -> Result<Running<'h>> {
        let mut command = self.command();
        command
            .stdin(if matches!(self.input, Input::Nothing) {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = spawn(&mut command)?;
        let mut stdin = child.stdin.take().map(OwnedFd::from);
        if let Input::Bytes(bytes) = self.input {
            feed(stdin.take().context("no standard input")?, bytes);
        }
        let pipes = Pipes {
            stdin,
            stdout: child.stdout.take().map(OwnedFd::from),
            stderr: child.stderr.take().map(OwnedFd::from),
        };
        let line = command_line(&self.program, &self.args);
        Running::new(self.host, line, child, pipes, self.timeout)
    }

    fn start_on_terminal(self, columns: u16, rows: u16) -> Result<Running<'h>> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).context("allocate a terminal")?;
        rustix::pty::unlockpt(&master)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&master, size)?;
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;

        let mut command = self.command();
        command
            .stdin(terminal.try_clone()?)
            .stdout(terminal.try_clone()?)
            .stderr(terminal);
        let take_terminal = || {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        };
        // SAFETY: the closure only makes system calls.
        unsafe { command.pre_exec(take_terminal) };
        let child = command.spawn().context("cannot start")?;
        // The parent's copies of the terminal go away with it: the last one that the child
        // closes ends the output.
        drop(command);
        let pipes = Pipes {
            stdin: Some(master.try_clone()?),
            stdout: Some(master),
            stderr: None,
        };
        let line = command_line(&self.program, &self.args);
        Running::new(self.host, line, child, pipes, self.timeout)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .current_dir(&self.cwd)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.host.work())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm")
            .env("COOP_ROOT", self.host.coop_root())
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(id) = self.user {
            command.uid(id).gid(id);
        }
        self.host.namespaces().start_inside(&mut command);
        command
    }

    fn line(&self) -> String {
        command_line(&self.program, &self.args)
    }
}

/// How long a command may take: long enough for a busy machine, short enough for a person
/// or a CI job that waits for a hanging one. `COOP_TEST_TIMEOUT` (in seconds) overrides.
pub(crate) fn patience() -> Duration {
    let seconds = std::env::var("COOP_TEST_TIMEOUT")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// Writes in the background, so that a command that answers while it reads does not block.
fn feed(pipe: OwnedFd, bytes: Vec<u8>) {
    std::thread::spawn(move || {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            // The command may stop reading whenever it likes.
            let Ok(written) = rustix::io::write(pipe.as_fd(), rest) else {
                return;
            };
            rest = &rest[written..];
        }
    });
}

/// Starts a program that may be a copy made just now: as long as the child that another
/// test's thread forks meanwhile holds the copy open for writing, it cannot be executed.
fn spawn(command: &mut Command) -> Result<Child> {
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result.context("cannot start"),
        }
    }
    command.spawn().context("cannot start")
}

/// The command as one would type it: the program's name without its directory.
fn command_line(program: &Path, args: &[OsString]) -> String {
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(args.iter().map(OsString::as_os_str));
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_can_be_pasted_into_a_shell() {
        let args = ["run", "--", "sh", "-c", "echo 'a b'"].map(OsString::from);
        let line = command_line(Path::new("/x/coop"), &args);
        assert_eq!(line, r"coop run -- sh -c 'echo '\''a b'\'''");
    }

    #[test]
    fn a_command_reads_its_input_and_tells_how_it_ended() {
        let host = Host::new();
        let output = host
            .tool("sh")
            .args(["-c", "cat; echo oops >&2; exit 3"])
            .stdin("hello")
            .run();
        output.code(3).prints("hello").warns("oops");
    }

    #[test]
    fn a_command_that_hangs_is_killed_and_its_output_shown() {
        let host = Host::new();
        let hanging = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let limit = Duration::from_millis(300);
            host.tool("sh")
                .args(["-c", "echo so far; exec sleep 1000"])
                .timeout(limit)
                .run();
        }));
        let message = *hanging.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("out| so far"), "{message}");
        assert_eq!(host.processes(), [""; 0]);
    }

    #[test]
    fn a_daemon_that_holds_the_callers_pipe_is_found_out() {
        let host = Host::new();
        let holding = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let limit = Duration::from_millis(300);
            host.tool("sh")
                .args(["-c", "sleep 1000 & exit 0"])
                .timeout(limit)
                .run();
        }));
        let message = *holding.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("sleep 1000"), "{message}");
    }

    #[test]
    fn a_terminal_has_a_size_and_takes_keys() {
        let host = Host::new();
        let mut shell = host
            .tool("sh")
            .args(["-c", "stty size; read x; echo got $x"])
            .pty(91, 33);
        shell.wait_for("33 91");
        shell.send("key\n");
        shell.wait().success().says("got key");
    }

    #[test]
    fn an_ordinary_user_has_no_privilege() {
        let host = Host::new();
        let output = host
            .tool("sh")
            .args(["-c", "id -u; id -G"])
            .user(65534)
            .run();
        assert_eq!(output.lines(), ["65534", "65534"]);
    }
}
