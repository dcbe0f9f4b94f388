//! Which of many things the filters of a command leave, as Docker's lists have it.

use super::Filter;

/// Parses `KEY=VALUE`, the key being one of those that the command knows.
pub(super) fn known_filter(text: &str, known: &[&str]) -> Result<Filter, String> {
    let mut filter: Filter = text.parse()?;
    filter.key = filter.key.trim().to_lowercase();
    if !known.contains(&filter.key.as_str()) {
        return Err(format!(
            "no such filter: {:?}\n  help: there are {}",
            filter.key,
            known.join(", ")
        ));
    }
    if filter.negated && filter.key != "label" {
        return Err("only label can be negated".into());
    }
    Ok(filter)
}

/// All conditions of a command: of several about one thing any one will do, but all labels
/// must be there; as with Docker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions<'a>(pub(crate) &'a [Filter]);

impl<'a> Conditions<'a> {
    /// Whether something passes, of which `holds` says whether one condition is true.
    pub(crate) fn pass(self, mut holds: impl FnMut(&Filter) -> bool) -> bool {
        let mut groups: Vec<(&str, bool)> = Vec::new();
        for filter in self.0 {
            let truth = holds(filter) != filter.negated;
            let group = groups.iter_mut().find(|(key, _)| *key == filter.key);
            match group {
                Some((_, all)) if filter.key == "label" => *all &= truth,
                Some((_, any)) => *any |= truth,
                None => groups.push((&filter.key, truth)),
            }
        }
        groups.iter().all(|(_, truth)| *truth)
    }

    /// Whether there is a condition about this.
    pub(crate) fn has(self, key: &str) -> bool {
        self.0.iter().any(|filter| filter.key == key)
    }

    /// The values asked for of one thing.
    pub(crate) fn of(self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let fitting = self.0.iter().filter(move |filter| filter.key == key);
        fitting.map(|filter| filter.value.as_str())
    }
}

/// Whether labels fit `KEY` or `KEY=VALUE`.
pub(crate) fn label_fits<'l>(wanted: &str, label: impl Fn(&str) -> Option<&'l str>) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => label(key) == Some(value),
        None => label(wanted).is_some(),
    }
}

/// Whether a name contains what is asked for; `^` and `$` stand for its ends, as in the regular
/// expressions that Docker takes.
pub(crate) fn name_fits(wanted: &str, name: &str) -> bool {
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    let (begins, wanted) = match wanted.strip_prefix('^') {
        Some(rest) => (true, rest.strip_prefix('/').unwrap_or(rest)),
        None => (false, wanted),
    };
    let (ends, wanted) = match wanted.strip_suffix('$') {
        Some(rest) => (true, rest),
        None => (false, wanted),
    };
    match (begins, ends) {
        (true, true) => name == wanted,
        (true, false) => name.starts_with(wanted),
        (false, true) => name.ends_with(wanted),
        (false, false) => name.contains(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        known_filter(text, &["name", "label", "status"]).unwrap()
    }

    #[test]
    fn any_of_one_key_and_all_keys_and_all_labels_must_hold() {
        let pass = |filters: &[&str], true_ones: &[&str]| {
            let filters: Vec<_> = filters.iter().map(|text| filter(text)).collect();
            let truth = |filter: &Filter| {
                true_ones.contains(&format!("{}={}", filter.key, filter.value).as_str())
            };
            Conditions(&filters).pass(truth)
        };
        assert!(pass(&[], &[]));
        assert!(pass(&["name=a", "name=b"], &["name=b"]));
        assert!(!pass(&["name=a", "status=x"], &["name=a"]));
        assert!(pass(
            &["name=a", "status=x", "name=b"],
            &["name=b", "status=x"]
        ));
        assert!(!pass(&["label=a", "label=b=c"], &["label=a"]));
        assert!(pass(&["label=a", "label=b=c"], &["label=a", "label=b=c"]));
        assert!(!pass(&["label!=a"], &["label=a"]));
        assert!(pass(&["label!=a"], &[]));
    }

    #[test]
    fn what_is_no_filter_is_told_with_those_that_there_are() {
        let error = |text: &str| known_filter(text, &["name", "label"]).unwrap_err();
        assert!(error("name").contains("KEY=VALUE"));
        assert_eq!(error("name!=x"), "only label can be negated");
        assert_eq!(
            error("colour=red"),
            "no such filter: \"colour\"\n  help: there are name, label"
        );
    }

    #[test]
    fn names_are_parts_or_have_ends() {
        for (wanted, fits) in [
            ("web", true),
            ("shop-web-1", true),
            ("/shop", true),
            ("^shop", true),
            ("^/shop-web-1$", true),
            ("^web", false),
            ("-1$", true),
            ("^shop$", false),
            ("db", false),
        ] {
            assert_eq!(name_fits(wanted, "shop-web-1"), fits, "{wanted}");
        }
    }
}
