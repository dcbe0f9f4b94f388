//! What `cargo xtask escape` reads: one JSON object a line, in the file `COOP_ESCAPE_REPORT`.

use std::fs::File;
use std::io::Write;

use serde_json::{Value, json};

use super::trial::{Expected, Run, Verdict};
use super::{Off, Trial, table};

/// Adds the trial, if a report is wanted.
pub(super) fn add(trial: &Trial) {
    let Some(path) = std::env::var_os("COOP_ESCAPE_REPORT") else {
        return;
    };
    let mut line = object(trial).to_string();
    line.push('\n');
    // Test threads share the file: one write a line.
    let file = File::options().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("write the report");
}

fn object(trial: &Trial) -> Value {
    let row = &trial.row;
    let guards: Vec<_> = row
        .guards
        .iter()
        .map(|guard| {
            let alone = trial.alone.iter().find(|(of, _)| *of == guard.to_string());
            json!({
                "Name": guard.to_string(),
                "Off": guard.off(),
                "Alone": alone.map(|(_, run)| shown(run)),
            })
        })
        .collect();
    let place = table::rows().position(|(_, other)| other.name == row.name);
    let part = table::rows().find(|(_, other)| other.name == row.name);
    json!({
        "Place": place,
        "Of": table::rows().count(),
        "Part": part.map(|(part, _)| part),
        "Name": row.name,
        "Attack": row.attack,
        "Guards": guards,
        "Default": shown(&trial.default),
        "Off": trial.off.as_ref().map(shown),
        "NoSwitch": match row.off {
            Off::Never { why, .. } => Some(why),
            _ => None,
        },
        "Verdict": match trial.verdict() {
            Verdict::Holds => "holds",
            Verdict::Broken => "broken",
            Verdict::Absent => "absent",
        },
    })
}

fn shown(run: &Run) -> Value {
    json!({
        "Flags": run.flags,
        "Expected": match run.expected {
            Expected::Denied(how) => format!("denied: {how}"),
            Expected::Success => "succeeded".to_owned(),
        },
        "Outcome": run.outcome.to_string(),
    })
}
