//! What the user sees: answers on standard output, all else on standard error.

mod container_output;
mod error;
mod label;
mod listing;
mod progress;
mod size;
mod stack_output;
mod stream;
mod table;
mod template;
mod time;

pub(crate) use container_output::ContainerOutput;
pub(crate) use error::error;
pub(crate) use label::label;
pub(crate) use listing::{Format, document, listing};
pub(crate) use progress::Progress;
pub(crate) use size::{binary_size, decimal_size};
pub(crate) use stack_output::StackOutput;
pub(crate) use stream::{print, print_bytes};
pub(crate) use table::{Table, ellipsis, lines};
pub(crate) use time::{ago, duration, span, timestamp};
