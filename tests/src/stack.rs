//! Stacks: a stack file, and the commands on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::{Cmd, Host, Output, wait_until};

/// A stack file on a [`Host`].
pub struct Stack<'h> {
    host: &'h Host,
    file: PathBuf,
}

impl<'h> Stack<'h> {
    pub(crate) fn new(host: &'h Host, file: PathBuf) -> Self {
        Self { host, file }
    }

    /// The stack file at `file`, which lies outside of the host's directory.
    pub fn at(host: &'h Host, file: impl Into<PathBuf>) -> Self {
        Self::new(host, file.into())
    }

    /// The stack file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// `coop VERB --file FILE`, to which arguments can be added.
    ///
    /// The long option, because `logs -f` follows.
    pub fn coop(&self, verb: &str) -> Cmd<'h> {
        self.host.coop(self.words(verb))
    }

    /// [`Stack::coop`] by the `coop` with fault injection, when there is one.
    pub fn coop_with_faults(&self, verb: &str) -> Option<Cmd<'h>> {
        self.host.coop_with_faults(self.words(verb))
    }

    fn words<'s>(&'s self, verb: &'s str) -> [&'s OsStr; 3] {
        [
            OsStr::new(verb),
            OsStr::new("--file"),
            self.file.as_os_str(),
        ]
    }

    /// `up -d`, which has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn up(&self) -> Output {
        let output = self.coop("up").arg("-d").run();
        output.success();
        output
    }

    /// `down`, which has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn down(&self) -> Output {
        let output = self.coop("down").run();
        output.success();
        output
    }

    /// What a command in a service's container prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn exec(&self, service: &str, script: &str) -> String {
        let output = self
            .coop("exec")
            .args([service, "/bin/sh", "-c", script])
            .run();
        output.success().text().to_owned()
    }

    /// What a service's container has written.
    ///
    /// # Panics
    /// When `logs` fails.
    #[track_caller]
    pub fn logs(&self, service: &str) -> String {
        let output = self.coop("logs").arg(service).run();
        output.success().text().to_owned()
    }

    /// Waits until a service's container has written `text`.
    ///
    /// # Panics
    /// When it does not for too long.
    #[track_caller]
    pub fn wait_for_log(&self, service: &str, text: &str) {
        wait_until(&format!("{service} writes {text:?}"), || {
            self.logs(service).contains(text)
        });
    }
}
