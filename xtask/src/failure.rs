//! What a task that failed says.

/// The error in one piece: what failed, then why, then what to do about it.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    const HELP: &str = "\n  help: ";
    let steps: Vec<_> = error.chain().map(ToString::to_string).collect();
    let split = |step: &String| match step.split_once(HELP) {
        Some((what, help)) => (what.to_owned(), Some(help.to_owned())),
        None => (step.clone(), None),
    };
    let (what, helps): (Vec<_>, Vec<_>) = steps.iter().map(split).unzip();
    // The one nearest to the cause first.
    let helps = helps.into_iter().flatten().rev();
    let help: String = helps.flat_map(|help| [HELP.to_owned(), help]).collect();
    format!("{}{help}", what.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_comes_before_the_help() {
        let cause = anyhow::anyhow!("status 404\n  help: --release takes another release");
        let error = cause.context("the signature is missing\n  help: --no-signature does without");
        let error = sentence(&error.context("alpine was not fetched"));
        assert_eq!(
            error,
            "alpine was not fetched: the signature is missing: status 404\n  \
             help: --release takes another release\n  help: --no-signature does without"
        );
    }
}
