//! Device lists on cgroup v2: a BPF program that the kernel asks at each open and mknod.

mod insn;
mod program;
mod sys;

use std::os::fd::AsFd;

use rustix::io::Errno;

use crate::device::DeviceRule;
use crate::dir::Dir;
use crate::error::Error;

/// Makes `rules` the device list of the group at `dir`, in place of one set before.
///
/// The program lives as long as the group; nothing needs to hold a descriptor.
pub(crate) fn set_devices(dir: &Dir, rules: &[DeviceRule]) -> Result<(), Error> {
    let failed = |operation| {
        move |source: Errno| Error::DeviceProgram {
            operation,
            path: dir.path().to_owned(),
            source,
        }
    };
    let old = sys::attached(dir.fd()).map_err(failed("list"))?;
    // Everything is allowed: that is no program at all.
    if !rules.contains(&DeviceRule::ALL) {
        let program = sys::load(&program::compile(rules)).map_err(failed("load"))?;
        // Several programs of one group must all agree: between attaching the new and
        // detaching the old one, what is allowed is what both allow, never more.
        sys::attach(dir.fd(), program.as_fd()).map_err(failed("attach"))?;
    }
    for id in old {
        let result = sys::program(id).and_then(|old| sys::detach(dir.fd(), old.as_fd()));
        match result {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("detach")(errno)),
        }
    }
    Ok(())
}
