//! `coop config` and `coop plan`: what a stack file says, and what it means here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result};
use coop_launcher::store::StackName;
use coop_seccomp::Filter;
use serde::Serialize;

use crate::args::{ConfigArgs, DocumentFormat, PlanArgs, StackArgs};
use crate::host::Host;
use crate::load::Loaded;
use crate::plan::{self, ContainerPlan, Existing, StackPlan};
use crate::stack::{self, Stack};
use crate::supervise;
use crate::ui::{lines, print};

/// `coop config`.
pub(super) fn config(stack: &StackArgs, args: &ConfigArgs) -> Result<i32> {
    let loaded = Loaded::read(stack)?;
    let enabled = loaded.order(&[])?;
    let mut stack = loaded.stack;
    if !args.profile_names {
        stack.services.retain(|name, _| enabled.contains(name));
    }
    if args.quiet {
        return Ok(0);
    }
    print(&match args.format {
        _ if args.hash.is_some() => hashes(&stack, args.hash.as_deref().unwrap_or_default())?,
        _ if args.services => lines(stack.services.keys()),
        _ if args.volumes => lines(stack.volumes.keys()),
        _ if args.networks => lines(stack.networks.keys()),
        _ if args.profile_names => lines(profiles(&stack)),
        _ if args.images => lines(images(&stack)),
        DocumentFormat::Yaml => stack::to_yaml(&stack).map_err(Error::msg)?,
        DocumentFormat::Json => stack::to_json(&stack).map_err(Error::msg)? + "\n",
    })?;
    Ok(0)
}

/// What the file says of each service, in short: another hash is another service. It says
/// nothing of the image behind a name.
fn hashes(stack: &Stack, wanted: &str) -> Result<String> {
    let names: Vec<&str> = match wanted {
        "*" => stack.services.keys().map(String::as_str).collect(),
        names => names.split(',').collect(),
    };
    let hashes: Vec<_> = { names.into_iter() }
        .map(|name| {
            let service = { stack.services.get(name) }.with_context(|| {
                format!("no such service: {name}\n  help: `coop config --services` lists them")
            })?;
            let text = serde_json::to_vec(service).context("write the service")?;
            let digest = coop_image::Digest::of(&text).to_string();
            let hash = digest.rsplit(':').next().unwrap_or_default();
            Ok(format!("{name} {hash}"))
        })
        .collect::<Result<_>>()?;
    Ok(lines(hashes))
}

fn profiles(stack: &Stack) -> BTreeSet<&str> {
    let all = stack.services.values();
    all.flat_map(|service| service.instances.profiles.iter().map(String::as_str))
        .collect()
}

fn images(stack: &Stack) -> BTreeSet<&str> {
    let all = stack.services.values();
    all.filter_map(|service| service.image.as_deref()).collect()
}

/// `coop plan`. Only addresses and ranges of ids are open: they are leased by `up`.
pub(super) fn plan(host: &Host, stack: &StackArgs, args: &PlanArgs) -> Result<i32> {
    let loaded = Loaded::read(stack)?;
    let order = loaded.order(&args.services)?;
    let existing = Existing::of_states(host, &supervise::containers(host, &loaded.name()?)?);
    let plan = loaded.explain(plan::plan_stack(
        host,
        &loaded.stack,
        &order,
        &loaded.variables,
        &existing,
    ))?;
    let document = Document::new(&plan);
    let mut text = match args.format {
        DocumentFormat::Yaml => stack::yaml_document(&document).context("write the plan")?,
        DocumentFormat::Json => {
            serde_json::to_string_pretty(&document).context("write the plan")? + "\n"
        }
    };
    // Of a thousand digits nobody learns anything: `coop seccomp dump` shows what they are.
    for draft in &plan.drafts {
        if let Filter::Filtered(filtered) = &draft.plan.seccomp {
            let length = filtered.program.instructions().len();
            let short = format!("{length} instructions");
            text = text.replace(&filtered.program_text(), &short);
        }
    }
    print(&text)?;
    Ok(0)
}

/// What `up` would do.
#[derive(Serialize)]
struct Document<'a> {
    stack: &'a StackName,
    /// In the order in which they are made.
    containers: Vec<Container<'a>>,
}

#[derive(Serialize)]
struct Container<'a> {
    plan: &'a ContainerPlan,
    /// Directories of the host that are made when they are missing.
    #[serde(skip_serializing_if = "<[PathBuf]>::is_empty")]
    host_directories: &'a [PathBuf],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<Volume<'a>>,
}

#[derive(Serialize)]
struct Volume<'a> {
    name: &'a str,
    target: &'a Path,
    /// Whether a new one is filled with what the image has at the target.
    copy: bool,
    anonymous: bool,
    external: bool,
}

impl<'a> Document<'a> {
    fn new(plan: &'a StackPlan) -> Self {
        let containers = plan.drafts.iter().map(|draft| Container {
            plan: &draft.plan,
            host_directories: &draft.host_directories,
            volumes: draft
                .volumes
                .iter()
                .map(|volume| Volume {
                    name: &volume.name,
                    target: &volume.target,
                    copy: volume.copy,
                    anonymous: volume.anonymous,
                    external: volume.external,
                })
                .collect(),
        });
        Self {
            stack: &plan.name,
            containers: containers.collect(),
        }
    }
}
