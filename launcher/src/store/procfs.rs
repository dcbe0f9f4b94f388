//! Telling a process from another that got its number later.

use std::path::Path;

use coop_ns::ExitStatus;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, read, retry_on_intr};
use rustix::process::Pid;

use super::StoreError;

/// What `/proc/PID/stat` says that never changes in a process's life, and whether it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcStat {
    /// Field 3: `R`, `S`, `Z`...
    pub state: u8,
    /// Field 22: clock ticks between the boot and the start of the process. Together with
    /// the boot id and the pid it names one process for ever.
    pub start_time: u64,
    /// Field 52: how it ended, in the encoding of `wait(2)`. 0 while it runs.
    pub exit_code: Option<i32>,
}

impl ProcStat {
    /// Reads `/proc/PID/stat`; `None` when there is no such process.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read for another reason, [`StoreError::Proc`] when the
    /// content is not as `proc_pid_stat(5)` says.
    pub fn of(pid: Pid) -> Result<Option<Self>, StoreError> {
        let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
        let path = Path::new(&path);
        match read_once(path) {
            Ok(stat) => Self::parse(&stat)
                .map(Some)
                .ok_or_else(|| StoreError::Proc {
                    path: path.to_owned(),
                }),
            // ESRCH: it went away between the open and the read.
            Err(Errno::NOENT | Errno::SRCH) => Ok(None),
            Err(errno) => Err(StoreError::io("read", path)(errno)),
        }
    }

    /// Whether the process has ended and only waits to be reaped.
    pub fn has_ended(self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// How it ended, when it waits to be reaped.
    pub fn exit_status(self) -> Option<ExitStatus> {
        let code = self.exit_code.filter(|_| self.has_ended())?;
        Some(match code & 0x7f {
            0 => ExitStatus::Exited((code >> 8) & 0xff),
            signal => ExitStatus::Signaled(signal),
        })
    }

    pub(crate) fn parse(stat: &[u8]) -> Option<Self> {
        // Field 2 is the program's name in brackets, and the program chooses its name:
        // ") Z 1" is possible. No later field has a bracket, so the last one ends it.
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let mut fields = stat[name_end + 1..].split(u8::is_ascii_whitespace).skip(1);
        let state = *fields.next()?.first()?;
        // The next is field 4; 22 is 18 further.
        let start_time = std::str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
        let exit_code = fields
            .nth(29)
            .and_then(|field| std::str::from_utf8(field).ok());
        Some(Self {
            state,
            start_time,
            exit_code: exit_code.and_then(|field| field.parse().ok()),
        })
    }
}

/// The kernel's random id of this boot, `/proc/sys/kernel/random/boot_id`: see random(4).
///
/// # Errors
/// [`StoreError::Io`] when /proc is not mounted.
pub fn boot_id() -> Result<String, StoreError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let bytes = read_once(path).map_err(StoreError::io("read", path))?;
    let text = String::from_utf8(bytes).map_err(|_| StoreError::Proc {
        path: path.to_owned(),
    })?;
    Ok(text.trim_end().to_owned())
}

/// A file of one line below /proc: the kernel makes all of it at the first read. Three system
/// calls, where the standard library, not knowing the length, needs nine.
fn read_once(path: &Path) -> Result<Vec<u8>, Errno> {
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut line = [0; 1024];
    let length = retry_on_intr(|| read(&file, &mut line))?;
    Ok(line[..length].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_names_itself_like_a_stat_line_does_not_fool_us() {
        let line = b"7 (a) Z 1 (b) ) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1\n";
        assert_eq!(
            ProcStat::parse(line),
            Some(ProcStat {
                state: b'S',
                start_time: 4242,
                exit_code: None,
            })
        );
        for torn in [&b""[..], b"7 (a", b"7 (a)", b"7 (a) S", b"7 (a) S 1 2 3"] {
            assert_eq!(ProcStat::parse(torn), None);
        }
    }

    #[test]
    fn a_zombie_has_ended_and_a_reaped_process_is_gone() {
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let alive = ProcStat::of(pid).unwrap().unwrap();
        assert!(!alive.has_ended());
        child.kill().unwrap();
        // Wait for the end without reaping.
        rustix::process::waitid(
            rustix::process::WaitId::Pid(pid),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        let zombie = ProcStat::of(pid).unwrap().unwrap();
        assert!(zombie.has_ended());
        assert_eq!(zombie.start_time, alive.start_time);
        assert_eq!(alive.exit_status(), None);
        assert_eq!(zombie.exit_status(), Some(ExitStatus::Signaled(9)));
        child.wait().unwrap();
        assert_eq!(ProcStat::of(pid).unwrap(), None);
    }

    #[test]
    fn the_boot_id_is_a_uuid() {
        let id = boot_id().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(id, boot_id().unwrap());
    }
}
