//! What a command does for each name that it was given: it goes on with the next one when one
//! fails, and its exit status tells.

use anyhow::Result;

use crate::ui;

/// What each name stands for, as far as it is found; and the exit status.
pub(super) fn find_each<T>(
    names: &[String],
    mut find: impl FnMut(&str) -> Result<T>,
) -> (Vec<T>, i32) {
    let (mut found, mut exit_code) = (Vec::new(), 0);
    for name in names {
        match find(name) {
            Ok(one) => found.push(one),
            Err(error) => {
                ui::error(&error);
                exit_code = 1;
            }
        }
    }
    (found, exit_code)
}

/// Removes what each name stands for, and prints the names of what has gone. Gives the exit
/// status.
pub(super) fn remove_each(
    names: &[String],
    mut remove: impl FnMut(&str) -> Result<()>,
) -> Result<i32> {
    let mut exit_code = 0;
    for name in names {
        match remove(name) {
            Ok(()) => ui::print(&format!("{name}\n"))?,
            Err(error) => {
                ui::error(&error);
                exit_code = 1;
            }
        }
    }
    Ok(exit_code)
}
