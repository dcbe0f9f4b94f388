//! From what a user types to a container.

use std::ffi::OsStr;

use super::id::is_hex;
use super::registry::entries;
use super::{ContainerId, Name, Store, StoreError};

impl Store {
    /// The container with this id, or this name, or the only one whose id starts so: in
    /// this order, as Docker does it.
    ///
    /// # Errors
    /// [`StoreError::Ambiguous`] with the candidates, [`StoreError::NotFound`] with similar names.
    pub fn resolve(&self, what: &str) -> Result<ContainerId, StoreError> {
        if let Ok(id) = ContainerId::parse(what)
            && self.dirs.container(&id).exists()
        {
            return Ok(id);
        }
        // Only a valid name may become part of a path.
        if let Ok(name) = Name::parse(what)
            && let Some(id) = self.owner_of(OsStr::new(name.as_str()))?
            && self.dirs.container(&id).exists()
        {
            return Ok(id);
        }
        let mut fitting = if is_hex(what) {
            self.ids()?
        } else {
            Vec::new()
        };
        fitting.retain(|id| id.as_str().starts_with(what));
        match fitting.as_slice() {
            [] => Err(StoreError::NotFound {
                what: what.to_owned(),
                nearest: self.nearest(what)?,
            }),
            [id] => Ok(id.clone()),
            several => Err(StoreError::Ambiguous {
                prefix: what.to_owned(),
                candidates: several.iter().map(|id| self.describe(id)).collect(),
            }),
        }
    }

    /// The container that has this name, if any.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn owner_of_name(&self, name: &Name) -> Result<Option<ContainerId>, StoreError> {
        let owner = self.owner_of(OsStr::new(name.as_str()))?;
        Ok(owner.filter(|id| self.dirs.container(id).exists()))
    }

    fn describe(&self, id: &ContainerId) -> String {
        match self.load_state(id) {
            Ok(state) => format!("{} ({})", id.short(), state.name),
            Err(_) => id.short().to_owned(),
        }
    }

    /// At most three names that a slip of the finger may have made into `what`.
    fn nearest(&self, what: &str) -> Result<Vec<String>, StoreError> {
        let names = entries(&self.dirs.names())?;
        let mut near: Vec<(usize, &str)> = names
            .iter()
            .filter_map(|name| name.to_str())
            .map(|name| (edit_distance(what, name), name))
            .filter(|&(distance, name)| distance <= name.len().min(what.len()).div_ceil(3))
            .collect();
        near.sort_unstable();
        Ok(near
            .into_iter()
            .take(3)
            .map(|(_, name)| name.to_owned())
            .collect())
    }
}

/// Fewest insertions, deletions and replacements that make one text the other
/// (Levenshtein), case set aside.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.to_ascii_lowercase().into_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_ascii_lowercase().into_bytes().into_iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distances() {
        for (a, b, distance) in [
            ("", "", 0),
            ("web", "web", 0),
            ("web", "WEB", 0),
            ("web", "wbe", 2),
            ("", "db", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_a_metric(a in "[abc]{0,6}", b in "[abc]{0,6}", c in "[abc]{0,6}") {
            prop_assert_eq!(edit_distance(&a, &b), edit_distance(&b, &a));
            prop_assert_eq!(edit_distance(&a, &b) == 0, a == b);
            prop_assert!(edit_distance(&a, &c) <= edit_distance(&a, &b) + edit_distance(&b, &c));
        }
    }
}
