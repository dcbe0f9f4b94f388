//! One thing that was looked at, and how it is told.

use std::fmt::Write;

use serde_json::json;

use crate::ui::Table;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What the kernel offers.
    Kernel,
    /// How the kernel is set.
    Settings,
    /// What is in force for a default container.
    Container,
}

impl Part {
    const ALL: [Self; 3] = [Self::Kernel, Self::Settings, Self::Container];

    fn title(self) -> &'static str {
        match self {
            Self::Kernel => "WHAT THE KERNEL OFFERS",
            Self::Settings => "HOW THE KERNEL IS SET",
            Self::Container => "A DEFAULT CONTAINER",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Settings => "settings",
            Self::Container => "container",
        }
    }
}

/// What is to be thought of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As good as it gets.
    Good,
    /// Coop keeps its promises, but this host could be safer.
    Weak,
    /// Coop promises it, and it does not hold.
    Broken,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Weak => "weak",
            Self::Broken => "BROKEN",
        }
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) part: Part,
    pub(super) what: String,
    pub(super) found: String,
    pub(super) verdict: Verdict,
    /// What to change, and why.
    pub(super) advice: Option<String>,
}

impl Finding {
    /// One that is good.
    pub(super) fn new(part: Part, what: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            part,
            what: what.into(),
            found: found.into(),
            verdict: Verdict::Good,
            advice: None,
        }
    }

    /// The same, as one that could be better.
    pub(super) fn weak(self, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Weak,
            advice: Some(advice.into()),
            ..self
        }
    }

    /// The same, as a promise that does not hold.
    pub(super) fn broken(self, advice: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Broken,
            advice: Some(advice.into()),
            ..self
        }
    }
}

/// A table for each part, and what to change.
pub(super) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for part in Part::ALL {
        let mut table = Table::new(&[part.title(), "FOUND", "VERDICT"]);
        for finding in findings.iter().filter(|it| it.part == part) {
            table.row(&[&finding.what, &finding.found, finding.verdict.word()]);
        }
        // Into a string: cannot fail.
        let _ = writeln!(text, "{table}");
    }
    let advised: Vec<_> = findings
        .iter()
        .filter_map(|it| Some((it, it.advice.as_ref()?)))
        .collect();
    if !advised.is_empty() {
        text.push_str("What to change:\n");
    }
    for (finding, advice) in advised {
        let _ = writeln!(text, "  {}: {advice}", finding.what);
    }
    let count = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    let (weak, broken) = (count(Verdict::Weak), count(Verdict::Broken));
    let _ = match broken {
        0 => writeln!(
            text,
            "Coop keeps its promises here; {weak} could be better."
        ),
        _ => writeln!(text, "Coop cannot keep its promises here: {broken} BROKEN."),
    };
    text
}

/// The same for programs.
pub(super) fn json(findings: &[Finding]) -> String {
    let all: Vec<_> = findings
        .iter()
        .map(|it| {
            json!({
                "Part": it.part.key(),
                "Check": it.what,
                "Found": it.found,
                "Verdict": it.verdict.word().to_lowercase(),
                "Advice": it.advice,
            })
        })
        .collect();
    format!("{:#}\n", json!(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::new(Part::Kernel, "release", "6.18.5"),
            Finding::new(Part::Settings, "kernel.dmesg_restrict", "0")
                .weak("set it to 1: every user reads the kernel's log"),
            Finding::new(Part::Container, "user ids", "root in it is root here")
                .broken("no user namespaces: set user.max_user_namespaces"),
        ]
    }

    #[test]
    fn findings_are_told_by_part_and_what_to_change_comes_last() {
        insta::assert_snapshot!(text(&findings()));
        insta::assert_snapshot!(text(&findings()[..2]));
    }

    #[test]
    fn programs_get_every_finding_with_its_verdict() {
        let value: serde_json::Value = serde_json::from_str(&json(&findings())).unwrap();
        assert_eq!(value[2]["Verdict"], "broken");
        assert_eq!(value[0]["Advice"], serde_json::Value::Null);
        assert_eq!(value[1]["Part"], "settings");
    }
}
