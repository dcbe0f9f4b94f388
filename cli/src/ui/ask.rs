//! A question before what cannot be undone.

use std::io::BufRead;

use anyhow::Result;

use super::print;

/// Asks as Docker does; yes is `y` or `yes`, anything else and the end of the input is no.
pub(crate) fn confirmed(warning: &str) -> Result<bool> {
    print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let answer = answer.trim();
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}
