//! One attack, and what has to become of it.

use super::Guard;

/// A row of the table. Words in braces (`{victim}`) stand for what [`Scene`](super::Scene)
/// makes.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, which is that of the attack in `hostile` unless [`Row::words`] has another.
    pub name: &'static str,
    /// What is tried.
    pub attack: &'static str,
    /// How `hostile` is called: the attack, and what it needs to know.
    pub words: &'static [&'static str],
    /// Flags of every run.
    pub flags: &'static [&'static str],
    /// How it is denied by default.
    pub denied: &'static str,
    /// What denies it.
    pub guards: &'static [Guard],
    /// What becomes of it without them.
    pub off: Off,
    /// What it ends in where the kernel does not have what is attacked: such a row is neither
    /// held nor broken.
    pub absent: &'static [&'static str],
    /// Whether it is tried on the host first: what the host's own root cannot do either is
    /// absent, too.
    pub if_possible_outside: bool,
}

/// What becomes of an attack when its guards are off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// It succeeds.
    Succeeds,
    /// It gets past the guards, and then fails of something else by design, since its success
    /// would hurt the machine.
    Reaches(&'static str),
    /// There is no switch.
    Never {
        /// Why not.
        why: &'static str,
        /// Whether the attack is known to bite because it succeeds on the host itself.
        bites_outside: bool,
    },
}

/// A row without guards, to which the rest is added.
pub const fn row(name: &'static str, attack: &'static str) -> Row {
    Row {
        name,
        attack,
        words: &[],
        flags: &[],
        denied: "EPERM",
        guards: &[],
        off: Off::Succeeds,
        absent: &[],
        if_possible_outside: false,
    }
}

impl Row {
    /// Calls `hostile` with these words instead of the row's name.
    pub const fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    /// Runs the container with these flags, guards or no guards.
    pub const fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    /// By default it is denied so. `EPERM` without.
    pub const fn denied(self, denied: &'static str) -> Self {
        Self { denied, ..self }
    }

    /// What denies it, the one that is met first coming first.
    pub const fn by(self, guards: &'static [Guard]) -> Self {
        Self { guards, ..self }
    }

    /// Without guards it gets as far as this.
    pub const fn reaches(self, errno: &'static str) -> Self {
        Self {
            off: Off::Reaches(errno),
            ..self
        }
    }

    /// No flag lets it succeed; on the host itself it does.
    pub const fn never(self, why: &'static str) -> Self {
        Self {
            off: Off::Never {
                why,
                bites_outside: true,
            },
            ..self
        }
    }

    /// No flag lets it succeed, and it makes no sense outside of a container.
    pub const fn never_anywhere(self, why: &'static str) -> Self {
        Self {
            off: Off::Never {
                why,
                bites_outside: false,
            },
            ..self
        }
    }

    /// There is nothing to see where the host's own root cannot do it.
    pub const fn if_possible_outside(self) -> Self {
        Self {
            if_possible_outside: true,
            ..self
        }
    }

    /// What it ends in on a kernel without the thing.
    pub const fn absent(self, outcomes: &'static [&'static str]) -> Self {
        Self {
            absent: outcomes,
            ..self
        }
    }
}
