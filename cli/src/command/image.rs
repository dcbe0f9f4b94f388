//! `coop image`: what containers are made from.

mod change;
mod import;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use coop_fs::RootSource;
use coop_image::{Image, Reference};
use coop_launcher::store::Event;
use serde_json::json;

use super::by_name::find_each;
use super::inspect::{image_object, print_documents};
use crate::args::{ImageCommand, ImageInspectArgs, ImageLsArgs, ImageRmArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::ui::{ago, decimal_size, lines, listing, timestamp};

/// `coop image`.
pub(super) fn image(host: &Host, command: &ImageCommand) -> Result<i32> {
    match command {
        ImageCommand::Import(args) => import::import(host, args),
        ImageCommand::Ls(args) => list(host, args),
        ImageCommand::Rm(args) => remove(host, args),
        ImageCommand::Inspect(args) => inspect(host, args),
    }
}

/// `coop image ls`, `coop images`.
pub(super) fn list(host: &Host, args: &ImageLsArgs) -> Result<i32> {
    let images = host.images.list()?;
    crate::ui::print(&render(&images, args, SystemTime::now())?)?;
    Ok(0)
}

/// Docker's columns.
const COLUMNS: [(&str, &str); 5] = [
    ("REPOSITORY", "Repository"),
    ("TAG", "Tag"),
    ("IMAGE ID", "ID"),
    ("CREATED", "CreatedSince"),
    ("SIZE", "Size"),
];

fn render(images: &[Image], args: &ImageLsArgs, now: SystemTime) -> Result<String> {
    let id = |image: &Image| {
        if args.no_trunc {
            image.id.to_string()
        } else {
            image.id.short().to_owned()
        }
    };
    if args.quiet {
        let ids: BTreeSet<_> = images.iter().map(id).collect();
        return Ok(lines(ids));
    }
    let row = |image: &Image| {
        let reference = &image.reference;
        let created = created(image);
        json!({
            "Repository": reference.name(),
            "Tag": reference.tag().unwrap_or("<none>"),
            "Digest": reference.digest().map_or("<none>".into(), ToString::to_string),
            "ID": id(image),
            "CreatedAt": timestamp(created),
            "CreatedSince": ago(created, now),
            "Size": decimal_size(image.size),
        })
    };
    let rows: Vec<_> = images.iter().map(row).collect();
    listing(&args.format, &COLUMNS, &rows)
}

fn created(image: &Image) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(image.created))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// `coop image inspect`.
fn inspect(host: &Host, args: &ImageInspectArgs) -> Result<i32> {
    let all = host.images.list()?;
    let (found, exit_code) = find_each(&args.names, |name| {
        let reference = find(host, name)?;
        Ok(host.images.get(&reference)?)
    });
    let objects: Vec<_> = found.iter().map(|it| image_object(it, &all)).collect();
    print_documents(&args.format, &objects)?;
    Ok(exit_code)
}

/// `coop image rm`, `coop rmi`.
pub(super) fn remove(host: &Host, args: &ImageRmArgs) -> Result<i32> {
    let mut exit_code = 0;
    for name in &args.names {
        match remove_one(host, name) {
            Ok(text) => crate::ui::print(&text)?,
            Err(error) => {
                crate::ui::error(&error);
                exit_code = 1;
            }
        }
    }
    Ok(exit_code)
}

/// What has become of an image that a stack does not need any more.
pub(super) enum Forgotten {
    Removed,
    /// A container of another stack was made from it.
    InUse,
    NotThere,
}

/// Removes an image unless somebody else uses it.
pub(super) fn forget(host: &Host, name: &str) -> Result<Forgotten> {
    let Ok(reference) = find(host, name) else {
        return Ok(Forgotten::NotThere);
    };
    let Ok(image) = host.images.get(&reference) else {
        return Ok(Forgotten::NotThere);
    };
    let id = image.id.to_string();
    match host
        .images
        .remove(&reference, &|layer| user_of(host, layer))
    {
        Err(coop_image::Error::InUse { .. }) => Ok(Forgotten::InUse),
        Err(error) => Err(error.into()),
        Ok(_) => {
            host.store.emit(&event("untag", &reference, &id));
            Ok(Forgotten::Removed)
        }
    }
}

/// What Docker says of it.
fn remove_one(host: &Host, name: &str) -> Result<String> {
    let reference = find(host, name)?;
    let id = host.images.get(&reference)?.id.to_string();
    let removed = match host
        .images
        .remove(&reference, &|layer| user_of(host, layer))
    {
        Err(error @ coop_image::Error::InUse { .. }) => {
            bail!("{error}\n  help: remove the container first, with `coop rm`")
        }
        result => result?,
    };
    host.store.emit(&event("untag", &reference, &id));
    if !removed.layers.is_empty() {
        host.store.emit(&event("delete", &reference, &id));
    }
    let layers = removed
        .layers
        .iter()
        .filter_map(|layer| layer.file_name()?.to_str());
    let untagged = format!("Untagged: {reference}");
    let deleted = layers.map(|hex| format!("Deleted: sha256:{hex}"));
    Ok(lines(std::iter::once(untagged).chain(deleted)))
}

/// Something that happens now to an image.
fn event(action: &str, reference: &Reference, id: &str) -> Event {
    Event {
        time: SystemTime::now(),
        kind: "image".into(),
        action: action.into(),
        id: id.into(),
        attributes: [("name".to_owned(), reference.to_string())].into(),
    }
}

/// An image by its name, or by the beginning of its id when that is no name.
pub(super) fn find(host: &Host, text: &str) -> Result<Reference> {
    let parsed = text.parse::<Reference>();
    let not_found = match &parsed {
        Ok(reference) => match host.images.get(reference) {
            Err(error @ coop_image::Error::NotFound { .. }) => error.into(),
            found => return Ok(found?.reference),
        },
        Err(error) => anyhow::Error::from(error.clone()),
    };
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if hex.is_empty() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(not_found);
    }
    let images = host.images.list()?;
    let mut fitting = images
        .into_iter()
        .filter(|image| image.id.hex().starts_with(hex));
    match (fitting.next(), fitting.next()) {
        (None, _) => Err(not_found),
        (Some(image), None) => Ok(image.reference),
        (Some(first), Some(second)) => {
            let rest = fitting.map(|image| image.reference);
            let names: Vec<_> = [first.reference, second.reference]
                .into_iter()
                .chain(rest)
                .map(|name| name.to_string())
                .collect();
            bail!(
                "{text} is the id of several names: {}\n  help: remove it by name",
                names.join(", ")
            )
        }
    }
}

/// The container that has the layer in its root.
fn user_of(host: &Host, layer: &Path) -> Option<String> {
    let uses = |id: &coop_launcher::store::ContainerId| match host
        .store
        .load_config::<ContainerPlan>(id)
    {
        Ok(plan) => match plan.root {
            RootSource::Overlay(overlay) => overlay.lowers.iter().any(|lower| lower == layer),
            RootSource::Bind { .. } => false,
        },
        Err(coop_launcher::store::StoreError::Gone { .. }) => false,
        // A container of another version may use any layer: it is kept.
        Err(_) => true,
    };
    let user = match host.store.ids() {
        Ok(ids) => ids.into_iter().find(uses)?,
        Err(error) => return Some(format!("an unknown container ({error})")),
    };
    let name = host
        .store
        .load_state(&user)
        .map(|state| state.name.to_string());
    Some(name.unwrap_or_else(|_| user.short().to_owned()))
}

#[cfg(test)]
mod tests {
    use coop_image::ImageConfig;

    use super::*;
    use crate::args::Format;

    fn images() -> Vec<Image> {
        let image = |name: &str, digit: &str, age: u64, size| Image {
            reference: name.parse().unwrap(),
            id: format!("sha256:{}", digit.repeat(64)).parse().unwrap(),
            created: 1_714_564_800 - age,
            size,
            layers: Vec::new(),
            config: ImageConfig::default(),
            architecture: "amd64".into(),
        };
        vec![
            image("coop/host", "a", 30, 2_345_678),
            image("localhost:5000/team/web:1.2", "b", 90_000, 123_456_789),
            image("mine", "a", 7200, 2_345_678),
        ]
    }

    fn shown(args: &ImageLsArgs) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_714_564_800);
        let shown = render(&images(), args, now).unwrap();
        lines(shown.lines().map(str::trim_end))
    }

    const TABLE: ImageLsArgs = ImageLsArgs {
        quiet: false,
        format: Format::Table,
        no_trunc: false,
    };

    #[test]
    fn images_are_listed_in_dockers_columns() {
        insta::assert_snapshot!(shown(&TABLE));
    }

    #[test]
    fn json_has_dockers_keys() {
        insta::assert_snapshot!(shown(&ImageLsArgs {
            format: Format::Json,
            ..TABLE
        }));
    }

    #[test]
    fn an_id_of_two_names_is_listed_once() {
        insta::assert_snapshot!(shown(&ImageLsArgs { quiet: true, ..TABLE }), @r"
        aaaaaaaaaaaa
        bbbbbbbbbbbb
        ");
    }
}
