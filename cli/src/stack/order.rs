//! What starts after what.

use super::model::Stack;
use std::collections::{HashMap, HashSet, VecDeque};

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

    /// `names` and all that they depend on, each after what it depends on; the whole
    /// stack when `names` is empty. What is no service is left out.
    pub(crate) fn with_dependencies(&self, names: &[String]) -> Vec<&str> {
        // A loaded stack has no circle; one made by hand keeps the file's order.
        let mut order = self
            .start_order()
            .unwrap_or_else(|_| self.services.keys().map(String::as_str).collect());
        if names.is_empty() {
            return order;
        }
        let mut wanted: HashSet<&str> = HashSet::new();
        let mut open: Vec<&str> = names.iter().map(String::as_str).collect();
        while let Some(name) = open.pop() {
            if let Some((name, service)) = self.services.get_key_value(name)
                && wanted.insert(name)
            {
                open.extend(service.depends_on.keys().map(String::as_str));
            }
        }
        order.retain(|name| wanted.contains(name));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Condition, Dependency, Service};
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
        assert_eq!(stack.with_dependencies(&["api".into()]), ["db", "api"]);
        assert_eq!(stack.with_dependencies(&[]).len(), 4);
        assert!(stack.with_dependencies(&["nope".into()]).is_empty());
    }

    #[test]
    fn a_circle_is_named_without_its_visitors() {
        let stack = stack(&[("x", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        assert_eq!(stack.start_order(), Err(vec!["a", "b", "c", "a"]));
        let stack = self::stack(&[("a", &["a"])]);
        assert_eq!(stack.start_order(), Err(vec!["a", "a"]));
    }
}
