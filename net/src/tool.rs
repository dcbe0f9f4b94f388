//! Running `ip` and `nft`: found at fixed places, fed and heard through descriptors
//! that cannot deadlock with a forked child.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::fs::{Access, MemfdFlags, access, memfd_create};

use crate::error::{Error, errno};
use crate::sys;

/// Where tools are looked for. The caller's PATH has no say in what runs as root.
const PATH: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A tool and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    package: &'static str,
}

pub(crate) const IP: Tool = Tool {
    name: "ip",
    package: "iproute2",
};
pub(crate) const NFT: Tool = Tool {
    name: "nft",
    package: "nftables",
};

pub(crate) const TC: Tool = Tool {
    name: "tc",
    package: "iproute2",
};
pub(crate) const PASTA: Tool = Tool {
    name: "pasta",
    package: "passt",
};
pub(crate) const SLIRP4NETNS: Tool = Tool {
    name: "slirp4netns",
    package: "slirp4netns",
};

/// A tool at work.
#[derive(Debug)]
pub(crate) struct Running {
    tool: Tool,
    child: Child,
    errors: File,
    reaped: bool,
}

impl Tool {
    /// Where the tool is.
    pub(crate) fn find(self) -> Result<PathBuf, Error> {
        PATH.iter()
            .map(|directory| PathBuf::from(directory).join(self.name))
            .find(|path| access(path, Access::EXEC_OK).is_ok())
            .ok_or(Error::MissingTool {
                tool: self.name,
                package: self.package,
            })
    }

    /// Starts the tool. It gets no environment of ours.
    pub(crate) fn start(
        self,
        arguments: &[&str],
        stdin: Stdio,
        stdout: Stdio,
    ) -> Result<Running, Error> {
        self.start_keeping(arguments, stdin, stdout, Vec::new())
    }

    /// Starts the tool, and lets it hold further descriptors for as long as it runs.
    pub(crate) fn start_keeping(
        self,
        arguments: &[&str],
        stdin: Stdio,
        stdout: Stdio,
        kept: Vec<OwnedFd>,
    ) -> Result<Running, Error> {
        let path = self.find()?;
        // A memory file and not a pipe: it never fills up, and its end does not depend
        // on a container's process that inherited a copy of the write end.
        let errors = memory_file("errors").map_err(self.failed("start"))?;
        let stderr = errors.try_clone().map_err(self.failed("start"))?;
        let mut command = Command::new(path);
        if !kept.is_empty() {
            sys::keep_on_exec(&mut command, kept);
        }
        let child = command
            .args(arguments)
            // Ctrl-C is for us, who have to finish or undo what the tool is at.
            .process_group(0)
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(self.failed("start"))?;
        Ok(Running {
            tool: self,
            child,
            errors,
            reaped: false,
        })
    }

    /// Runs the tool and gives what it printed; `Err` of the inner result as with
    /// [`Running::wait`].
    pub(crate) fn output(self, arguments: &[&str]) -> Result<Result<String, String>, Error> {
        let mut file = memory_file("output").map_err(self.failed("start"))?;
        let stdout = file.try_clone().map_err(self.failed("start"))?;
        let running = self.start(arguments, Stdio::null(), Stdio::from(stdout))?;
        if let Err(message) = running.wait()? {
            return Ok(Err(message));
        }
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(self.failed("hear"))?;
        Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// For `map_err`.
    pub(crate) fn failed(self, operation: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        move |error| Error::Tool {
            operation,
            tool: self.name,
            source: errno(&error),
        }
    }
}

/// Looks for the tools that a network is made with: better before anything is made.
///
/// # Errors
/// [`Error::MissingTool`].
pub fn find_tools() -> Result<(), Error> {
    [IP, NFT]
        .into_iter()
        .try_for_each(|tool| tool.find().map(drop))
}

impl Running {
    /// Waits for the tool; `Err` of the outer result when that fails, of the inner one
    /// with what it printed when the tool did.
    pub(crate) fn wait(mut self) -> Result<Result<(), String>, Error> {
        self.reaped = true;
        let status = self.child.wait().map_err(self.tool.failed("wait for"))?;
        if status.success() {
            return Ok(Ok(()));
        }
        Ok(Err(self.complaint(status)))
    }

    fn complaint(&mut self, status: ExitStatus) -> String {
        let mut bytes = Vec::new();
        let read = self
            .errors
            .rewind()
            .and_then(|()| self.errors.read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        match read {
            Ok(_) if !text.is_empty() => text,
            _ => format!("{status}, and not a word"),
        }
    }
}

impl Drop for Running {
    /// Leaves no zombie when nobody waits: the tool ends by itself once its input does.
    fn drop(&mut self) {
        if !self.reaped
            && let Err(error) = self.child.wait()
        {
            log::debug!("waiting for {}: {error}", self.tool.name);
        }
    }
}

/// A file in memory, closed on exec.
pub(crate) fn memory_file(name: &str) -> std::io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// A file in memory with `text` in it, to be read from the start.
pub(crate) fn memory_text(text: &str) -> std::io::Result<File> {
    let mut file = memory_file("input")?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_names_its_package() {
        let tool = Tool {
            name: "no-such-tool",
            package: "some-package",
        };
        let error = tool.start(&[], Stdio::null(), Stdio::null()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no-such-tool is not installed: install the package some-package (name on Debian)"
        );
    }

    #[test]
    fn a_failing_tool_is_quoted() {
        let running = NFT
            .start(&["--no-such-option"], Stdio::null(), Stdio::null())
            .unwrap();
        let message = running.wait().unwrap().unwrap_err();
        assert!(message.contains("no-such-option"), "{message}");
    }
}
