//! `/dev/console`: the container's terminal, as the OCI runtime-spec has it.

use coop_launcher::{BoxError, ChildSide, Stage};

/// After the terminal: it is standard input then.
pub(crate) struct Console;

impl Stage for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        Ok(coop_fs::mount_console(rustix::stdio::stdin())?)
    }
}
