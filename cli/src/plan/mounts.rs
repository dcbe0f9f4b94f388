//! What is mounted in a container: the standard mounts, its files, the service's own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use coop_fs::{DEFAULT_SHM_SIZE, Mount, MountOptions, Volumes};
use coop_image::ImageConfig;

use super::volumes::VolumeUse;
use crate::stack::value::{ByteSize, CgroupMode, IpcMode, MountKind, Selinux, TmpfsOptions};
use crate::stack::{Service, Stack};

/// Files that Coop writes for each container, by the name beside its plan and in its `/etc`.
pub(crate) const ETC_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// The mounts of a container, and what has to exist for them.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// In the order in which they are mounted.
    pub in_order: Vec<Mount>,
    /// Directories of the host that are made when they are missing.
    pub host_directories: Vec<PathBuf>,
    /// Named and anonymous volumes.
    pub volumes: Vec<VolumeUse>,
}

/// Where things are for [`mounts`].
pub(super) struct Places<'a> {
    /// The directory of the container whose [`ETC_FILES`] it has: mostly its own.
    pub names: &'a Path,
    /// The host's volumes.
    pub volumes: &'a Volumes,
    /// The directory that is the root as it is, without a layer to make a file in.
    pub readonly_root: Option<&'a Path>,
}

impl Places<'_> {
    /// Whether something can be mounted on this file.
    fn can_have(&self, target: &Path) -> bool {
        let below = |root: &Path| {
            root.join(target.strip_prefix("/").unwrap_or(target))
                .exists()
        };
        self.readonly_root.is_none_or(below)
    }
}

/// Puts the mounts of a service together.
pub(super) fn mounts(
    stack: &Stack,
    service: &Service,
    image: &ImageConfig,
    places: &Places<'_>,
) -> Result<Mounts> {
    let mut all = Mounts::default();
    let mut own = Vec::new();
    for mount in &service.volumes {
        let target = PathBuf::from(&mount.target);
        let mut options = vec!["rbind"];
        if mount.read_only {
            options.push("ro");
        }
        match &mount.kind {
            MountKind::Bind { source, bind } => {
                if !source.exists() {
                    if !bind.create_host_path {
                        bail!(
                            "bind mount {}: no such file or directory on the host",
                            source.display()
                        );
                    }
                    all.host_directories.push(source.clone());
                }
                let propagation = bind.propagation.map(|propagation| propagation.to_string());
                options.extend(propagation.as_deref());
                options.extend(bind.selinux.map(|label| match label {
                    Selinux::Shared => "z",
                    Selinux::Private => "Z",
                }));
                own.push(bind_mount(source.clone(), target, &options)?);
            }
            MountKind::Volume { source, volume } => {
                let used = VolumeUse::new(stack, source.as_deref(), &target, !volume.nocopy)?;
                own.push(bind_mount(
                    places.volumes.path(&used.name)?,
                    target,
                    &options,
                )?);
                all.volumes.push(used);
            }
            MountKind::Tmpfs { tmpfs } => own.push(tmpfs_mount(target, tmpfs, mount.read_only)?),
        }
    }
    for tmpfs in &service.tmpfs {
        own.push(tmpfs_mount(
            PathBuf::from(&tmpfs.target),
            &tmpfs.options,
            false,
        )?);
    }
    // What the image wants kept outside of the container's layer and nobody has placed.
    for target in &image.volumes {
        if !own.iter().any(|mount| mount.target() == Path::new(target)) {
            let used = VolumeUse::new(stack, None, Path::new(target), true)?;
            own.push(bind_mount(
                places.volumes.path(&used.name)?,
                PathBuf::from(target),
                &["rbind"],
            )?);
            all.volumes.push(used);
        }
    }
    // A mount below another comes after it.
    own.sort_by_key(|mount| mount.target().components().count());

    all.in_order = standard(service)?;
    for file in ETC_FILES {
        let target = Path::new("/etc").join(file);
        if !places.can_have(&target) {
            log::debug!("{}: not in the read-only root directory", target.display());
        } else if !own.iter().any(|mount| mount.target() == target) {
            all.in_order
                .push(Mount::bind(places.names.join(file), target));
        }
    }
    // A service that brings its own /dev/shm or /proc below replaces the standard one.
    all.in_order
        .retain(|mount| !own.iter().any(|other| other.target() == mount.target()));
    all.in_order.append(&mut own);
    Ok(all)
}

/// What every container has, as far as the service does not share the host's.
fn standard(service: &Service) -> Result<Vec<Mount>> {
    let isolation = &service.isolation;
    let shm_size = isolation.shm_size.map_or(DEFAULT_SHM_SIZE, ByteSize::bytes);
    let writable = isolation.privileged;
    let mut mounts = Mount::standard(shm_size);
    for mount in &mut mounts {
        match mount {
            Mount::Dev { devices, .. } => *devices = super::privileges::devices(service)?,
            Mount::Sysfs { readonly } => *readonly = !writable,
            Mount::Cgroup { readonly } if isolation.cgroup != Some(CgroupMode::Host) => {
                *readonly = !writable;
            }
            // A namespace of the host's user ids has only what is mounted there.
            Mount::Cgroup { .. } => {
                let options: &[&str] = if writable {
                    &["rbind"]
                } else {
                    &["rbind", "ro"]
                };
                *mount = bind_mount(CGROUPS.into(), CGROUPS.into(), options)?;
            }
            Mount::Shm { .. } | Mount::Mqueue if isolation.ipc == Some(IpcMode::Host) => {
                let place = mount.target().to_owned();
                *mount = bind_mount(place.clone(), place, &["rbind"])?;
            }
            _ => {}
        }
    }
    match isolation.ipc {
        Some(IpcMode::None) => mounts.retain(|mount| !matches!(mount, Mount::Shm { .. })),
        // Not every host has them.
        Some(IpcMode::Host) => mounts.retain(|mount| match mount {
            Mount::Bind { source, .. } => source.exists(),
            _ => true,
        }),
        _ => {}
    }
    Ok(mounts)
}

const CGROUPS: &str = "/sys/fs/cgroup";

fn bind_mount(source: PathBuf, target: PathBuf, options: &[&str]) -> Result<Mount> {
    Ok(Mount::Bind {
        source,
        target,
        options: options.join(",").parse()?,
    })
}

fn tmpfs_mount(target: PathBuf, options: &TmpfsOptions, read_only: bool) -> Result<Mount> {
    let mut words = Vec::new();
    words.extend(options.uid.map(|uid| format!("uid={uid}")));
    words.extend(options.gid.map(|gid| format!("gid={gid}")));
    words.extend(options.exec.then(|| "exec".to_owned()));
    words.extend((options.read_only || read_only).then(|| "ro".to_owned()));
    let parsed: MountOptions = words
        .join(",")
        .parse()
        .with_context(|| format!("tmpfs {}", target.display()))?;
    Ok(Mount::Tmpfs {
        target,
        size: options.size.map(ByteSize::bytes),
        mode: options.mode,
        options: parsed,
    })
}
