//! A segment of the host's System V shared memory.

use std::process;

/// Shared memory that everybody in its IPC namespace may open; removed on drop.
#[derive(Debug)]
pub(super) struct Segment {
    key: i32,
    id: i32,
}

impl Segment {
    /// Makes one in the IPC namespace of this thread, which is the machine's.
    pub(super) fn create() -> Self {
        // Another test process has another number.
        let key = 0x0c00_0000 | process::id().cast_signed();
        // SAFETY: only numbers are passed.
        let id = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | libc::IPC_EXCL | 0o666) };
        assert!(id >= 0, "shmget: {}", std::io::Error::last_os_error());
        Self { key, id }
    }

    pub(super) fn key(&self) -> i32 {
        self.key
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID looks at no buffer.
        unsafe { libc::shmctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
