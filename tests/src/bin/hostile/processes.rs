//! Other processes of the host.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::{io, mem};

use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, test_kill_process,
};

use crate::{Attack, Attempt, Denied, attack, number, word};

pub(crate) const ATTACKS: &[Attack] = &[
    attack("kill", kill),
    attack("read-environ", read_environ),
    attack("read-by-proc-root", read_by_proc_root),
    attack("ptrace", ptrace),
    attack("process-vm-readv", process_vm_readv),
    attack("pidfd-getfd", steal_descriptor),
    attack("write-runtime", write_runtime),
    attack("leaked-descriptors", leaked_descriptors),
];

fn pid(words: &[String]) -> Result<Pid, Denied> {
    Pid::from_raw(number(words, 0)?).ok_or_else(|| Denied::of("no process id"))
}

/// Signal 0: only whether it might.
fn kill(words: &[String]) -> Attempt {
    test_kill_process(pid(words)?)?;
    Ok("may be killed".into())
}

fn read_environ(words: &[String]) -> Attempt {
    let environ = fs::read(format!("/proc/{}/environ", pid(words)?.as_raw_nonzero()))?;
    Ok(format!("{} bytes of its environment", environ.len()))
}

/// The host's files, by the root of one of its processes.
fn read_by_proc_root(words: &[String]) -> Attempt {
    let pid = pid(words)?.as_raw_nonzero();
    let text = fs::read_to_string(format!("/proc/{pid}/root/{}", word(words, 1)?))?;
    Ok(format!("read {:?}", text.trim()))
}

/// Attaches, without stopping it; the end of this process lets go of it.
fn ptrace(words: &[String]) -> Attempt {
    let pid = pid(words)?.as_raw_nonzero().get();
    // SAFETY: PTRACE_SEIZE takes numbers alone.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) };
    if seized < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok("attached".into())
}

/// Reads where there is no memory: that is found out when everything else is permitted.
fn process_vm_readv(words: &[String]) -> Attempt {
    let pid = pid(words)?.as_raw_nonzero().get();
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    // SAFETY: an iovec of zeroes is one: a null pointer.
    let mut remote: libc::iovec = unsafe { mem::zeroed() };
    remote.iov_len = 1;
    // SAFETY: `local` is one byte of this function; `remote` is no memory of this process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if read < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok("read its memory".into())
}

fn steal_descriptor(words: &[String]) -> Attempt {
    let process = pidfd_open(pid(words)?, PidfdFlags::empty())?;
    let stolen: OwnedFd = pidfd_getfd(&process, 0, PidfdGetfdFlags::empty())?;
    Ok(format!("its descriptor 0 is {} here", stolen.as_raw_fd()))
}

/// Overwrites the program of process 1, which with `--init` is a copy of Coop (CVE-2019-5736).
fn write_runtime(_: &[String]) -> Attempt {
    File::options().write(true).open("/proc/1/exe")?;
    Ok("open for writing".into())
}

/// Descriptors besides the standard ones, which somebody has forgotten to close.
fn leaked_descriptors(_: &[String]) -> Attempt {
    let mut leaked = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number: i32 = name.parse().unwrap_or(-1);
        let target = fs::read_link(&path).unwrap_or_default();
        // The listing's own descriptor is one, too.
        let own = target.to_string_lossy().ends_with("/fd");
        if number > 2 && !own {
            leaked.push(format!("{number}: {}", target.display()));
        }
    }
    if leaked.is_empty() {
        return Err(Denied::of("none there"));
    }
    Ok(leaked.join(", "))
}
