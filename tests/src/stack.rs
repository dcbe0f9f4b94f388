//! Stacks: a stack file, and the commands on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::{Cmd, Host, Output, Rootfs, wait_until};

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

impl Host {
    /// The stack `shop` of services on `root`: each one's name, its keys, a line each, and the
    /// script that it runs.
    pub fn services(&self, root: &Rootfs, services: &[(&str, &str, &str)]) -> Stack<'_> {
        let root = root.path().display();
        let services = services.iter().map(|(name, keys, script)| {
            let keys = keys.replace('\n', "\n    ");
            // The shell's variables, not the file's.
            let script = script.replace('$', "$$");
            format!(
                "  {name}:\n    rootfs: {root}\n    stop_grace_period: 0s\n    \
                 command: [/bin/sh, -c, {script:?}]\n    {keys}\n"
            )
        });
        let services: Vec<String> = services.collect();
        self.stack(&format!("name: shop\nservices:\n{}", services.concat()))
    }

    /// A stack of one service, `web`, with these keys and this script.
    pub fn web(&self, root: &Rootfs, keys: &str, script: &str) -> Stack<'_> {
        self.services(root, &[("web", keys, script)])
    }
}
