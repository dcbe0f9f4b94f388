//! Finds the libraries of a program as the dynamic loader does, without running it.
//!
//! The order is that of `ld.so(8)`: `DT_RPATH` of the file and of those that loaded it,
//! `DT_RUNPATH` of the file, the directories of `/etc/ld.so.conf`, the default ones.
//! `ldd` is no way: it may run the program.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::elf::{Elf, Machine};
use crate::error::{At as _, Error};

/// Deep enough for every `include` that somebody wrote by hand.
const MAX_INCLUDES: usize = 8;

pub(super) struct Libraries {
    configured: Vec<PathBuf>,
    /// Those that a loader searches without being told.
    default: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Option<Elf>>,
}

/// A directory on the host, and where it is for a program in the image: they differ
/// when the path is relative to the program.
type Dir = (PathBuf, PathBuf);

/// A file still to be looked at.
struct Pending {
    host: PathBuf,
    image: PathBuf,
    elf: Elf,
    /// `DT_RPATH` of those who loaded it.
    inherited: Vec<Dir>,
}

impl Libraries {
    pub(super) fn of_host() -> Self {
        let mut configured = Vec::new();
        read_conf(Path::new("/etc/ld.so.conf"), &mut configured, 0);
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        let default = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"]
            .iter()
            .flat_map(|dir| [Path::new(dir).join(&triple), PathBuf::from(dir)])
            .collect();
        Self {
            configured,
            default,
            known: BTreeMap::new(),
        }
    }

    /// The loader and the libraries that the program at `host` needs when it is at
    /// `image` (relative to the root): paths on the host, and absolute ones in the image.
    pub(super) fn of_program(
        &mut self,
        host: &Path,
        image: &Path,
        elf: &Elf,
    ) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
        let mut found: Vec<(PathBuf, PathBuf)> = Vec::new();
        if let Some(interpreter) = &elf.interpreter {
            found.push((interpreter.into(), interpreter.into()));
        }
        let mut seen = HashSet::new();
        let mut pending = vec![Pending {
            host: fs::canonicalize(host).at("find", host)?,
            image: Path::new("/").join(image),
            elf: elf.clone(),
            inherited: Vec::new(),
        }];
        while let Some(file) = pending.pop() {
            let own = file.search_first();
            for name in &file.elf.needed {
                // The loader too loads a name once, wherever it was found.
                if !seen.insert(name.clone()) {
                    continue;
                }
                let Some((host, image, elf)) = self.find(name, &own, elf.machine)? else {
                    // The loader itself, under the name of a library.
                    if elf
                        .interpreter
                        .as_deref()
                        .is_some_and(|i| i.ends_with(name.as_str()))
                    {
                        continue;
                    }
                    let what = format!("it needs the library {name}, which is not found");
                    return Err(Error::Program {
                        path: file.host,
                        what,
                    });
                };
                found.push((host.clone(), image.clone()));
                let inherited = file.bequeathed();
                pending.push(Pending {
                    host,
                    image,
                    elf,
                    inherited,
                });
            }
        }
        Ok(found)
    }

    fn find(
        &mut self,
        name: &str,
        first: &[Dir],
        machine: Machine,
    ) -> Result<Option<(PathBuf, PathBuf, Elf)>, Error> {
        if name.contains('/') {
            let path = PathBuf::from(name);
            return Ok(self
                .load(&path, machine)?
                .map(|elf| (path.clone(), path, elf)));
        }
        for (host, image) in first {
            if let Some(elf) = self.load(&host.join(name), machine)? {
                return Ok(Some((host.join(name), image.join(name), elf)));
            }
        }
        for dir in self
            .configured
            .clone()
            .into_iter()
            .chain(self.default.clone())
        {
            if let Some(elf) = self.load(&dir.join(name), machine)? {
                let image = self.image_dir(&dir, machine)?.join(name);
                return Ok(Some((dir.join(name), image, elf)));
            }
        }
        Ok(None)
    }

    /// Without `/etc/ld.so.cache` the image's loader searches its default directories
    /// only: a library from elsewhere goes where the C library is.
    fn image_dir(&mut self, dir: &Path, machine: Machine) -> Result<PathBuf, Error> {
        let real = |dir: &Path| fs::canonicalize(dir).ok();
        if self
            .default
            .iter()
            .any(|default| default == dir || real(default) == real(dir))
        {
            return Ok(dir.to_owned());
        }
        for default in self.default.clone() {
            if self.load(&default.join("libc.so.6"), machine)?.is_some() {
                return Ok(default);
            }
        }
        Ok(PathBuf::from("/usr/lib"))
    }

    /// A library, when there is one of this machine.
    fn load(&mut self, path: &Path, machine: Machine) -> Result<Option<Elf>, Error> {
        if !self.known.contains_key(path) {
            let elf = match fs::read(path) {
                // A linker script or damage: the loader goes on as well.
                Ok(bytes) => Elf::parse(&bytes).ok(),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => None,
                Err(e) => return Err(e).at("read", path),
            };
            self.known.insert(path.to_owned(), elf);
        }
        let elf = self.known.get(path).and_then(Option::as_ref);
        Ok(elf.filter(|elf| elf.machine == machine).cloned())
    }
}

impl Pending {
    /// The directories that only this file's own tags name.
    fn search_first(&self) -> Vec<Dir> {
        if !self.elf.runpath.is_empty() {
            return self.expand(&self.elf.runpath);
        }
        self.bequeathed()
    }

    fn bequeathed(&self) -> Vec<Dir> {
        let mut dirs = Vec::new();
        if self.elf.runpath.is_empty() {
            dirs = self.expand(&self.elf.rpath);
        }
        dirs.extend(self.inherited.iter().cloned());
        dirs
    }

    fn expand(&self, paths: &[String]) -> Vec<Dir> {
        let origin = |file: &Path| {
            file.parent()
                .unwrap_or(Path::new("/"))
                .display()
                .to_string()
        };
        let (host, image) = (origin(&self.host), origin(&self.image));
        let arch = std::env::consts::ARCH;
        let libs = [
            format!("lib/{arch}-linux-gnu"),
            "lib64".to_owned(),
            "lib".to_owned(),
        ];
        let with = |path: &str, origin: &str, lib: &str| {
            let path = path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
            plain(Path::new(&path.replace("${LIB}", lib).replace("$LIB", lib)))
        };
        paths
            .iter()
            // What `$LIB` is, only the loader knows.
            .flat_map(|path| libs.iter().map(move |lib| (path, lib)))
            .map(|(path, lib)| (with(path, &host, lib), with(path, &image, lib)))
            .filter(|(host, _)| host.is_absolute())
            .collect::<Vec<_>>()
    }
}

/// Without `.` and `..`, by name alone, as the paths of libraries are meant.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Directories of a `ld.so.conf`, in order. What cannot be read has none.
fn read_conf(path: &Path, dirs: &mut Vec<PathBuf>, depth: usize) {
    let Ok(text) = fs::read_to_string(path) else {
        return;
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(pattern) = line
            .strip_prefix("include")
            .filter(|p| p.starts_with([' ', '\t']))
        else {
            if line.starts_with('/') {
                dirs.push(PathBuf::from(line));
            }
            continue;
        };
        if depth < MAX_INCLUDES {
            let base = path.parent().unwrap_or(Path::new("/"));
            for path in included(&base.join(pattern.trim())) {
                read_conf(&path, dirs, depth + 1);
            }
        }
    }
}

/// `DIR/*.conf` and plain names: what distributions write.
fn included(pattern: &Path) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.to_str().and_then(|p| p.split_once('*')) else {
        return vec![pattern.to_owned()];
    };
    let dir = before.rfind('/').map_or("/", |slash| &before[..=slash]);
    let mut paths: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.to_str().is_some_and(|p| {
                p.len() >= before.len() + after.len() && p.starts_with(before) && p.ends_with(after)
            })
        })
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conf_files_include_others() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        fs::write(dir.path().join("d/b.conf"), "/b # why\n").unwrap();
        fs::write(dir.path().join("d/a.conf"), "# none\n/a\n").unwrap();
        fs::write(dir.path().join("d/other"), "/other\n").unwrap();
        let conf = dir.path().join("ld.so.conf");
        fs::write(
            &conf,
            "include d/*.conf\n/c\ninclude ld.so.conf\nhwcap 1 x\n",
        )
        .unwrap();
        let mut dirs = Vec::new();
        read_conf(&conf, &mut dirs, MAX_INCLUDES - 1);
        // The file that includes itself is read once more, and that is the end of it.
        assert_eq!(dirs, ["/a", "/b", "/c", "/c"].map(PathBuf::from));
    }

    #[test]
    fn paths_relative_to_the_program_are_so_in_the_image_too() {
        let pending = Pending {
            host: "/opt/app/bin/app".into(),
            image: "/usr/bin/app".into(),
            elf: Elf {
                rpath: vec!["/not/used".to_owned()],
                runpath: vec!["$ORIGIN/../lib".to_owned(), "relative".to_owned()],
                ..Elf::default()
            },
            inherited: vec![("/inherited".into(), "/inherited".into())],
        };
        let dirs = pending.search_first();
        assert_eq!(dirs[0], ("/opt/app/lib".into(), "/usr/lib".into()));
        assert!(dirs.iter().all(|dir| *dir == dirs[0]), "{dirs:?}");
        assert_eq!(pending.bequeathed(), pending.inherited);
    }
}
