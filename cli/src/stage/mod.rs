//! The stages: what happens to a container, each adapting one leaf crate.
//!
//! A stage and its undo stand in one file. The order is in [`wire`](crate::wire).

mod cgroup;
mod console;
mod guard;
mod join;
mod links;
mod namespaces;
mod network;
mod privileges;
mod rootfs;
mod seccomp;
mod transfer;

pub(crate) use cgroup::Cgroup;
pub(crate) use console::Console;
pub(crate) use guard::Guard;
pub(crate) use join::Join;
pub(crate) use links::Links;
pub(crate) use namespaces::{Namespaces, NetworkNamespace, UserNamespace};
pub(crate) use network::Network;
pub(crate) use privileges::Privileges;
pub(crate) use rootfs::Rootfs;
pub(crate) use seccomp::{Confining, NoNewPrivileges, Overseer, Seccomp};
pub(crate) use transfer::{Transfer, Work};
