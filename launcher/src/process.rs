//! The program that a pipeline ends in: `execve(2)` with the container's own environment.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

use crate::sys::{CStrings, execve};

/// Where a command is searched when the environment has no `PATH`: as Docker's default.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program with its arguments and its environment.
#[derive(Debug, Clone, Default)]
pub struct Process {
    argv: Vec<CString>,
    env: Vec<CString>,
    init: bool,
}

/// Why a process cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no command.
    #[error("no command given")]
    Empty,
    /// An argument or a variable holds a NUL byte.
    #[error("{0:?} holds a NUL byte")]
    Nul(String),
    /// No such file in the container, or not in any directory of its `PATH`.
    #[error("exec {command:?}: not found in the container")]
    NotFound {
        /// The command as given.
        command: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The kernel refused to execute the file.
    #[error("exec {command:?}")]
    Exec {
        /// The command as given.
        command: String,
        /// The kernel's answer: see `execve(2)`.
        #[source]
        source: Errno,
    },
}

impl Process {
    /// A program by its arguments, the first of which is the command, and `KEY=VALUE` variables.
    ///
    /// # Errors
    /// [`ProcessError::Empty`] and [`ProcessError::Nul`].
    pub fn new<A, E>(argv: A, env: E) -> Result<Self, ProcessError>
    where
        A: IntoIterator<Item: Into<Vec<u8>>>,
        E: IntoIterator<Item: Into<Vec<u8>>>,
    {
        let argv = argv
            .into_iter()
            .map(c_string)
            .collect::<Result<Vec<_>, _>>()?;
        let env = env
            .into_iter()
            .map(c_string)
            .collect::<Result<Vec<_>, _>>()?;
        if argv.first().is_none_or(|command| command.is_empty()) {
            return Err(ProcessError::Empty);
        }
        Ok(Self {
            argv,
            env,
            init: false,
        })
    }

    /// The same program, below an init that forwards signals to it and reaps.
    #[must_use]
    pub fn with_init(self) -> Self {
        Self { init: true, ..self }
    }

    pub(crate) fn has_init(&self) -> bool {
        self.init
    }

    /// The value of a variable of the program's environment.
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        self.env.iter().rev().find_map(|entry| {
            entry
                .to_bytes()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")
        })
    }

    /// Sets a variable that is not set yet: what is known only in the container, such as `HOME`.
    ///
    /// # Errors
    /// [`ProcessError::Nul`].
    pub fn set_default_variable(&mut self, name: &str, value: &OsStr) -> Result<(), ProcessError> {
        if self.variable(name).is_none() {
            let mut entry = format!("{name}=").into_bytes();
            entry.extend_from_slice(value.as_bytes());
            self.env.push(c_string(entry)?);
        }
        Ok(())
    }

    /// Replaces this process by the program. A command without a slash is searched in the
    /// container's `PATH`, as `execvp(3)` does.
    ///
    /// # Errors
    /// [`ProcessError::NotFound`], or [`ProcessError::Exec`] when a file was found and refused.
    pub fn exec(&self) -> Result<Infallible, ProcessError> {
        let Some(command) = self.argv.first() else {
            return Err(ProcessError::Empty);
        };
        let name = || command.to_string_lossy().into_owned();
        let argv = CStrings::new(&self.argv);
        let env = CStrings::new(&self.env);
        let mut refused = None;
        for path in self.candidates(command) {
            match execve(&path, &argv, &env) {
                Errno::NOENT | Errno::NOTDIR => {}
                errno => {
                    // The name may be right in a later directory; keep the first refusal.
                    refused.get_or_insert(errno);
                }
            }
        }
        match refused {
            Some(source) => Err(ProcessError::Exec {
                command: name(),
                source,
            }),
            None => Err(ProcessError::NotFound {
                command: name(),
                source: Errno::NOENT,
            }),
        }
    }

    fn candidates(&self, command: &CStr) -> Vec<CString> {
        if command.to_bytes().contains(&b'/') {
            return vec![command.to_owned()];
        }
        let path = self.variable("PATH").unwrap_or(DEFAULT_PATH.as_bytes());
        path.split(|&byte| byte == b':')
            .filter_map(|dir| {
                let dir = if dir.is_empty() { b"." } else { dir };
                CString::new([dir, b"/", command.to_bytes()].concat()).ok()
            })
            .collect()
    }
}

fn c_string(bytes: impl Into<Vec<u8>>) -> Result<CString, ProcessError> {
    CString::new(bytes)
        .map_err(|error| ProcessError::Nul(String::from_utf8_lossy(&error.into_vec()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_command_is_searched_in_the_containers_path() {
        let process = Process::new(["ls"], ["PATH=/a::/b"]).unwrap();
        let found: Vec<_> = process
            .candidates(c"ls")
            .into_iter()
            .map(|path| path.into_string().unwrap())
            .collect();
        assert_eq!(found, ["/a/ls", "./ls", "/b/ls"]);
        assert_eq!(process.candidates(c"./ls").len(), 1);
    }

    #[test]
    fn the_last_value_of_a_variable_counts_and_a_default_does_not_replace_it() {
        let mut process = Process::new(["x"], ["A=1", "A=2", "AB=3"]).unwrap();
        process.set_default_variable("A", "9".as_ref()).unwrap();
        process
            .set_default_variable("HOME", "/root".as_ref())
            .unwrap();
        assert_eq!(process.variable("A"), Some(&b"2"[..]));
        assert_eq!(process.variable("HOME"), Some(&b"/root"[..]));
    }

    #[test]
    fn an_empty_command_and_a_nul_byte_are_refused() {
        assert!(matches!(
            Process::new::<[&str; 0], [&str; 0]>([], []),
            Err(ProcessError::Empty)
        ));
        assert!(matches!(
            Process::new([""], [""; 0]),
            Err(ProcessError::Empty)
        ));
        assert!(matches!(
            Process::new(["a\0b"], [""; 0]),
            Err(ProcessError::Nul(_))
        ));
    }
}
