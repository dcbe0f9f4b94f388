//! `coop events`: what happens, as it happens.

mod shape;

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use anyhow::{Context, Result};
use coop_launcher::logs::DirWatch;
use coop_launcher::store::{ContainerId, Event, make_private_dir};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::args::{Conditions, EventsArgs, Filter, Format, label_fits};
use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::ui;

/// `coop events`.
pub(super) fn events(host: &Host, args: &EventsArgs) -> Result<i32> {
    let run = &host.store.dirs().run;
    make_private_dir(run)?;
    // Watched before it is read: what comes in between wakes us.
    let changes = DirWatch::new()?;
    changes.add(run)?;
    let mut reader = host.store.events();
    let mut labels = Labels::new(host);
    let wanted = |event: &Event, labels: &mut Labels<'_>| {
        let after = args.since.is_none_or(|since| event.time >= since.get());
        let before = args.until.is_none_or(|until| event.time <= until.get());
        after && before && Conditions(&args.filters).pass(|filter| fits(event, filter, labels))
    };
    let history = reader.read()?;
    if args.since.is_some() || args.until.is_some() {
        show(
            history.iter().filter(|event| wanted(event, &mut labels)),
            args,
        )?;
    }
    loop {
        let now = SystemTime::now();
        let left = match args.until.map(|until| until.get().duration_since(now)) {
            Some(Err(_)) => return Ok(0),
            Some(Ok(left)) => Some(left),
            None => None,
        };
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(&changes, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("wait for events"),
        }
        changes.forget_changes();
        let news = reader.read()?;
        show(news.iter().filter(|event| wanted(event, &mut labels)), args)?;
    }
}

fn show<'e>(events: impl Iterator<Item = &'e Event>, args: &EventsArgs) -> Result<()> {
    for event in events {
        ui::print(&match &args.format {
            None | Some(Format::Table) => shape::text(event),
            Some(format @ Format::Json) => ui::document(format, &shape::object(event))?,
            Some(format) => ui::listing(format, &[], &[shape::fields(event)])?,
        })?;
    }
    Ok(())
}

fn fits(event: &Event, filter: &Filter, labels: &mut Labels<'_>) -> bool {
    let wanted = filter.value.as_str();
    let attribute = |key: &str| event.attributes.get(key).map(String::as_str);
    let is_it = |kind: &str| {
        event.kind == kind && (event.id.starts_with(wanted) || attribute("name") == Some(wanted))
    };
    match filter.key.as_str() {
        // `health_status` is meant whatever the status is.
        "event" => {
            let general = event.action.split_once(':').map(|(general, _)| general);
            event.action == wanted || general == Some(wanted)
        }
        "type" => event.kind == wanted,
        "stack" | "project" => attribute("stack") == Some(wanted),
        "service" => attribute("service") == Some(wanted),
        "image" => is_it("image") || attribute("image") == Some(wanted),
        "label" => labels.fit(event, wanted),
        kind => is_it(kind),
    }
}

/// The labels of containers, which are not in their events: learnt while a container exists,
/// and known still when it has been removed.
struct Labels<'a> {
    host: &'a Host,
    known: HashMap<String, BTreeMap<String, String>>,
}

impl<'a> Labels<'a> {
    fn new(host: &'a Host) -> Self {
        Self {
            host,
            known: HashMap::new(),
        }
    }

    /// Whether the container of an event has a label.
    fn fit(&mut self, event: &Event, wanted: &str) -> bool {
        if !self.known.contains_key(&event.id) {
            let plan = ContainerId::parse(&event.id)
                .and_then(|id| self.host.store.load_config::<ContainerPlan>(&id));
            match plan {
                Ok(plan) => _ = self.known.insert(event.id.clone(), plan.labels),
                Err(error) => log::debug!("labels of {}: {error}", event.id),
            }
        }
        self.known
            .get(&event.id)
            .is_some_and(|labels| label_fits(wanted, |key| labels.get(key).map(String::as_str)))
    }
}
