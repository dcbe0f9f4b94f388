//! `coop system df`: what takes up space on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use coop_image::Image;
use coop_launcher::store::{State, Status};
use serde_json::{Value, json};

use crate::args::{Format, SystemDfArgs};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::ui::{ago, decimal_size, listing, print};
use crate::usage_on_disk;
use crate::users::{VolumeUsers, layers_of, volumes_of};

/// `coop system df`.
pub(super) fn df(host: &Host, args: &SystemDfArgs) -> Result<i32> {
    let usage = Usage::measure(host)?;
    let text = if args.verbose {
        usage.details(&args.format)?
    } else {
        let columns = [
            ("TYPE", "Type"),
            ("TOTAL", "TotalCount"),
            ("ACTIVE", "Active"),
            ("SIZE", "Size"),
            ("RECLAIMABLE", "Reclaimable"),
        ];
        listing(&args.format, &columns, &usage.summary())?
    };
    print(&text)?;
    Ok(0)
}

struct Container {
    state: State,
    plan: Option<ContainerPlan>,
    bytes: u64,
    volumes: usize,
}

struct Volume {
    name: String,
    users: usize,
    bytes: u64,
}

/// Everything on disk, measured.
struct Usage {
    images: Vec<Image>,
    /// Each layer once, with its size and how many images have it.
    layers: BTreeMap<PathBuf, (u64, usize)>,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
}

impl Usage {
    fn measure(host: &Host) -> Result<Self> {
        let images = host.images.list()?;
        let mut layers: BTreeMap<PathBuf, (u64, usize)> = BTreeMap::new();
        for image in &images {
            for layer in &image.layers {
                let size = || match image.layers.as_slice() {
                    [_] => image.size,
                    _ => usage_on_disk::size(layer),
                };
                layers.entry(layer.clone()).or_insert_with(|| (size(), 0)).1 += 1;
            }
        }
        let mut containers = Vec::new();
        for state in host.store.list()? {
            let plan = host.store.load_config::<ContainerPlan>(&state.id).ok();
            let upper = host.store.dirs().container(&state.id).join("upper");
            containers.push(Container {
                bytes: usage_on_disk::size(&upper),
                volumes: plan.as_ref().map_or(0, |plan| volumes_of(host, plan).len()),
                state,
                plan,
            });
        }
        let users = VolumeUsers::find(host)?;
        let mut volumes = Vec::new();
        for name in host.volumes.list()? {
            volumes.push(Volume {
                users: users.of(&name).len(),
                bytes: usage_on_disk::size(&host.volumes.path(&name)?),
                name,
            });
        }
        Ok(Self {
            images,
            layers,
            containers,
            volumes,
        })
    }

    fn used_layers(&self) -> BTreeSet<&PathBuf> {
        let plans = self.containers.iter().filter_map(|it| it.plan.as_ref());
        plans.flat_map(layers_of).collect()
    }

    /// How many containers have an image's layers.
    fn users_of(&self, image: &Image) -> usize {
        let has = |container: &&Container| {
            let plan = container.plan.as_ref();
            plan.is_some_and(|plan| {
                !image.layers.is_empty() && layers_of(plan).ends_with(&image.layers)
            })
        };
        self.containers.iter().filter(has).count()
    }

    fn summary(&self) -> Vec<Value> {
        let used = self.used_layers();
        let total: u64 = self.layers.values().map(|(size, _)| size).sum();
        let free = self
            .layers
            .iter()
            .filter(|(layer, _)| !used.contains(layer));
        let images = Row {
            kind: "Images",
            total: self.images.len(),
            active: self
                .images
                .iter()
                .filter(|it| self.users_of(it) > 0)
                .count(),
            size: total,
            reclaimable: free.map(|(_, (size, _))| size).sum(),
        };
        let live = |container: &&Container| is_live(&container.state);
        let containers = Row {
            kind: "Containers",
            total: self.containers.len(),
            active: self.containers.iter().filter(live).count(),
            size: self.containers.iter().map(|it| it.bytes).sum(),
            reclaimable: {
                let ended = self.containers.iter().filter(|it| !live(it));
                ended.map(|it| it.bytes).sum()
            },
        };
        let volumes = Row {
            kind: "Local Volumes",
            total: self.volumes.len(),
            active: self.volumes.iter().filter(|it| it.users > 0).count(),
            size: self.volumes.iter().map(|it| it.bytes).sum(),
            reclaimable: {
                let unused = self.volumes.iter().filter(|it| it.users == 0);
                unused.map(|it| it.bytes).sum()
            },
        };
        [images, containers, volumes]
            .iter()
            .map(Row::json)
            .collect()
    }

    /// Docker's three tables of `-v`; as JSON or by a template one document.
    fn details(&self, format: &Format) -> Result<String> {
        let now = SystemTime::now();
        let (images, containers) = (self.image_rows(now), self.container_rows(now));
        let volumes: Vec<_> = self
            .volumes
            .iter()
            .map(|it| json!({"Name": it.name, "Links": it.users, "Size": decimal_size(it.bytes)}))
            .collect();
        if *format != Format::Table {
            let all = json!({"Images": images, "Containers": containers, "Volumes": volumes});
            return crate::ui::document(format, &all);
        }
        let mut text = String::new();
        for (title, columns, rows) in [
            ("Images", &IMAGES[..], images),
            ("Containers", &CONTAINERS[..], containers),
            ("Local Volumes", &VOLUMES[..], volumes),
        ] {
            let table = listing(format, columns, &rows)?;
            // Into a string: cannot fail.
            let _ = writeln!(text, "{title} space usage:\n\n{table}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        Ok(text)
    }

    fn image_rows(&self, now: SystemTime) -> Vec<Value> {
        let row = |image: &Image| {
            let size_of = |layer: &PathBuf| self.layers.get(layer).copied().unwrap_or_default();
            let sizes: Vec<_> = image.layers.iter().map(size_of).collect();
            let shared = sizes.iter().filter(|(_, images)| *images > 1);
            let shared: u64 = shared.map(|(size, _)| size).sum();
            let total: u64 = sizes.iter().map(|(size, _)| size).sum();
            let created = UNIX_EPOCH + Duration::from_secs(image.created);
            json!({
                "Repository": image.reference.name(),
                "Tag": image.reference.tag().unwrap_or("<none>"),
                "ID": image.id.short(),
                "CreatedSince": ago(created, now),
                "Size": decimal_size(total),
                "SharedSize": decimal_size(shared),
                "UniqueSize": decimal_size(total - shared),
                "Containers": self.users_of(image),
            })
        };
        self.images.iter().map(row).collect()
    }

    fn container_rows(&self, now: SystemTime) -> Vec<Value> {
        let row = |container: &Container| {
            let state = &container.state;
            json!({
                "ID": state.id.short(),
                "Image": state.image,
                "Command": format!("{:?}", crate::ui::ellipsis(&crate::ui::command_line(&state.command), 20)),
                "LocalVolumes": container.volumes,
                "Size": decimal_size(container.bytes),
                "RunningFor": ago(state.created, now),
                "Status": super::super::ps::status_word(state.current_status()),
                "Names": state.name,
            })
        };
        self.containers.iter().map(row).collect()
    }
}

const IMAGES: [(&str, &str); 8] = [
    ("REPOSITORY", "Repository"),
    ("TAG", "Tag"),
    ("IMAGE ID", "ID"),
    ("CREATED", "CreatedSince"),
    ("SIZE", "Size"),
    ("SHARED SIZE", "SharedSize"),
    ("UNIQUE SIZE", "UniqueSize"),
    ("CONTAINERS", "Containers"),
];
const CONTAINERS: [(&str, &str); 8] = [
    ("CONTAINER ID", "ID"),
    ("IMAGE", "Image"),
    ("COMMAND", "Command"),
    ("LOCAL VOLUMES", "LocalVolumes"),
    ("SIZE", "Size"),
    ("CREATED", "RunningFor"),
    ("STATUS", "Status"),
    ("NAMES", "Names"),
];
const VOLUMES: [(&str, &str); 3] = [
    ("VOLUME NAME", "Name"),
    ("LINKS", "Links"),
    ("SIZE", "Size"),
];

fn is_live(state: &State) -> bool {
    matches!(
        state.current_status(),
        Status::Running | Status::Paused | Status::Restarting
    )
}

/// A line of the summary.
struct Row {
    kind: &'static str,
    total: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
}

impl Row {
    fn json(&self) -> Value {
        let percent = (self.reclaimable * 100).checked_div(self.size);
        let reclaimable = match percent {
            Some(percent) => format!("{} ({percent}%)", decimal_size(self.reclaimable)),
            None => decimal_size(self.reclaimable),
        };
        json!({
            "Type": self.kind,
            "TotalCount": self.total.to_string(),
            "Active": self.active.to_string(),
            "Size": decimal_size(self.size),
            "Reclaimable": reclaimable,
        })
    }
}
