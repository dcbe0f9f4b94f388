//! YAML's merge key: `<<: *other` and `<<: [*one, *two]`.

use super::diagnostic::Diagnostic;
use super::node::{Map, Node};
use super::path::NodePath;

/// The merge key.
pub(super) const KEY: &str = "<<";

/// Replaces every merge key below `node` by what it merges.
///
/// A key that the mapping has itself wins over a merged one, and the first of
/// several merged mappings wins over the later ones; only whole values are taken.
pub(super) fn apply(node: &mut Node, path: &NodePath, problems: &mut Vec<Diagnostic>) {
    match node {
        Node::List(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                apply(item, &path.index(index), problems);
            }
        }
        Node::Map(map) => {
            for (key, value) in map.iter_mut() {
                apply(value, &path.key(key), problems);
            }
            if let Some(merged) = map.shift_remove(KEY) {
                merge(map, merged, &path.key(KEY), problems);
            }
        }
        _ => {}
    }
}

fn merge(map: &mut Map, from: Node, path: &NodePath, problems: &mut Vec<Diagnostic>) {
    let sources = match from {
        Node::List(list) => list,
        other => vec![other],
    };
    for source in sources {
        match source {
            Node::Map(source) => {
                for (key, value) in source {
                    map.entry(key).or_insert(value);
                }
            }
            other => problems.push(
                Diagnostic::at(
                    path.clone(),
                    format!("`<<` merges mappings, and this is {}", other.describe()),
                )
                .help("write <<: *name, where &name stands before a mapping"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;

    fn yaml(text: &str) -> String {
        yaml::to_string(&yaml::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn own_keys_win_and_earlier_sources_win() {
        let text = "
x-a: &a {one: a, two: a}
x-b: &b {two: b, three: b}
both: {<<: [*a, *b], three: own}
one: {<<: *b}
";
        assert!(
            yaml(text)
                .ends_with("both:\n  three: own\n  one: a\n  two: a\none:\n  two: b\n  three: b\n")
        );
    }

    #[test]
    fn a_merge_may_hold_a_merge() {
        let text = "x-a: &a {a: 1}\nx-b: &b {<<: *a, b: 2}\nc: {<<: *b}\n";
        assert!(yaml(text).ends_with("c:\n  b: 2\n  a: 1\n"));
    }

    #[test]
    fn only_mappings_merge() {
        let problems = yaml::parse("x: &x 5\na: {<<: *x}\nb: {<<: [*x]}\n").unwrap_err();
        assert_eq!(problems.len(), 2);
    }
}
