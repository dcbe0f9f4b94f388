//! The names of containers, as the name server in a supervisor answers with them.
//!
//! What it tells of a container, its own or another supervisor's, it reads from the container's
//! saved state and plan: each change is saved there anyway, so names follow at once, and the
//! next supervisor knows what this one knew.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use coop_launcher::store::{ContainerId, FileStamp, Health, State, Status};
use coop_launcher::supervisor::Service;
use coop_net::dns::{Containers, NameServer, Resolution, Standing};
use serde_json::Value;

use crate::host::Host;
use crate::plan::ContainerPlan;
use crate::rootless::network::Place;

/// So many containers are remembered.
const REMEMBERED: usize = 512;
/// That a process lives is believed for so long, unless its state changes.
const BELIEVED: Duration = Duration::from_secs(1);

/// The name server of a supervisor.
pub(crate) struct NameService<'a> {
    server: RefCell<NameServer>,
    /// The server's own descriptor, once more: it can be lent while the server is at work.
    descriptor: OwnedFd,
    containers: Saved<'a>,
}

impl<'a> NameService<'a> {
    /// One that serves no network yet.
    pub(crate) fn new(host: &'a Host) -> std::io::Result<Self> {
        let server = NameServer::new(&host.networks)?;
        Ok(Self {
            descriptor: server.as_fd().try_clone_to_owned()?,
            server: RefCell::new(server),
            containers: Saved {
                host,
                states: RefCell::default(),
                resolutions: RefCell::default(),
            },
        })
    }

    /// Answers at the gateways of a network from now on, which are in this place. Says whether
    /// the network's rules have to be applied for that.
    pub(crate) fn serve(&self, network: &str, place: &Place) -> anyhow::Result<bool> {
        let mut server = self.server.borrow_mut();
        if server.serves(network)? {
            return Ok(false);
        }
        let networks = &self.containers.host.networks;
        let gateways = place.run(|| coop_net::dns::open(networks, network))??;
        Ok(server.serve_at(gateways)?)
    }
}

impl Service for NameService<'_> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    fn deadline(&self) -> Option<Instant> {
        self.server.borrow().deadline()
    }

    fn turn(&self) {
        self.server.borrow_mut().turn(&self.containers);
    }
}

/// Containers as they are saved.
struct Saved<'a> {
    host: &'a Host,
    states: RefCell<HashMap<String, Known>>,
    resolutions: RefCell<HashMap<String, (FileStamp, Rc<Resolution>)>>,
}

/// What is known of a container's state.
#[derive(Clone)]
struct Known {
    stamp: FileStamp,
    name: String,
    standing: Standing,
    /// When the process was looked at.
    seen: Instant,
}

impl Saved<'_> {
    fn state(&self, id: &str) -> Option<Known> {
        let id_of = ContainerId::parse(id).ok()?;
        let stamp = self.host.store.state_stamp(&id_of).ok()?;
        if let Some(known) = self.states.borrow().get(id)
            && known.stamp == stamp
            && known.seen.elapsed() < BELIEVED
        {
            return Some(known.clone());
        }
        let state = self.host.store.load_state(&id_of).ok()?;
        let known = Known {
            stamp,
            name: state.name.to_string(),
            standing: standing(&state),
            seen: Instant::now(),
        };
        remember(&self.states, id.to_owned(), known.clone());
        Some(known)
    }
}

impl Containers for Saved<'_> {
    fn standing(&self, id: &str) -> Standing {
        self.state(id)
            .map_or(Standing::Gone, |known| known.standing)
    }

    fn name(&self, id: &str) -> Option<String> {
        self.state(id).map(|known| known.name)
    }

    fn resolution(&self, id: &str) -> Rc<Resolution> {
        let known = || {
            let id_of = ContainerId::parse(id).ok()?;
            let stamp = self.host.store.config_stamp(&id_of).ok()?;
            if let Some((of, resolution)) = self.resolutions.borrow().get(id)
                && *of == stamp
            {
                return Some(Rc::clone(resolution));
            }
            let plan = self.host.store.load_config(&id_of).ok()?;
            let resolution = Rc::new(resolution(&plan));
            let known = (stamp, Rc::clone(&resolution));
            remember(&self.resolutions, id.to_owned(), known);
            Some(resolution)
        };
        known().unwrap_or_default()
    }
}

fn remember<K: Eq + Hash, V>(known: &RefCell<HashMap<K, V>>, key: K, value: V) {
    let mut known = known.borrow_mut();
    if known.len() >= REMEMBERED && !known.contains_key(&key) {
        known.clear();
    }
    known.insert(key, value);
}

/// How fit a container is to be named.
fn standing(state: &State) -> Standing {
    match state.status {
        // Its process ended just now: its supervisor will say what comes next.
        Status::Running | Status::Paused if !state.init_alive() => Standing::Awaited,
        // It does not answer, but goes on where it was.
        Status::Paused => Standing::Unhealthy,
        Status::Running => match state.health {
            None | Some(Health::Healthy) => Standing::Healthy,
            Some(Health::Starting) => Standing::Starting,
            Some(Health::Unhealthy) => Standing::Unhealthy,
        },
        Status::Creating | Status::Created if !state.awaits_start => Standing::Awaited,
        Status::Restarting => Standing::Awaited,
        _ => Standing::Gone,
    }
}

/// Where the names of a container come from, when it asks.
fn resolution(plan: &ContainerPlan) -> Resolution {
    Resolution {
        networks: plan.network.networks().map(str::to_owned).collect(),
        servers: plan.resolver.servers.clone(),
        aliases: { plan.resolver.links.iter() }
            .map(|(service, alias)| (alias.clone(), service.clone()))
            .collect(),
    }
}

/// Has a container's networks know it by the names that its plan says.
pub(crate) fn follow(host: &Host, plan: &ContainerPlan) {
    for attached in plan.network.attached() {
        let id = plan.unit.id.as_str();
        if let Err(error) = host
            .networks
            .set_names(&attached.network, id, &attached.names)
        {
            log::warn!("{}: {error}", plan.unit.name);
        }
    }
}

/// Puts a name in the place of another in all lists of names of a saved plan's connection, in
/// whatever version's shape. The first `kept` of a list stay.
pub(crate) fn replace(connection: &mut Value, old: &Value, new: &str, kept: usize) {
    match connection {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::Array(names) if key == "names" => {
                        let same = names.iter_mut().filter(|name| *name == old);
                        same.skip(kept).for_each(|name| *name = new.into());
                    }
                    value => replace(value, old, new, kept),
                }
            }
        }
        Value::Array(list) => { list.iter_mut() }.for_each(|it| replace(it, old, new, kept)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use coop_launcher::store::{Name, StackName};

    use super::*;

    #[test]
    fn a_name_is_replaced_in_a_plan_of_any_version_but_not_that_of_the_service() {
        let mut plan = serde_json::json!({"bridge": {
            "attached": [{"names": ["web", "web", "www"], "lease": {"names": ["web", "web"]}}],
            "ports": [],
        }});
        replace(&mut plan, &"web".into(), "old", 1);
        let expected = serde_json::json!({"bridge": {
            "attached": [{"names": ["web", "old", "www"], "lease": {"names": ["web", "old"]}}],
            "ports": [],
        }});
        assert_eq!(plan, expected);
        let mut plan = serde_json::json!({"bridge": {"names": ["box"], "lease": null}});
        replace(&mut plan, &"box".into(), "new", 0);
        assert_eq!(plan["bridge"]["names"][0], "new");
    }

    #[test]
    fn a_container_is_as_fit_as_its_state_says() {
        let mut state = State::new(
            ContainerId::random().unwrap(),
            Name::parse("web").unwrap(),
            StackName::parse("shop").unwrap(),
            "coop/host".into(),
        );
        assert_eq!(standing(&state), Standing::Awaited);
        state.wait_for_start();
        assert_eq!(
            standing(&state),
            Standing::Gone,
            "made, and nobody starts it"
        );
        state.set_process(rustix::process::getpid()).unwrap();
        state.set_running();
        assert_eq!(standing(&state), Standing::Healthy);
        for (health, fit) in [
            (Health::Starting, Standing::Starting),
            (Health::Healthy, Standing::Healthy),
            (Health::Unhealthy, Standing::Unhealthy),
        ] {
            state.health = Some(health);
            assert_eq!(standing(&state), fit);
        }
        state.pid_start_time = Some(1);
        assert_eq!(standing(&state), Standing::Awaited, "its process is gone");
        state.set_stopped(Some(0));
        assert_eq!(standing(&state), Standing::Gone);
        state.wait_for_restart(Duration::ZERO);
        assert_eq!(standing(&state), Standing::Awaited);
    }
}
