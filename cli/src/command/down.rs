//! `coop down`: a stack goes, and leaves nothing.

use std::collections::BTreeSet;

use anyhow::Result;
use coop_launcher::store::State;

use super::image::Forgotten;
use crate::args::{DownArgs, Images, StackArgs};
use crate::host::Host;
use crate::load::{Loaded, stack_name};
use crate::ui::Progress;
use crate::users::VolumeUsers;
use crate::{supervise, volumes};

/// `coop down`.
pub(crate) fn down(host: &Host, stack: &StackArgs, args: &DownArgs) -> Result<i32> {
    let name = stack_name(stack)?;
    drop(supervise::keeper(host, &name)?);
    let mut progress = Progress::new();
    let containers = supervise::containers(host, &name)?;
    let mut names = Vec::new();
    if args.volumes {
        // Without its file a stack is known by its name alone: its volumes are those that its
        // name begins.
        match Loaded::find(stack)? {
            Some(loaded) => names.extend(
                loaded
                    .stack
                    .volumes
                    .iter()
                    .filter(|(_, volume)| !volume.external)
                    .map(|(key, _)| loaded.stack.volume_name(key)),
            ),
            None => names.extend(
                host.volumes
                    .list()?
                    .into_iter()
                    .filter(|volume| volume.starts_with(&format!("{name}_"))),
            ),
        }
    }
    let images = match args.rmi {
        Some(Images::All) => images(Loaded::find(stack)?.as_ref(), &containers),
        // No image is built here yet: each has a name that the file gives it.
        Some(Images::Local) | None => BTreeSet::new(),
    };
    let ids: Vec<_> = containers.iter().map(|state| state.id.clone()).collect();
    super::rm::stop_and_remove(
        host,
        &name,
        &ids,
        args.timeout.map(Into::into),
        &mut progress,
    )?;
    if !names.is_empty() {
        remove_volumes(host, &names, &mut progress)?;
    }
    for image in images {
        let said = match super::image::forget(host, &image) {
            Ok(Forgotten::Removed) => "Removed",
            Ok(Forgotten::InUse) => "Resource is still in use",
            Ok(Forgotten::NotThere) => continue,
            Err(error) => return Err(error),
        };
        progress.line("Image", &image, said);
    }
    if containers.is_empty() {
        log::warn!("no containers of stack {name}");
    }
    Ok(0)
}

/// Removes those that nobody uses, which takes a look at all containers.
fn remove_volumes(host: &Host, names: &[String], progress: &mut Progress) -> Result<()> {
    let _lock = volumes::lock(host)?;
    let users = VolumeUsers::find(host)?;
    for volume in names {
        // As with compose: another stack's containers may have it, too.
        if let [user, ..] = users.of(volume) {
            log::warn!("volume {volume} stays: container {} uses it", user.name);
        } else if host.volumes.path(volume)?.exists() {
            volumes::remove(host, volume)?;
            progress.line("Volume", volume, "Removed");
        }
    }
    Ok(())
}

/// The images that a stack's containers are made from, after its file and what is there.
fn images(loaded: Option<&Loaded>, containers: &[State]) -> BTreeSet<String> {
    let services = loaded.into_iter().flat_map(|loaded| &loaded.stack.services);
    let named = services.filter_map(|(_, service)| service.image.clone());
    let used = containers.iter().map(|state| state.image.clone());
    // A root directory is no image.
    named
        .chain(used.filter(|image| !image.starts_with('/')))
        .collect()
}
