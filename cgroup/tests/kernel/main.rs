//! The same scenarios on every hierarchy that this machine has, in the real kernel.
//!
//! `Hierarchy::detect` gives v1 or v2. On a hybrid host the unified hierarchy beside v1 is
//! used as well for what needs no controller: freezing, killing, removal, device programs.
//! Each test says on standard error what it skips and why.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test program")]

mod events;
mod lifecycle;
mod limits;
mod support;
