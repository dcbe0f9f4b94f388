//! What the supervisor's program supplies.

use std::os::fd::OwnedFd;

use rustix::process::Pid;

use super::{Service, UnitSpec};
use crate::error::BoxError;
use crate::pipeline::Pipeline;
use crate::store::{ContainerId, Name};

/// What the supervisor's program supplies: how containers are made of stages.
pub trait Wiring {
    /// What the supervisor has to know of a saved container.
    ///
    /// # Errors
    /// When its saved plan cannot be read.
    fn spec(&self, id: &ContainerId) -> Result<UnitSpec, BoxError>;

    /// The pipeline that makes the container, from its saved plan.
    ///
    /// # Errors
    /// When the plan cannot be carried out on this host.
    fn pipeline(&self, id: &ContainerId) -> Result<Pipeline, BoxError>;

    /// The pipeline that runs the container's health check in it; what it prints goes to
    /// `output`.
    ///
    /// # Errors
    /// When the container is gone, or frozen: a check in it would never end.
    fn health_check(
        &self,
        id: &ContainerId,
        init: Pid,
        output: OwnedFd,
    ) -> Result<Pipeline, BoxError>;

    /// Does the work that the batch's [`HostSide::Batched`](crate::HostSide::Batched) stages
    /// queued until now, without which no container of it can go on. A large batch comes in
    /// parts.
    ///
    /// # Errors
    /// Ends the launch of the whole batch.
    fn commit_batch(&self) -> Result<(), BoxError>;

    /// That was the batch's last part. Waits for all that has to be there before the first of
    /// its containers is started.
    ///
    /// # Errors
    /// Ends the launch of the whole batch.
    fn end_batch(&self) -> Result<(), BoxError> {
        Ok(())
    }

    /// The batch has failed: what is queued for it and not done yet must not be done with the
    /// next one.
    fn abandon_batch(&self) {}

    /// The container was taken over from a supervisor that is gone: what that one held for it
    /// has to be held again.
    fn adopted(&self, _id: &ContainerId) {}

    /// What the event loop turns beside the containers, once there is something. Asked for in
    /// each of its turns.
    fn service(&self) -> Option<&dyn Service> {
        None
    }

    /// The saved plan of a running container has changed, and the supervisor has read it again.
    fn reloaded(&self, _id: &ContainerId) {}

    /// The container has ended, or could not be started, and nothing of it is undone yet. Says
    /// whether the kernel killed something in it for want of memory.
    fn ended(&self, id: &ContainerId) -> bool;

    /// Stops every process of a running container where it is: `freezer` of `cgroups(7)`.
    ///
    /// # Errors
    /// When the kernel cannot.
    fn freeze(&self, id: &ContainerId) -> Result<(), BoxError>;

    /// Lets a frozen container go on. One that is not frozen is fine.
    ///
    /// # Errors
    /// When the kernel cannot.
    fn thaw(&self, id: &ContainerId) -> Result<(), BoxError>;

    /// Gives the container another name, in its saved state and plan.
    ///
    /// # Errors
    /// When the name is in use, or nothing can be written.
    fn rename(&self, id: &ContainerId, name: &Name) -> Result<(), BoxError>;

    /// Nothing of the ended container is left in the kernel. Says whether it stays, to be
    /// started again; one that goes with its end (`--rm`) is removed here.
    fn stays(&self, _id: &ContainerId) -> bool {
        true
    }

    /// Carries out one record of a container's journal.
    ///
    /// # Errors
    /// When what the record names may still exist.
    fn undo(&self, stage: &str, record: &str) -> Result<(), BoxError>;
}
