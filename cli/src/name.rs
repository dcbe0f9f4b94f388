//! The name of a container of its own, which is its stack's name too.

use anyhow::{Context, Result, bail};
use coop_launcher::store::{Name, StackName};

use crate::host::Host;
use crate::supervise::{self, Keeper, Vacancy};

/// So often a random name may be taken, before a number is put behind it.
const PLAIN_TRIES: u32 = 4;

/// So often a random name is tried at all.
const TRIES: u32 = 64;

/// Takes the name that was asked for, or one that nobody has.
pub(crate) fn take<'a>(host: &'a Host, asked: Option<&str>) -> Result<(Name, Vacancy<'a>)> {
    if let Some(text) = asked {
        let name = Name::parse(text)?;
        // First, as it mends the stack: a container that is left of it may go by that.
        let own_stack = vacancy(host, &StackName::from(&name))?;
        if let Some(owner) = host.store.owner_of_name(&name)? {
            bail!(
                "the name \"{name}\" is in use by container {}\n  \
                 help: remove or rename that one, or choose another with --name",
                owner.short()
            );
        }
        if let Some(vacancy) = own_stack {
            return Ok((name, vacancy));
        }
        // A container that had this name before it was renamed keeps the stack of the name.
        for number in 2..TRIES {
            let stack = StackName::parse(&format!("{name}-{number}"))?;
            if let Some(vacancy) = vacancy(host, &stack)? {
                return Ok((name, vacancy));
            }
        }
        bail!("the name \"{name}\" is in use by a stack\n  help: choose another with --name");
    }
    for attempt in 0..TRIES {
        let name = random(attempt)?;
        if host.store.owner_of_name(&name)?.is_some() {
            continue;
        }
        // Another command may have chosen the same a moment ago.
        if let Some(vacancy) = vacancy(host, &StackName::from(&name))? {
            return Ok((name, vacancy));
        }
    }
    bail!("no name was free in {TRIES} tries\n  help: choose one with --name")
}

fn random(attempt: u32) -> Result<Name> {
    let name = Name::random().context("choose a name")?;
    if attempt < PLAIN_TRIES {
        return Ok(name);
    }
    Ok(Name::parse(&format!("{name}{attempt}"))?)
}

fn vacancy<'a>(host: &'a Host, stack: &StackName) -> Result<Option<Vacancy<'a>>> {
    Ok(match supervise::keeper(host, stack)? {
        Keeper::Nobody(vacancy) => Some(vacancy),
        Keeper::Supervisor => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::Fixture;

    #[test]
    fn two_commands_never_have_the_same_name() {
        let fixture = Fixture::new();
        let (first, held) = take(&fixture.host, None).unwrap();
        let (second, _held_too) = take(&fixture.host, None).unwrap();
        assert_ne!(first, second);
        drop(held);
        assert_eq!(take(&fixture.host, Some(first.as_str())).unwrap().0, first);
    }

    #[test]
    fn a_number_tells_names_apart_when_most_are_taken() {
        let name = random(7).unwrap();
        assert!(name.as_str().ends_with('7'), "{name}");
    }
}
