//! Which services a command is about, and in which order they come.

use indexmap::IndexSet;

use crate::stack::Stack;

/// The named services and all that they depend on, each after what it depends on; all
/// services when none is named. The stack file's checks have ruled out cycles.
pub(crate) fn with_dependencies(stack: &Stack, named: &[String]) -> Result<Vec<String>, String> {
    let mut ordered = IndexSet::new();
    let all: Vec<String>;
    let wanted = if named.is_empty() {
        all = stack.services.keys().cloned().collect();
        &all
    } else {
        named
    };
    for name in wanted {
        if !stack.services.contains_key(name) {
            return Err(name.clone());
        }
        visit(stack, name, &mut ordered, 0);
    }
    Ok(ordered.into_iter().collect())
}

fn visit(stack: &Stack, name: &str, ordered: &mut IndexSet<String>, depth: usize) {
    // No chain is longer than the number of services: the bound holds also for a cycle.
    if ordered.contains(name) || depth > stack.services.len() {
        return;
    }
    if let Some(service) = stack.services.get(name) {
        for dependency in service.depends_on.keys() {
            visit(stack, dependency, ordered, depth + 1);
        }
        ordered.insert(name.to_owned());
    }
}
