//! What a workload calls, written down as a profile.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use coop_launcher::session::{Session, SessionEnd};
use coop_launcher::{Pipeline, Process};
use coop_seccomp::{Filter, Recorded};

use super::oversee::Overseeing;
use crate::args::RecordArgs;
use crate::stage::{Confining, NoNewPrivileges, Overseer, Seccomp};

/// A process that takes notes of what others call, until the last of them has ended.
pub(in crate::command) struct Recorder(Overseeing);

impl Recorder {
    /// Starts it. Without `output` the profile goes to standard output.
    pub(in crate::command) fn start(output: Option<&Path>) -> Result<Self> {
        if let Some(path) = output {
            // Now, and not when the work is done.
            try_to_write(path).with_context(|| format!("write {}", path.display()))?;
        }
        Overseeing::start(|socket| take_notes(socket, output)).map(Self)
    }

    /// Where containers hand over.
    pub(in crate::command) fn overseer(&self) -> Overseer {
        Overseer::Recorder(Rc::clone(&self.0.socket))
    }

    /// Waits until the notes are written. Nobody else must have the socket any more.
    pub(in crate::command) fn finish(self) -> Result<()> {
        if !self.0.finish()? {
            bail!("the profile was not written");
        }
        Ok(())
    }

    /// Writes nothing: the command was never started, and the notes are of Coop's own attempt.
    pub(in crate::command) fn discard(self) -> Result<()> {
        self.0.kill()
    }
}

/// Whether the file can be written; it is as it was afterwards.
fn try_to_write(path: &Path) -> std::io::Result<()> {
    let mut file = fs::File::options();
    match file.write(true).create_new(true).open(path) {
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::File::options().append(true).open(path).map(drop)
        }
        Err(error) => Err(error),
    }
}

fn take_notes(socket: &OwnedFd, output: Option<&Path>) -> Result<()> {
    let recorded = coop_seccomp::Recorder::new(socket)
        .run()
        .context("take notes of system calls")?;
    if recorded.is_empty() {
        // It was never started; whoever tried to has said why.
        return Ok(());
    }
    for (arch, number) in &recorded.unnamed {
        log::warn!("system call {number} of {arch} has no name, and is not in the profile");
    }
    let text = text(&recorded)?;
    match output {
        Some(path) => write(path, &text).with_context(|| format!("write {}", path.display())),
        None => crate::ui::print(&text),
    }
}

fn text(recorded: &Recorded) -> Result<String> {
    let profile = recorded.profile();
    Ok(serde_json::to_string_pretty(&profile).context("write the profile")? + "\n")
}

/// All of it or nothing, where that can be: `/dev/stdout` cannot be replaced.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::File::options()
            .append(true)
            .open(path)?
            .write_all(text.as_bytes());
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // A new file: in a directory of everyone's, such as /tmp, somebody may have put a link there.
    let mut file = fs::File::options()
        .write(true)
        .create_new(true)
        .open(&temporary)?;
    let written = file.write_all(text.as_bytes());
    let written = written.and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// `coop seccomp record`.
pub(super) fn record(args: &RecordArgs) -> Result<i32> {
    let recorder = Recorder::start(args.output.as_deref())?;
    let env = std::env::vars_os().map(|(name, value)| {
        let mut entry = name.into_encoded_bytes();
        entry.push(b'=');
        entry.extend(value.into_encoded_bytes());
        entry
    });
    let process = Process::new(args.command.iter().map(String::as_str), env)?;
    let session = Session::new()?;
    let mut pipeline = Pipeline::new(process);
    if !rustix::process::geteuid().is_root() {
        pipeline = pipeline.stage(NoNewPrivileges);
    }
    let recording = Confining::of(Some(&recorder.overseer()), &Filter::Unconfined);
    let started = pipeline
        .stage(Seccomp::last(recording))
        .clone_child(None)
        .and_then(|mut cloned| {
            cloned.attach()?;
            cloned.finish()?.start()
        });
    let pidfd = match started {
        Ok(pidfd) => pidfd,
        Err(error) => {
            let code = error.exit_code();
            crate::ui::error(&error.into());
            recorder.discard()?;
            return Ok(code);
        }
    };
    let code = match session.run(&pidfd).context("wait for the command")? {
        SessionEnd::Ended(status) => status.code(),
        SessionEnd::Detached(_) => 0,
    };
    recorder.finish()?;
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_replaces_a_file_and_follows_no_link_on_its_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("p.json");
        fs::write(&path, "before").unwrap();
        write(&path, "text").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");

        let victim = directory.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let temporary = format!("p.json.{}", std::process::id());
        std::os::unix::fs::symlink(&victim, directory.path().join(temporary)).unwrap();
        assert_eq!(
            write(&path, "other").unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
    }
}
