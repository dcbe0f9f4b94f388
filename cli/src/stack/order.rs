//! What starts after what.

use super::diagnostic::Diagnostic;
use super::model::{Condition, Dependency, Service, Stack};
use super::path::NodePath;
use super::value::{IpcMode, NetworkMode, PidMode};
use std::collections::{HashMap, HashSet, VecDeque};

impl Service {
    /// The services of the same stack whose namespaces it joins, by key.
    pub(super) fn joins(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pid = match &self.isolation.pid {
            Some(PidMode::Of(peer)) => peer.service(),
            _ => None,
        };
        let ipc = match &self.isolation.ipc {
            Some(IpcMode::Of(peer)) => peer.service(),
            _ => None,
        };
        let network = match &self.network_mode {
            Some(NetworkMode::Of(peer)) => peer.service(),
            _ => None,
        };
        let with_key = |key| move |name| (key, name);
        pid.map(with_key("pid"))
            .into_iter()
            .chain(ipc.map(with_key("ipc")))
            .chain(network.map(with_key("network_mode")))
    }
}

impl Stack {
    /// The services in an order in which each comes after all that it depends on, and
    /// otherwise in the file's order.
    ///
    /// # Errors
    /// Services that depend on each other in a circle, the first one again at the end.
    pub(crate) fn start_order(&self) -> Result<Vec<&str>, Vec<&str>> {
        let mut missing: HashMap<&str, usize> = HashMap::new();
        let mut dependants: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, service) in &self.services {
            let present = service
                .depends_on
                .keys()
                .filter(|n| self.services.contains_key(*n));
            let mut count = 0;
            for dependency in present {
                dependants.entry(dependency).or_default().push(name);
                count += 1;
            }
            missing.insert(name, count);
        }
        let free = |name: &&str| missing.get(name) == Some(&0);
        let mut ready: VecDeque<&str> = self
            .services
            .keys()
            .map(String::as_str)
            .filter(free)
            .collect();
        let mut order = Vec::with_capacity(self.services.len());
        while let Some(name) = ready.pop_front() {
            order.push(name);
            for dependant in dependants.get(name).into_iter().flatten() {
                if let Some(count) = missing.get_mut(dependant) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push_back(dependant);
                    }
                }
            }
        }
        if order.len() == self.services.len() {
            Ok(order)
        } else {
            Err(self.circle(&order))
        }
    }

    /// A service comes after those that it is linked to, as with compose, and after those whose
    /// namespaces it joins: these have to be there, and anew it is anew as well.
    /// What is no service is for [`check`](super::check) to say.
    pub(super) fn add_implied_dependencies(&mut self) {
        let known: HashSet<String> = self.services.keys().cloned().collect();
        for (own, service) in &mut self.services {
            let joined: Vec<_> = service
                .joins()
                .map(|(_, to)| (to.to_owned(), true))
                .collect();
            let linked = service.links().map(|(to, _)| (to.to_owned(), false));
            let implied: Vec<_> = joined.into_iter().chain(linked).collect();
            for (name, restart) in implied {
                // That it joins itself is for the check to say, too.
                if !known.contains(&name) || name == *own {
                    continue;
                }
                service.depends_on.entry(name).or_insert(Dependency {
                    condition: Condition::ServiceStarted,
                    required: true,
                    restart,
                });
            }
        }
    }

    /// A circle among the services that are not in `order`. Each of them depends on
    /// another one of them, so following those must come back.
    fn circle(&self, order: &[&str]) -> Vec<&str> {
        let started: HashSet<&str> = order.iter().copied().collect();
        let left = |name: &&str| self.services.contains_key(*name) && !started.contains(name);
        let mut walk: Vec<&str> = Vec::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        let mut next = self.services.keys().map(String::as_str).find(left);
        while let Some(name) = next {
            if let Some(start) = seen.insert(name, walk.len()) {
                walk.push(name);
                return walk.split_off(start);
            }
            walk.push(name);
            next = self.services[name]
                .depends_on
                .keys()
                .map(String::as_str)
                .find(left);
        }
        walk
    }

    /// `names` and all that they depend on, each after what it depends on; all services of
    /// the profiles when `names` is empty. What is no service is left out. A service that is
    /// named is there in spite of its profiles, and so are those that share them.
    ///
    /// # Errors
    /// A service depends on one that the profiles do not have.
    pub(crate) fn with_dependencies(
        &self,
        names: &[String],
        profiles: &[String],
    ) -> Result<Vec<&str>, Diagnostic> {
        // A loaded stack has no circle; one made by hand keeps the file's order.
        let mut order = self
            .start_order()
            .unwrap_or_else(|_| self.services.keys().map(String::as_str).collect());
        let own = names.iter().filter_map(|name| self.services.get(name));
        let of_named = own.flat_map(|service| service.instances.profiles.iter());
        let profiles: Vec<String> = profiles.iter().chain(of_named).cloned().collect();
        let mut wanted: HashSet<&str> = HashSet::new();
        let mut open: Vec<&str> = if names.is_empty() {
            let all = self.services.iter();
            all.filter(|(_, service)| service.is_enabled(&profiles))
                .map(|(name, _)| name.as_str())
                .collect()
        } else {
            names.iter().map(String::as_str).collect()
        };
        while let Some(name) = open.pop() {
            let Some((name, service)) = self.services.get_key_value(name) else {
                continue;
            };
            if !wanted.insert(name) {
                continue;
            }
            for (on, dependency) in &service.depends_on {
                let target = self.services.get(on);
                if target.is_none_or(|target| target.is_enabled(&profiles)) {
                    open.push(on);
                } else if dependency.required && !names.contains(on) {
                    return Err(disabled(name, on, target));
                }
            }
        }
        order.retain(|name| wanted.contains(name));
        Ok(order)
    }
}

impl Service {
    /// The services that it is linked to, each with the name that it calls it by.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.links
            .iter()
            .map(|link| link.split_once(':').unwrap_or((link, link)))
    }
}

/// A service depends on one that is in none of the profiles that are on.
fn disabled(name: &str, on: &str, target: Option<&Service>) -> Diagnostic {
    let profiles = target.map_or(&[] as &[String], |target| &target.instances.profiles);
    let path = NodePath::service(name).key("depends_on").key(on);
    let message = format!("{name}: it depends on {on}, which is disabled by its profiles");
    let profile = profiles.first().map_or("", String::as_str);
    Diagnostic::at(path, message).help(format!(
        "enable it with --profile {profile}, or write required: false"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(services: &[(&str, &[&str])]) -> Stack {
        let dependency = Dependency {
            condition: Condition::ServiceStarted,
            required: true,
            restart: false,
        };
        let service = |on: &[&str]| Service {
            depends_on: on
                .iter()
                .map(|n| ((*n).to_owned(), dependency.clone()))
                .collect(),
            ..Service::default()
        };
        let services = services
            .iter()
            .map(|(n, on)| ((*n).to_owned(), service(on)))
            .collect();
        Stack {
            services,
            ..Stack::default()
        }
    }

    #[test]
    fn dependencies_come_first() {
        let stack = stack(&[
            ("web", &["api", "cache"]),
            ("api", &["db"]),
            ("db", &[]),
            ("cache", &[]),
        ]);
        assert_eq!(stack.start_order(), Ok(vec!["db", "cache", "api", "web"]));
        let with = |names: &[String]| stack.with_dependencies(names, &[]).unwrap();
        assert_eq!(with(&["api".into()]), ["db", "api"]);
        assert_eq!(with(&[]).len(), 4);
        assert!(with(&["nope".into()]).is_empty());
    }

    #[test]
    fn a_circle_is_named_without_its_visitors() {
        let stack = stack(&[("x", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        assert_eq!(stack.start_order(), Err(vec!["a", "b", "c", "a"]));
        let stack = self::stack(&[("a", &["a"])]);
        assert_eq!(stack.start_order(), Err(vec!["a", "a"]));
    }

    #[test]
    fn profiles_choose_and_a_name_wins_over_them() {
        let mut stack = stack(&[
            ("web", &["db"]),
            ("db", &[]),
            ("debug", &["tool"]),
            ("tool", &[]),
        ]);
        for name in ["debug", "tool"] {
            stack.services[name].instances.profiles = vec!["dev".into()];
        }
        let with = |names: &[&str], profiles: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
            let order = stack.with_dependencies(&owned(names), &owned(profiles));
            order.map_err(|problem| problem.message)
        };
        assert_eq!(with(&[], &[]).unwrap(), ["db", "web"]);
        assert_eq!(with(&[], &["dev"]).unwrap().len(), 4);
        assert_eq!(with(&[], &["*"]).unwrap().len(), 4);
        assert_eq!(with(&["debug"], &[]).unwrap(), ["tool", "debug"]);
        stack.services["debug"].instances.profiles = Vec::new();
        let with = stack.with_dependencies(&[], &[]);
        assert_eq!(
            with.unwrap_err().message,
            "debug: it depends on tool, which is disabled by its profiles"
        );
    }
}
