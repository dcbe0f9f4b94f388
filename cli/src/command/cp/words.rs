//! What the two arguments of `cp` mean.

use anyhow::{Result, bail};

/// Which way files go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Direction<'a> {
    /// From the host (`-`: standard input) into a container.
    In {
        from: &'a str,
        name: &'a str,
        to: &'a str,
    },
    /// Out of a container to the host (`-`: standard output).
    Out {
        name: &'a str,
        from: &'a str,
        to: &'a str,
    },
}

/// Tells container and host apart as Docker does.
pub(super) fn direction<'a>(source: &'a str, destination: &'a str) -> Result<Direction<'a>> {
    match (place(source)?, place(destination)?) {
        (Place::Host(from), Place::Container(name, to)) => Ok(Direction::In { from, name, to }),
        (Place::Container(name, from), Place::Host(to)) => Ok(Direction::Out { name, from, to }),
        (Place::Container(..), Place::Container(..)) => bail!(
            "cannot copy between containers\n  \
             help: go by a stream: `coop cp {source} - | coop cp - {destination}`"
        ),
        (Place::Host(_), Place::Host(_)) => bail!(
            "neither {source} nor {destination} is in a container\n  \
             help: write NAME:PATH for the one that is"
        ),
    }
}

enum Place<'a> {
    Host(&'a str),
    Container(&'a str, &'a str),
}

fn place(text: &str) -> Result<Place<'_>> {
    if text.is_empty() {
        bail!("a path is empty\n  help: write NAME:PATH for a container, `.` for this directory");
    }
    // A name of the host with a colon in it is written with its directory.
    if text.starts_with(['/', '.']) {
        return Ok(Place::Host(text));
    }
    Ok(match text.split_once(':') {
        Some((name, path)) if !name.is_empty() => {
            if path.is_empty() {
                bail!("{text} has no path\n  help: write {name}:/ for all of its files");
            }
            Place::Container(name, path)
        }
        _ => Place::Host(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_makes_a_container_unless_the_path_says_otherwise() {
        let out = Direction::Out {
            name: "box",
            from: "/etc",
            to: "./a:b",
        };
        assert_eq!(direction("box:/etc", "./a:b").unwrap(), out);
        let inside = Direction::In {
            from: "-",
            name: "box",
            to: "a:b",
        };
        assert_eq!(direction("-", "box:a:b").unwrap(), inside);
    }

    #[test]
    fn what_names_no_copy_is_told() {
        let told = |source, destination| direction(source, destination).unwrap_err().to_string();
        insta::assert_snapshot!(told("a:/x", "b:/y"), @r"
        cannot copy between containers
          help: go by a stream: `coop cp a:/x - | coop cp - b:/y`
        ");
        insta::assert_snapshot!(told("a", "/b"), @r"
        neither a nor /b is in a container
          help: write NAME:PATH for the one that is
        ");
        insta::assert_snapshot!(told("box:", "/b"), @r"
        box: has no path
          help: write box:/ for all of its files
        ");
        assert!(told("", "box:/").contains("is empty"));
    }
}
