//! The one system call that rustix has no public function for.

use std::ffi::CStr;

use rustix::io::Errno;

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
