//! The stack that a command is about, and the containers that its words mean.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use coop_launcher::store::{StackName, State};

use crate::args::{ReplicaArgs, Scale, StackArgs};
use crate::host::Host;
use crate::stack::{self, Diagnostic, LoadError, Request, Source, Stack, Variables};
use crate::supervise;

/// A stack file that was read, with all that later errors need.
pub(crate) struct Loaded {
    /// The stack.
    pub stack: Stack,
    /// What a variable without a value takes its value from.
    pub variables: Variables,
    source: Source,
    /// The profiles that are on.
    profiles: Vec<String>,
}

/// An error that can be shown where it is in the stack file.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub(crate) struct Located(pub Diagnostic);

impl Loaded {
    /// The stack file, as an absolute path; none when it came from standard input.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        std::fs::canonicalize(self.source.file()).ok()
    }

    /// Reads the stack file, and says what is worth a warning.
    pub(crate) fn read(args: &StackArgs) -> Result<Self> {
        let environment = std::env::vars().collect();
        let directory = std::env::current_dir().context("find the working directory")?;
        let loaded = stack::load(Request {
            file: args.file.as_deref(),
            project: args.project.as_deref(),
            directory: &directory,
            environment: &environment,
        })?;
        for warning in &loaded.warnings {
            log::warn!("{}", warning.render(&loaded.source));
        }
        let profiles = if args.profiles.is_empty() {
            let listed = loaded.variables.get("COMPOSE_PROFILES");
            let names = listed.iter().flat_map(|list| list.split(','));
            names
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect()
        } else {
            args.profiles.clone()
        };
        Ok(Self {
            stack: loaded.stack,
            variables: loaded.variables,
            source: loaded.source,
            profiles,
        })
    }

    /// The stack of a text that is in no file, for tests.
    #[cfg(test)]
    pub(crate) fn from_text(text: &str, directory: &Path) -> Result<Self> {
        let source = Source::new("stack.yaml", text);
        let loaded = stack::parse(source, directory, Variables::new(), None)?;
        Ok(Self {
            stack: loaded.stack,
            variables: loaded.variables,
            source: loaded.source,
            profiles: Vec::new(),
        })
    }

    /// As [`read`](Self::read); none when no file is named and none is here.
    pub(crate) fn find(args: &StackArgs) -> Result<Option<Self>> {
        match Self::read(args) {
            Ok(loaded) => Ok(Some(loaded)),
            Err(error) if matches!(error.downcast_ref(), Some(LoadError::NotFound { .. })) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The stack's name.
    pub(crate) fn name(&self) -> Result<StackName> {
        Ok(StackName::parse(&self.stack.name)?)
    }

    /// The named services and all that they depend on, each after what it depends on; all that
    /// the profiles have when none is named.
    pub(crate) fn order(&self, named: &[String]) -> Result<Vec<String>> {
        self.check_known(named)?;
        let order = self.stack.with_dependencies(named, &self.profiles);
        let order = self.explain(order.map_err(|problem| Located(problem).into()))?;
        Ok(order.into_iter().map(str::to_owned).collect())
    }

    /// The same without what the named services depend on.
    pub(crate) fn order_alone(&self, named: &[String]) -> Result<Vec<String>> {
        let mut order = self.order(named)?;
        order.retain(|name| named.is_empty() || named.contains(name));
        Ok(order)
    }

    fn check_known(&self, named: &[String]) -> Result<()> {
        let unknown = named
            .iter()
            .find(|name| !self.stack.services.contains_key(*name));
        if let Some(unknown) = unknown {
            let known: Vec<_> = self.stack.services.keys().map(String::as_str).collect();
            bail!(
                "no such service: {unknown}\n  help: the stack has {}",
                known.join(", ")
            );
        }
        Ok(())
    }

    /// Gives services another number of containers (`--scale`).
    pub(crate) fn scale(&mut self, scales: &[Scale]) -> Result<()> {
        for Scale { service, replicas } in scales {
            self.check_known(std::slice::from_ref(service))?;
            if let Some(scaled) = self.stack.services.get_mut(service) {
                scaled.instances.scale = Some(*replicas);
                if let Some(deploy) = &mut scaled.deploy {
                    deploy.replicas = None;
                }
            }
            if let Some(problem) = self.stack.replicas_problem(service) {
                return self.explain(Err(Located(problem).into()));
            }
        }
        Ok(())
    }

    /// Shows an error in the stack file where it can be: [`Located`] knows the place.
    pub(crate) fn explain<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| match error.downcast::<Located>() {
            Ok(Located(diagnostic)) => diagnostic.into_report(&self.source).into(),
            Err(error) => error,
        })
    }
}

/// The stack's name, from its file or from the command line alone.
pub(crate) fn stack_name(args: &StackArgs) -> Result<StackName> {
    match (&args.file, &args.project) {
        (None, Some(name)) => Ok(StackName::parse(name)?),
        _ => Loaded::read(args)?.name(),
    }
}

/// The stack that names may be services of: asked for, or of this directory.
pub(crate) fn stack_in_scope(args: &StackArgs) -> Option<StackName> {
    let asked_for = args.file.is_some() || args.project.is_some();
    let here = || stack::find_file(Path::new(".")).is_some();
    (asked_for || here())
        .then(|| stack_name(args).ok())
        .flatten()
}

/// The container that a name means: a service of the stack in scope (its first replica), a
/// container's name, its id, or a prefix of that.
pub(crate) fn resolve(host: &Host, args: &StackArgs, name: &str) -> Result<State> {
    resolve_replica(host, args, name, ReplicaArgs::default())
}

/// As [`resolve`], for a command that can be told which replica of the service.
pub(crate) fn resolve_replica(
    host: &Host,
    args: &StackArgs,
    name: &str,
    replica: ReplicaArgs,
) -> Result<State> {
    let mut replicas = replicas(host, args, name)?;
    match replica.index {
        None if replicas.is_empty() => container(host, name),
        None => Ok(replicas.swap_remove(0)),
        Some(_) if replicas.is_empty() => {
            let state = container(host, name)?;
            bail!(
                "container {} is no service of a stack\n  help: leave out --index",
                state.name
            )
        }
        Some(index) => match { replicas.iter() }.position(|one| number(one) == Some(index)) {
            Some(place) => Ok(replicas.swap_remove(place)),
            None => bail!(
                "service {name} has no replica {index}\n  help: it has {}",
                numbers(&replicas)
            ),
        },
    }
}

/// All containers that a name means: every replica of a service of the stack in scope, or the
/// one container.
pub(crate) fn resolve_all(host: &Host, args: &StackArgs, name: &str) -> Result<Vec<State>> {
    let replicas = replicas(host, args, name)?;
    if replicas.is_empty() {
        return Ok(vec![container(host, name)?]);
    }
    Ok(replicas)
}

/// The named containers, each once, or all of the stack.
pub(crate) fn select(host: &Host, args: &StackArgs, names: &[String]) -> Result<Vec<State>> {
    if names.is_empty() {
        let name = stack_name(args)?;
        return supervise::containers(host, &name);
    }
    let mut selected: Vec<State> = Vec::new();
    for name in names {
        for state in resolve_all(host, args, name)? {
            if selected.iter().all(|other| other.id != state.id) {
                selected.push(state);
            }
        }
    }
    Ok(selected)
}

/// The containers of a service of the stack in scope, in the order of their numbers.
fn replicas(host: &Host, args: &StackArgs, service: &str) -> Result<Vec<State>> {
    let Some(stack) = stack_in_scope(args) else {
        return Ok(Vec::new());
    };
    let mut replicas = supervise::containers(host, &stack)?;
    replicas.retain(|state| state.service.as_deref() == Some(service));
    // One with a name of its own comes last; those of the same number stay by age.
    replicas.sort_by_key(|state| number(state).unwrap_or(u32::MAX));
    Ok(replicas)
}

/// The number of a replica, which `up` put at the end of its name.
fn number(state: &State) -> Option<u32> {
    let service = state.service.as_deref()?;
    let (of_service, number) = state.name.as_str().rsplit_once('-')?;
    let prefix = format!("{}-{service}", state.stack);
    (of_service == prefix)
        .then(|| number.parse().ok())
        .flatten()
}

fn numbers(replicas: &[State]) -> String {
    let numbers: Vec<_> = { replicas.iter() }
        .filter_map(number)
        .map(|number| number.to_string())
        .collect();
    if numbers.is_empty() {
        format!("only {}", replicas[0].name)
    } else {
        numbers.join(", ")
    }
}

fn container(host: &Host, name: &str) -> Result<State> {
    let id = host.store.resolve(name)?;
    Ok(host.store.load_state(&id)?)
}

#[cfg(test)]
mod tests {
    use coop_launcher::store::{ContainerId, Name};
    use insta::assert_snapshot;

    use super::*;
    use crate::plan::tests::Fixture;
    use crate::stack::NodePath;

    const FILE: &str = "name: shop
services:
  web: {image: x, depends_on: [db]}
  db: {image: x}
  other: {image: x}
";

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn named_services_come_with_what_they_depend_on() {
        let loaded = Fixture::new().load(FILE).unwrap();
        assert_eq!(loaded.order(&words(&["web"])).unwrap(), ["db", "web"]);
        assert_eq!(loaded.order(&[]).unwrap().len(), 3);
        let error = loaded.order(&words(&["web", "nope"])).unwrap_err();
        assert_snapshot!(error, @r"
        no such service: nope
          help: the stack has web, db, other
        ");
    }

    #[test]
    fn an_error_that_knows_its_place_is_shown_in_the_file() {
        let loaded = Fixture::new().load(FILE).unwrap();
        let place = NodePath::service("web").key("image");
        let error = Located(Diagnostic::at(place, "web: no such thing").help("choose another"));
        let shown = loaded.explain::<()>(Err(error.into())).unwrap_err();
        assert_snapshot!(format!("{shown:#}"));
        let plain = loaded.explain::<()>(Err(anyhow::anyhow!("something else")));
        assert_eq!(plain.unwrap_err().to_string(), "something else");
    }

    #[test]
    fn a_stack_is_known_by_its_name_alone() {
        let args = StackArgs {
            project: Some("shop".into()),
            ..StackArgs::default()
        };
        assert_eq!(stack_name(&args).unwrap().as_str(), "shop");
        let missing = StackArgs {
            file: Some("/no/such/stack.yaml".into()),
            ..StackArgs::default()
        };
        assert!(Loaded::find(&missing).is_err());
        assert!(stack_name(&missing).is_err());
    }

    #[test]
    fn a_name_is_a_service_of_the_stack_in_scope_and_otherwise_a_container() {
        let fixture = Fixture::new();
        let add = |digit: &str, name: &str, stack: &str, service: Option<&str>| {
            let id = ContainerId::parse(&digit.repeat(ContainerId::LEN)).unwrap();
            let (name, stack) = (Name::parse(name).unwrap(), StackName::parse(stack).unwrap());
            let mut state = State::new(id, name, stack, "x".into());
            state.service = service.map(str::to_owned);
            fixture.host.store.create(&state, &()).unwrap();
        };
        add("a", "shop-web-1", "shop", Some("web"));
        add("b", "web", "web", None);
        let found = |project: &str, name: &str| {
            let args = StackArgs {
                project: Some(project.into()),
                ..StackArgs::default()
            };
            resolve(&fixture.host, &args, name).map(|state| state.name.to_string())
        };
        assert_eq!(found("shop", "web").unwrap(), "shop-web-1");
        assert_eq!(found("else", "web").unwrap(), "web");
        assert_eq!(found("else", "shop-web-1").unwrap(), "shop-web-1");
        assert_eq!(found("shop", "bbbb").unwrap(), "web");
        assert!(found("shop", "nope").is_err());
    }

    #[test]
    fn a_service_is_all_its_replicas_and_one_of_them_by_its_number() {
        let fixture = Fixture::new();
        for (digit, name) in [("a", "shop-web-10"), ("b", "shop-web-2"), ("c", "other")] {
            let id = ContainerId::parse(&digit.repeat(ContainerId::LEN)).unwrap();
            let stack = StackName::parse("shop").unwrap();
            let mut state = State::new(id, Name::parse(name).unwrap(), stack, "x".into());
            state.service = (name != "other").then(|| "web".to_owned());
            fixture.host.store.create(&state, &()).unwrap();
        }
        let args = StackArgs {
            file: None,
            project: Some("shop".into()),
            ..StackArgs::default()
        };
        let all = select(
            &fixture.host,
            &args,
            &words(&["web", "shop-web-10", "other"]),
        )
        .unwrap();
        let names: Vec<_> = all.iter().map(|state| state.name.as_str()).collect();
        assert_eq!(names, ["shop-web-2", "shop-web-10", "other"]);
        let found = |name: &str, index| {
            let replica = ReplicaArgs { index };
            resolve_replica(&fixture.host, &args, name, replica).map(|state| state.name.to_string())
        };
        assert_eq!(found("web", None).unwrap(), "shop-web-2");
        assert_eq!(found("web", Some(10)).unwrap(), "shop-web-10");
        assert_snapshot!(found("web", Some(1)).unwrap_err(), @r"
        service web has no replica 1
          help: it has 2, 10
        ");
        assert_snapshot!(found("other", Some(1)).unwrap_err(), @r"
        container other is no service of a stack
          help: leave out --index
        ");
    }
}
