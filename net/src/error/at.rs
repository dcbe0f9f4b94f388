//! Errors of the kernel, with what they are about: for `map_err`.

use std::path::Path;

use rustix::io::Errno;

use super::Error;

/// The errno of an error of the standard library.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// For `map_err` on a file operation.
pub(crate) fn state(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::State {
        operation,
        path: path.to_owned(),
        source: errno(&error),
    }
}

/// For `map_err` on an interface operation.
pub(crate) fn interface(operation: &'static str, name: &str) -> impl FnOnce(Errno) -> Error {
    move |source| Error::Interface {
        operation,
        interface: name.to_owned(),
        source,
    }
}
