//! The system-call filter, last before the program.

use coop_launcher::{BoxError, ChildSide, Stage};
use coop_seccomp::Profile;

/// See the module.
pub(crate) struct Seccomp(Profile);

impl Seccomp {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self(profile.clone())
    }
}

impl Stage for Seccomp {
    fn name(&self) -> &'static str {
        "seccomp"
    }

    fn enter(&mut self, _child: &mut ChildSide<'_>) -> Result<(), BoxError> {
        Ok(self.0.apply()?)
    }
}
