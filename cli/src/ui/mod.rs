//! What the user sees: answers on standard output, all else on standard error.

mod ask;
mod container_output;
mod error;
mod label;
mod listing;
mod live;
mod progress;
mod screen_text;
mod size;
mod stack_output;
mod steps;
mod stream;
mod table;
pub(crate) mod template;
mod time;
mod waiting;

pub(crate) use ask::confirmed;
pub(crate) use container_output::ContainerOutput;
pub(crate) use error::{OLDEST_KERNEL, error};
pub(crate) use label::label;
pub(crate) use listing::{Format, document, listing};
pub(crate) use progress::{Progress, note_logged_line};
pub(crate) use screen_text::{Styles, screen_text};
pub(crate) use size::{binary_size, decimal_size};
pub(crate) use stack_output::{ABORTING, LogStyle, STOPPING, StackOutput};
pub(crate) use stream::{print, print_bytes, try_print_bytes};
pub(crate) use table::{Table, command_line, ellipsis, lines};
pub(crate) use time::{ago, duration, span, timestamp};
