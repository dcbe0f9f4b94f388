//! `newuidmap(1)` and `newgidmap(1)`: set-user-id programs that write a map for a user who
//! may not, within what `/etc/subuid` and `/etc/subgid` grant.

use std::process::Command;

use rustix::io::Errno;
use rustix::process::Pid;

use super::IdMapping;
use crate::Error;

pub(super) fn run(program: &'static str, pid: Pid, map: &[IdMapping]) -> Result<(), Error> {
    let mut command = Command::new(program);
    // They have more rights than the caller: nothing of its environment is their business but
    // where they are. Their words are English then, too.
    command.env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.arg(pid.as_raw_nonzero().to_string());
    for line in map {
        command.args([line.container_id, line.host_id, line.size].map(|id| id.to_string()));
    }
    let output = command.output().map_err(|error| Error::RunMapHelper {
        program,
        source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::MapHelperRefused { program, message })
}
