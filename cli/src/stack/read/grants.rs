//! `secrets` and `configs`, of a service and of the file.

use super::super::model::{
    Content, Grant, GrantKind, Granted, GrantedMap, Grants, check_grant_target,
};
use super::super::node::Node;
use super::mount::FileMode;
use super::{At, Fields, Problems, Read, keys};
use std::path::PathBuf;

/// Reads the keys of a service.
pub(super) fn grants(f: &mut Fields<'_>, out: &mut Problems) -> Grants {
    Grants {
        configs: f.or_default("configs", out),
        secrets: f.or_default("secrets", out),
    }
}

impl Read for Grant {
    fn read(at: At<'_>, out: &mut Problems) -> Option<Self> {
        let path = at.path.clone();
        if let Node::String(_) = at.node {
            return Some(Self {
                source: String::read(at, out)?,
                target: None,
                uid: None,
                gid: None,
                mode: None,
            });
        }
        let mut fields = Fields::open(at, "a name or a mapping", out)?;
        let before = out.errors.len();
        let source = fields.get("source", out);
        let target: Option<String> = fields.get("target", out);
        if let Some(Err(error)) = target.as_deref().map(check_grant_target) {
            out.error(&path.key("target"), &error.why, Some(error.form));
        }
        let (uid, gid) = (fields.get("uid", out), fields.get("gid", out));
        let mode = fields.get("mode", out).map(|FileMode(mode)| mode);
        fields.finish(&[], out);
        if source.is_none() && out.errors.len() == before {
            out.error(&path, "it needs a source", Some("write the name of one"));
        }
        Some(Self {
            source: source?,
            target,
            uid,
            gid,
            mode,
        })
    }
}

/// The top-level `secrets` or `configs`.
pub(super) fn granted(fields: &mut Fields<'_>, kind: GrantKind, out: &mut Problems) -> GrantedMap {
    let mut map = GrantedMap::new();
    let Some(at) = fields.at(kind.key()) else {
        return map;
    };
    let Some(entries) = at.entries() else {
        out.wrong_type::<()>(&at, "a mapping by name");
        return map;
    };
    for (name, at) in entries {
        if let Err(error) = check_grant_target(name) {
            out.error(&at.path, &error.why, Some(error.form));
        }
        map.extend(one(at, kind, out).map(|granted| (name.to_owned(), granted)));
    }
    map
}

fn one(at: At<'_>, kind: GrantKind, out: &mut Problems) -> Option<Granted> {
    let (path, noun) = (at.path.clone(), kind.noun());
    let mut fields = Fields::open(at, "a mapping", out)?;
    let before = out.errors.len();
    let file = fields.get::<PathBuf>("file", out).map(Content::File);
    let variable = fields.get("environment", out).map(Content::Environment);
    let content: Option<String> = fields.get("content", out);
    if kind == GrantKind::Secret && content.is_some() {
        let help = "write file: or environment:, so that the stack file can be read by others";
        let message = "a secret does not stand in the stack file";
        out.error(&path.key("content"), message, Some(help));
    }
    if fields.or_default("external", out) {
        let message = format!("Coop keeps no {noun}s outside of stack files");
        let help = "write file: or environment: instead of external";
        out.error(&path.key("external"), &message, Some(help));
    }
    fields.finish(keys::GRANTED, out);
    let mut sources = [file, variable, content.map(Content::Content)]
        .into_iter()
        .flatten();
    let (first, second) = (sources.next(), sources.next());
    if out.errors.len() == before && (first.is_none() || second.is_some()) {
        let how_many = if first.is_none() { "a" } else { "one" };
        let message = format!("the {noun} needs {how_many} source");
        let help = match kind {
            GrantKind::Secret => "write file: or environment:",
            GrantKind::Config => "write file:, environment: or content:",
        };
        out.error(&path, &message, Some(help));
    }
    Some(Granted { content: first? })
}
