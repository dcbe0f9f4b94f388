//! The parsers of this program as fuzz targets: each function takes any bytes at all, and
//! panics when a promise is broken. They are called by the package `coop-fuzz`.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::SystemTime;

use coop_launcher::store::Name;
use serde_json::{Value, json};

use crate::args::{Filter, Moment};
use crate::command;
use crate::plan::ContainerPlan;
use crate::stack::value::{self, ParseError};
use crate::stack::{self, Source, Variables};
use crate::ui::template::Template;
use crate::ui::{Styles, screen_text};

/// A stack file: what is accepted is written again by `coop config`, and means the same then.
pub fn stack_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let read = |text: &str| {
        let source = Source::new("stack.yaml", text);
        stack::parse(source, Path::new("/srv/shop"), variables(), Some("shop"))
    };
    let loaded = match read(text) {
        Ok(loaded) => loaded,
        Err(error) => return drop(error.to_string()),
    };
    for warning in &loaded.warnings {
        drop(warning.render(&loaded.source));
    }
    drop(loaded.stack.with_dependencies(&[], &[]));
    // What an extension (`x-…`) holds need not be writable.
    let Ok(written) = stack::to_yaml(&loaded.stack) else {
        return;
    };
    let again = match read(&written) {
        Ok(again) => again.stack,
        Err(error) => panic!("what was written is not accepted: {error}\n{written}"),
    };
    assert_eq!(stack::to_yaml(&again).as_deref(), Ok(written.as_str()));
}

/// Text with variables: its length is bounded whatever it says.
pub fn interpolation(data: &[u8]) {
    let variables = variables();
    let lookup = |name: &str| variables.get(name).cloned();
    if let Ok(text) = stack::interpolated(&String::from_utf8_lossy(data), &lookup) {
        assert!(text.len() <= 16 << 20, "{} bytes", text.len());
    }
}

/// A file of variables.
pub fn env_file(data: &[u8]) {
    let variables = variables();
    let lookup = |name: &str| variables.get(name).cloned();
    match stack::env_file(&String::from_utf8_lossy(data), &lookup) {
        Ok(entries) => {
            for (name, value) in entries {
                // `NAME=VALUE` reaches `execve`, where both end what they are in.
                assert!(!name.is_empty() && !name.contains(['=', '\0']), "{name:?}");
                assert!(!value.is_some_and(|value| value.contains('\0')), "{name}");
            }
        }
        Err((line, _)) => assert!(line > 0),
    }
}

/// The short forms of values in stack files and on command lines. The first byte says which.
pub fn short_syntax(data: &[u8]) {
    fn parse<T: FromStr<Err = ParseError>>(text: &str) {
        if let Err(error) = text.parse::<T>() {
            drop(error.to_string());
        }
    }
    const PARSERS: &[fn(&str)] = &[
        parse::<value::Port>,
        parse::<value::Mount>,
        parse::<value::TmpfsMount>,
        parse::<value::DeviceMapping>,
        parse::<value::Duration>,
        parse::<value::ByteSize>,
        parse::<value::Cpus>,
        parse::<value::CpuFlag>,
        parse::<value::Restart>,
        parse::<value::Signal>,
        parse::<value::Ulimit>,
        parse::<value::UserSpec>,
        parse::<value::ExtraHost>,
        parse::<value::HostAddress>,
        parse::<value::EnvEntry>,
        parse::<value::Label>,
        parse::<value::NetworkMode>,
        parse::<value::PidMode>,
        parse::<value::IpcMode>,
        parse::<value::SecurityOpt>,
        parse::<value::Sysctl>,
        parse::<value::PidsLimit>,
        parse::<value::SwapLimit>,
        parse::<value::OomScoreAdj>,
        |text| drop(Name::parse(text)),
    ];
    let Some((which, text)) = data.split_first() else {
        return;
    };
    let parser = PARSERS[usize::from(*which) % PARSERS.len()];
    parser(&String::from_utf8_lossy(text));
}

/// A Go template (`--format`), of which the end of the first line is the end.
pub fn template(data: &[u8]) {
    static ROW: LazyLock<Value> = LazyLock::new(|| {
        json!({
            "ID": "51c4b62f9d74", "Names": "web", "Ports": ["8080:80", "9090:90/udp"],
            "State": { "Running": true, "ExitCode": 0, "Pid": 4_294_967_296_u64 },
            "Labels": { "a": "b", "team": "core" }, "Size": -1.5, "Nothing": null,
        })
    });
    let text = String::from_utf8_lossy(data);
    for parsed in [Template::parse(&text), Template::parse_row(&text)] {
        match parsed {
            Ok(template) => match template.render(&ROW) {
                Ok(_) => {}
                Err(error) => drop(error.to_string()),
            },
            Err(error) => drop(error.to_string()),
        }
    }
}

/// `--filter` and `--since`: what passes the check can be used.
pub fn filters(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    drop(text.parse::<Moment>());
    let Ok(filter) = text.parse::<Filter>() else {
        return;
    };
    let filters = [filter];
    if Filter::check(&filters, &["label", "until", "dangling", "name"]).is_ok() {
        let now = SystemTime::now();
        Filter::until(&filters, now, now);
        Filter::labels(&filters, &BTreeMap::from([("a".into(), "b".into())]));
    }
}

/// A saved plan: what loads is saved again as what it was.
pub fn plan(data: &[u8]) {
    let Ok(plan) = serde_json::from_slice::<ContainerPlan>(data) else {
        return;
    };
    let text = serde_json::to_string(&plan).expect("a plan can be saved");
    let again: ContainerPlan = serde_json::from_str(&text).expect("what was saved loads");
    assert!(plan == again, "{plan:?}\n{again:?}");
}

/// What a container wrote, shown beside other lines: nothing but colours reaches the terminal.
pub fn terminal_text(data: &[u8]) {
    for styles in [Styles::Kept, Styles::Dropped] {
        let shown = screen_text(data, styles);
        let mut rest = shown.as_str();
        while let Some(at) = rest.find(|c: char| c.is_control() && c != '\t') {
            let sequence = rest[at..].strip_prefix("\x1b[").and_then(|after| {
                let end = after.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
                after[end..].strip_prefix('m')
            });
            rest = match sequence {
                Some(after) if styles == Styles::Kept => after,
                _ => panic!("{shown:?}"),
            };
        }
    }
}

/// A container's process in `/proc`, which chooses its own name and command line. The three
/// files are divided by newlines.
pub fn process(data: &[u8]) {
    let mut files = data.splitn(3, |&byte| byte == b'\n');
    let mut file = || files.next().unwrap_or_default();
    let stat = String::from_utf8_lossy(file()).into_owned();
    let args = file();
    let status = String::from_utf8_lossy(file()).into_owned();
    command::top::process::Process::parse(&stat, &status, args);
}

fn variables() -> Variables {
    [("TAG", "1.2"), ("HOME", "/home/me"), ("EMPTY", "")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}
