//! Names that a misspelled one may have meant.

use crate::reference::Reference;

const MOST: usize = 3;

/// Up to three of `known` that resemble `wanted`, best first: another tag of the same
/// name, the same last component, or a few wrong letters.
pub(super) fn names(wanted: &Reference, known: &[Reference]) -> Vec<String> {
    let mut scored: Vec<_> = known
        .iter()
        .filter_map(|candidate| Some((distance(wanted, candidate)?, candidate.to_string())))
        .collect();
    scored.sort();
    scored
        .into_iter()
        .take(MOST)
        .map(|(_, name)| name)
        .collect()
}

fn distance(wanted: &Reference, candidate: &Reference) -> Option<usize> {
    let (a, b) = (wanted.name(), candidate.name());
    if a == b {
        return Some(0);
    }
    if last(&a) == last(&b) {
        return Some(1);
    }
    let letters = edits(&a, &b).min(edits(last(&a), last(&b)) + 1);
    (letters <= 1 + a.len() / 4).then_some(letters + 1)
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Levenshtein's distance, in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substitute = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(wanted: &str, known: &[&str]) -> Vec<String> {
        let known: Vec<Reference> = known.iter().map(|name| name.parse().unwrap()).collect();
        names(&wanted.parse().unwrap(), &known)
    }

    #[test]
    fn distance_is_levenshteins() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn another_tag_comes_before_a_similar_name() {
        let known = ["alpino", "alpine:3.20", "debian"];
        assert_eq!(
            near("alpine:3.21", &known),
            ["alpine:3.20", "alpino:latest"]
        );
    }

    #[test]
    fn the_same_word_in_another_registry_is_near_and_nothing_else() {
        assert_eq!(near("host", &["coop/host", "nginx"]), ["coop/host:latest"]);
        assert!(near("postgres", &["coop/host", "nginx"]).is_empty());
    }
}
