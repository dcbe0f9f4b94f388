//! What rustix has no safe function for.

use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use coop_ns::Signal;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::{DupFlags, Errno, FdFlags, dup3, fcntl_getfd};
use rustix::process::Pid;

/// Executes a program: see `execve(2)`. Returns only the reason why it could not.
pub(crate) fn execve(path: &CStr, argv: &CStrings<'_>, env: &CStrings<'_>) -> Errno {
    // SAFETY: `path` is NUL-terminated; a `CStrings` ends in a null pointer and the strings
    // that it points to are borrowed for as long as it lives, hence past the call.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), env.pointers.as_ptr()) };
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Strings in the form that `execve(2)` wants.
pub(crate) struct CStrings<'a> {
    pointers: Vec<*const libc::c_char>,
    _strings: std::marker::PhantomData<&'a CStr>,
}

impl<'a> CStrings<'a> {
    pub(crate) fn new(strings: &'a [std::ffi::CString]) -> Self {
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([std::ptr::null()])
            .collect();
        Self {
            pointers,
            _strings: std::marker::PhantomData,
        }
    }
}

/// Gives back to the kernel what this process does not need to have in memory now: what it has
/// freed, and the code and constants of its program, which come back from the page cache when
/// they are used.
pub(crate) fn release_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number, and gives back only what is not in use: `malloc_trim(3)`.
    unsafe {
        libc::malloc_trim(0)
    };
    release_program();
}

#[cfg(target_pointer_width = "64")]
fn release_program() {
    use libc::{AT_PHDR, AT_PHNUM, Elf64_Phdr, PF_W, PT_LOAD, PT_PHDR, getauxval};

    // SAFETY: takes a number; an entry that is not there is 0.
    let (table, count) = unsafe { (getauxval(AT_PHDR) as usize, getauxval(AT_PHNUM) as usize) };
    if table == 0 {
        return;
    }
    // SAFETY: the kernel tells where the program headers of this program are mapped and how
    // many there are: `getauxval(3)`. They stay there, and nobody writes to them.
    let headers = unsafe { std::slice::from_raw_parts(table as *const Elf64_Phdr, count) };
    let Some(own) = headers.iter().find(|header| header.p_type == PT_PHDR) else {
        return;
    };
    let base = table.wrapping_sub(own.p_vaddr as usize);
    let page = rustix::param::page_size();
    // What the program may write to, and what the loader has written to before it was made
    // read-only, is in segments that are writable.
    for header in headers
        .iter()
        .filter(|header| header.p_type == PT_LOAD && header.p_flags & PF_W == 0)
    {
        let start = base.wrapping_add(header.p_vaddr as usize);
        let first = start / page * page;
        // A page that is shared with the next segment is left alone.
        let end = (start + header.p_memsz as usize) / page * page;
        if end > first {
            // SAFETY: the pages are of a file that is mapped privately and were never written
            // to: the kernel brings each back as it was when it is touched, `madvise(2)`.
            unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(not(target_pointer_width = "64"))]
fn release_program() {}

/// Puts `null` in the place of every descriptor from 3 on that this program was started with.
///
/// Those are the ones without close-on-exec: what the program opens itself has it. They stay
/// open, so that whoever thinks to own one harms nobody.
pub(crate) fn redirect_inherited(null: impl AsFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut listing = Dir::new(openat(CWD, "/proc/self/fd", flags, Mode::empty())?)?;
    let mut numbers = Vec::new();
    while let Some(entry) = listing.read() {
        let name = entry?
            .file_name()
            .to_str()
            .ok()
            .and_then(|name| name.parse().ok());
        numbers.extend(name.filter(|&number: &i32| number > 2));
    }
    drop(listing);
    for number in numbers {
        // SAFETY: only asked about, while nothing else can close it: there is one thread. The
        // listing's own is closed by now, which the kernel answers with an error.
        let flags = fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) });
        if flags.is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            // SAFETY: open, as we have just seen, and never closed by this.
            let mut inherited = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(number) });
            match dup3(&null, &mut inherited, DupFlags::CLOEXEC) {
                // Above the limit of descriptors, which was lowered since: no number of ours.
                Err(Errno::BADF) => drop(ManuallyDrop::into_inner(inherited)),
                result => result?,
            }
        }
    }
    Ok(())
}

/// Makes a copy of this process: `fork(2)`. `None` is the copy.
///
/// Not `clone3`, as everywhere else: a system-call filter that is in force by now answers that
/// with `ENOSYS`.
///
/// # Safety
/// The process must have one thread.
pub(crate) unsafe fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: with one thread no lock is held in the copy.
    match unsafe { libc::fork() } {
        number @ 0.. => Ok(Pid::from_raw(number)),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Sends a signal to a child; `kill(2)`. One that has ended is fine.
pub(crate) fn kill(child: Pid, signal: Signal) {
    // SAFETY: plain numbers.
    unsafe { libc::kill(child.as_raw_nonzero().get(), signal.number()) };
}

/// Overwrites the command line of this process, which everyone may read in `/proc/PID/cmdline`,
/// with its new name. For a process that does not look at its arguments any more.
pub(crate) fn clear_arguments() {
    const NAME: &[u8] = b"coop-init";
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return;
    };
    // `arg_start` and `arg_end`: fields 48 and 49 of proc_pid_stat(5), the third being the
    // first after the name.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut fields = fields.split(' ').skip(45).map(str::parse::<usize>);
    let (Some(Ok(start)), Some(Ok(end))) = (fields.next(), fields.next()) else {
        return;
    };
    if start == 0 || end <= start {
        return;
    }
    let place = std::ptr::with_exposed_provenance_mut::<u8>(start);
    let length = end - start;
    let name = NAME.len().min(length);
    // SAFETY: the kernel says that the arguments of this process are there, in its writable
    // stack, `length` bytes of them; nothing reads them as long as this process lives.
    unsafe {
        std::ptr::write_bytes(place, 0, length);
        std::ptr::copy_nonoverlapping(NAME.as_ptr(), place, name);
    }
}
