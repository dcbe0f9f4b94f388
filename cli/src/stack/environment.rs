//! The variables of a service's container.

use super::dotenv::{self, EnvFileError};
use super::interpolate::Variables;
use super::model::Service;
use indexmap::IndexMap;

impl Service {
    /// The service's variables: its files first to last, then its own. A name without
    /// a value takes `host`'s, and is left out when `host` has none.
    ///
    /// # Errors
    /// When a file cannot be read or is wrong.
    pub(crate) fn variables(
        &self,
        host: &Variables,
    ) -> Result<IndexMap<String, String>, EnvFileError> {
        let lookup = |name: &str| host.get(name).cloned();
        let mut all = IndexMap::new();
        for file in &self.env_file {
            let entries = match dotenv::load(&file.path, &lookup) {
                Err(error) if error.is_missing() && !file.required => continue,
                other => other?,
            };
            for (name, value) in entries {
                set(&mut all, name, value, host);
            }
        }
        for (name, value) in &self.environment {
            set(&mut all, name.clone(), value.clone(), host);
        }
        Ok(all)
    }
}

impl Service {
    /// The service's labels: its files first to last, then its own.
    ///
    /// # Errors
    /// When a file cannot be read or is wrong.
    pub(crate) fn labels(&self) -> Result<IndexMap<String, String>, EnvFileError> {
        let mut all = IndexMap::new();
        for file in &self.isolation.label_file {
            for (name, value) in dotenv::load(file, &|_| None)? {
                all.insert(name, value.unwrap_or_default());
            }
        }
        for (name, value) in &self.labels {
            all.insert(name.clone(), value.clone());
        }
        Ok(all)
    }
}

fn set(all: &mut IndexMap<String, String>, name: String, value: Option<String>, host: &Variables) {
    match value.or_else(|| host.get(&name).cloned()) {
        Some(value) => {
            all.insert(name, value);
        }
        None => {
            all.shift_remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::EnvFile;
    use super::*;

    #[test]
    fn later_wins_and_the_host_fills_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.env");
        std::fs::write(&path, "A=file\nB=file\nHOST\nGONE=1\n").unwrap();
        let missing = EnvFile {
            path: dir.path().join("none"),
            required: false,
        };
        let own = [("B", Some("own")), ("GONE", None), ("ALSO_GONE", None)];
        let service = Service {
            env_file: vec![
                EnvFile {
                    path,
                    required: true,
                },
                missing.clone(),
            ],
            environment: own
                .map(|(k, v)| (k.to_owned(), v.map(str::to_owned)))
                .into(),
            ..Service::default()
        };
        let host = Variables::from([("HOST".to_owned(), "h".to_owned())]);
        let all = service.variables(&host).unwrap();
        let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(all, [("A", "file"), ("B", "own"), ("HOST", "h")]);

        let required = Service {
            env_file: vec![EnvFile {
                required: true,
                ..missing
            }],
            ..Service::default()
        };
        assert!(required.variables(&host).unwrap_err().is_missing());
    }
}
