//! From a file on disk to a checked [`Stack`].

use super::check;
use super::diagnostic::{Diagnostic, Report};
use super::dotenv::{self, EnvFileError};
use super::interpolate::{Interpolation, Variables};
use super::model::{Content, Service, Stack};
use super::name::{check_stack_name, normalised};
use super::node::Node;
use super::path::NodePath;
use super::read::{self, At, Problems};
use super::source::Source;
use super::value::{MountKind, SeccompProfile, SecurityOpt};
use super::yaml;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The names that a stack file has when none is given, in this order.
pub(crate) const FILE_NAMES: [&str; 6] = [
    "stack.yaml",
    "stack.yml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// Which file to load, and what it may refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The file; `-` is standard input; `None` looks for one of [`FILE_NAMES`].
    pub(crate) file: Option<&'a Path>,
    /// The stack's name from the command line, which wins over all others.
    pub(crate) project: Option<&'a str>,
    /// The working directory, absolute.
    pub(crate) directory: &'a Path,
    /// The process environment.
    pub(crate) environment: &'a Variables,
}

/// A stack that is ready to be planned.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The stack.
    pub(crate) stack: Stack,
    /// Its text, for errors that are found later.
    pub(crate) source: Source,
    /// What the user should know.
    pub(crate) warnings: Vec<Diagnostic>,
    /// The process environment and the `.env` file: what a variable without a value
    /// takes its value from ([`Service::variables`]).
    pub(crate) variables: Variables,
}

/// Why a stack file cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// No file was named, and none of [`FILE_NAMES`] is there.
    #[error(
        "no stack file in {}: looked for {}\n  \
         help: name one with -f FILE, or a stack that is there already with -p STACK",
        directory.display(),
        FILE_NAMES.join(", ")
    )]
    NotFound {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the stack file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no text.
    #[error("the stack file {} is not UTF-8 text", file.display())]
    NotText {
        /// The file.
        file: PathBuf,
    },
    /// The `.env` file is wrong.
    #[error(transparent)]
    EnvFile(#[from] EnvFileError),
    /// The stack cannot have this name.
    #[error("invalid stack name {name:?} from {origin}: {why}")]
    Name {
        /// The name.
        name: String,
        /// Where it comes from.
        origin: &'static str,
        /// What is wrong, and what a name looks like.
        why: super::value::ParseError,
    },
    /// There is nothing to name the stack after.
    #[error("the stack has no name: give it one with -p NAME or with name: in the file")]
    NoName,
    /// The file is wrong.
    #[error(transparent)]
    Invalid(#[from] Report),
}

/// The stack file of a directory, if it has one.
pub(crate) fn find_file(directory: &Path) -> Option<PathBuf> {
    FILE_NAMES
        .iter()
        .map(|name| directory.join(name))
        .find(|file| file.exists())
}

/// Reads, resolves and checks a stack file.
///
/// # Errors
/// [`LoadError`]; [`LoadError::Invalid`] has all problems of the file.
pub(crate) fn load(request: Request<'_>) -> Result<Loaded, LoadError> {
    let file = match request.file {
        Some(file) => file.to_owned(),
        None => match find_file(request.directory) {
            // The name alone reads better in a message than the whole path.
            Some(file) => file.file_name().map(PathBuf::from).unwrap_or(file),
            None => {
                return Err(LoadError::NotFound {
                    directory: request.directory.to_owned(),
                });
            }
        },
    };
    let (text, directory) = if file == Path::new("-") {
        (
            text(std::io::stdin().lock(), &file)?,
            request.directory.to_owned(),
        )
    } else {
        let full = request.directory.join(&file);
        let opened = std::fs::File::open(&full).map_err(|source| LoadError::Read {
            file: file.clone(),
            source,
        })?;
        let parent = full
            .parent()
            .map_or_else(|| request.directory.to_owned(), Path::to_owned);
        (text(opened, &file)?, parent.components().collect())
    };
    let mut variables = dot_env(&directory, request.environment)?;
    for (name, value) in request.environment {
        variables.insert(name.clone(), value.clone());
    }
    parse(
        Source::new(file, text),
        &directory,
        variables,
        request.project,
    )
}

/// Reads at most as much as a stack file may have, and one byte more.
fn text(from: impl Read, file: &Path) -> Result<String, LoadError> {
    let mut bytes = Vec::new();
    from.take(yaml::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| LoadError::Read {
            file: file.to_owned(),
            source,
        })?;
    String::from_utf8(bytes).map_err(|_| LoadError::NotText {
        file: file.to_owned(),
    })
}

/// The `.env` file beside the stack file, if there is one.
fn dot_env(directory: &Path, environment: &Variables) -> Result<Variables, LoadError> {
    let lookup = |name: &str| environment.get(name).cloned();
    match dotenv::load(&directory.join(".env"), &lookup) {
        Ok(entries) => Ok(entries
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()),
        Err(error) if error.is_missing() => Ok(Variables::new()),
        Err(error) => Err(error.into()),
    }
}

/// The same for a text that is there already: `directory` is what its paths are
/// relative to.
///
/// # Errors
/// As [`load`].
pub(crate) fn parse(
    source: Source,
    directory: &Path,
    mut variables: Variables,
    project: Option<&str>,
) -> Result<Loaded, LoadError> {
    let fail = |problems: &[Diagnostic]| LoadError::Invalid(Report::new(&source, problems));
    let mut root = yaml::parse(source.text()).map_err(|problems| fail(&problems))?;
    let mut out = Problems::default();

    let name = stack_name(project, &root, directory, &variables, &mut out)?;
    for key in ["COOP_PROJECT_NAME", "COMPOSE_PROJECT_NAME"] {
        variables.insert(key.to_owned(), name.clone());
    }
    let lookup = |name: &str| variables.get(name).cloned();
    let mut interpolation = Interpolation::new(&lookup);
    interpolation.node(&mut root, &NodePath::root(), &mut out.errors);
    for (name, path) in interpolation.unset() {
        let message = format!(
            "{}the variable {name} is not set: it is empty here",
            path.subject()
        );
        let help = format!("set it, or write ${{{name}:-default}}");
        out.warnings
            .push(Diagnostic::at(path.clone(), message).help(help));
    }

    // What a wrong variable leaves behind is no error of its own.
    let places: Vec<_> = out.errors.iter().map(|error| error.place.clone()).collect();
    let stack = read::stack(At::root(&root), &name, &mut out);
    let mut index = 0;
    out.errors.retain(|error| {
        index += 1;
        index <= places.len() || !places.contains(&error.place)
    });
    let mut stack = match stack {
        Some(stack) if out.errors.is_empty() => stack,
        _ => return Err(fail(&out.errors)),
    };
    stack.add_implied_dependencies();
    check::check(&stack, &mut out);
    if !out.errors.is_empty() {
        return Err(fail(&out.errors));
    }
    let home = variables.get("HOME").cloned();
    for granted in stack.secrets.values_mut().chain(stack.configs.values_mut()) {
        if let Content::File(path) = &mut granted.content {
            make_absolute(path, directory, home.as_deref());
        }
    }
    for service in stack.services.values_mut() {
        service.make_paths_absolute(directory, home.as_deref());
    }
    Ok(Loaded {
        stack,
        source,
        warnings: out.warnings,
        variables,
    })
}

/// The stack's name: from the command line, the environment, the file, the directory.
fn stack_name(
    project: Option<&str>,
    root: &Node,
    directory: &Path,
    variables: &Variables,
    out: &mut Problems,
) -> Result<String, LoadError> {
    let set = |key| {
        variables
            .get(key)
            .map(String::as_str)
            .filter(|name| !name.is_empty())
    };
    let given = [
        (project, "-p"),
        (set("COOP_PROJECT_NAME"), "COOP_PROJECT_NAME"),
        (set("COMPOSE_PROJECT_NAME"), "COMPOSE_PROJECT_NAME"),
    ];
    for (name, origin) in given {
        if let Some(name) = name {
            check_stack_name(name).map_err(|why| LoadError::Name {
                name: name.to_owned(),
                origin,
                why,
            })?;
            return Ok(name.to_owned());
        }
    }
    if let Some(written) = read::name(root) {
        let lookup = |name: &str| variables.get(name).cloned();
        // A wrong variable is reported with all the others, below.
        let name = Interpolation::new(&lookup)
            .text(written)
            .unwrap_or_else(|_| "x".to_owned());
        if let Err(error) = check_stack_name(&name) {
            let message = format!("invalid stack name {name:?}: {}", error.why);
            let problem = Diagnostic::at(NodePath::root().key("name"), message).help(error.form);
            out.errors.push(problem);
        }
        return Ok(name);
    }
    let directory = directory
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    normalised(directory).ok_or(LoadError::NoName)
}

impl Service {
    /// Makes the paths of the host absolute: `~` is `home`, and what is relative is
    /// relative to `directory`.
    pub(crate) fn make_paths_absolute(&mut self, directory: &Path, home: Option<&str>) {
        let absolute = |path: &mut PathBuf| make_absolute(path, directory, home);
        for mount in &mut self.volumes {
            if let MountKind::Bind { source, .. } = &mut mount.kind {
                absolute(source);
            }
        }
        if let Some(rootfs) = &mut self.rootfs {
            absolute(&mut rootfs.path);
        }
        for file in &mut self.env_file {
            absolute(&mut file.path);
        }
        for file in &mut self.isolation.label_file {
            absolute(file);
        }
        let options = self.isolation.security_opt.iter_mut();
        let named = options.filter_map(|option| match option {
            SecurityOpt::Seccomp(profile) => Some(profile),
            _ => None,
        });
        let base = self.isolation.seccomp.as_mut().map(|keys| &mut keys.base);
        for profile in named.chain(base) {
            if let SeccompProfile::File(file) = profile {
                absolute(file);
            }
        }
    }
}

fn make_absolute(path: &mut PathBuf, directory: &Path, home: Option<&str>) {
    let from_home = path.strip_prefix("~").ok().zip(home);
    let full = match from_home {
        Some((rest, home)) => Path::new(home).join(rest),
        None => directory.join(&*path),
    };
    // Without single dots; two dots stay, since a symbolic link may precede them.
    *path = full.components().collect();
}
