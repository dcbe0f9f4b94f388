//! Comparisons of 64 bits as comparisons of two words of 32.

use crate::Arch;
use crate::call::Half;
use crate::policy::{Comparison, Condition};

/// Half of an argument. Its order is that in which halves are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Word {
    pub(super) index: u8,
    pub(super) half: Half,
}

/// A comparison that is not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pending {
    Equal(Word, u32),
    Differ(Word, u32),
    AtLeast(Word, u32),
    Below(Word, u32),
    /// The word under the first number, which has some bits but not all, is the second.
    Masked(Word, u32, u32),
    // Those of a whole argument: the lower half says what remains to be asked of the upper.
    WideDiffer(u8, u64),
    WideAtLeast(u8, u64),
    WideBelow(u8, u64),
}

/// What became of a comparison.
pub(super) enum Atom {
    Holds,
    Fails,
    Open(Pending),
}

impl From<bool> for Atom {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

/// The conditions of a rule as comparisons of words, or `None` when they never hold together
/// for a reason that shows in one of them.
pub(super) fn normalise(arch: Arch, conditions: &[Condition]) -> Option<Vec<Pending>> {
    let mut pending = Vec::new();
    for condition in conditions {
        let atoms = match arch.argument_bits() {
            32 => [narrow(condition), Atom::Holds],
            _ => wide(condition),
        };
        for atom in atoms {
            match atom {
                Atom::Holds => {}
                Atom::Fails => return None,
                Atom::Open(test) => pending.push(test),
            }
        }
    }
    pending.sort_unstable();
    pending.dedup();
    Some(pending)
}

fn narrow(condition: &Condition) -> Atom {
    let word = Word {
        index: condition.index,
        half: Half::Low,
    };
    let low = condition.value as u32;
    // For an order, a value that does not fit is greater than every argument.
    let bound = u32::try_from(condition.value);
    let after = condition.value.checked_add(1).map(u32::try_from);
    match condition.comparison {
        Comparison::Ne => Atom::Open(Pending::Differ(word, low)),
        Comparison::Eq => Atom::Open(Pending::Equal(word, low)),
        Comparison::MaskedEq { mask } => masked(word, mask as u32, low),
        Comparison::Ge => bound.map_or(Atom::Fails, |v| at_least(word, v)),
        Comparison::Lt => bound.map_or(Atom::Holds, |v| below(word, v)),
        Comparison::Gt => match after {
            Some(Ok(v)) => at_least(word, v),
            _ => Atom::Fails,
        },
        Comparison::Le => match after {
            Some(Ok(v)) => below(word, v),
            _ => Atom::Holds,
        },
    }
}

fn wide(condition: &Condition) -> [Atom; 2] {
    let index = condition.index;
    let value = condition.value;
    let [low, high] = [Half::Low, Half::High].map(|half| Word { index, half });
    let at_least = |value| match value {
        0 => Atom::Holds,
        _ => Atom::Open(Pending::WideAtLeast(index, value)),
    };
    let below = |value| match value {
        0 => Atom::Fails,
        _ => Atom::Open(Pending::WideBelow(index, value)),
    };
    let one = |atom| [atom, Atom::Holds];
    match condition.comparison {
        Comparison::Eq => [
            Atom::Open(Pending::Equal(low, value as u32)),
            Atom::Open(Pending::Equal(high, (value >> 32) as u32)),
        ],
        Comparison::MaskedEq { mask } => [
            masked(low, mask as u32, value as u32),
            masked(high, (mask >> 32) as u32, (value >> 32) as u32),
        ],
        Comparison::Ne => one(Atom::Open(Pending::WideDiffer(index, value))),
        Comparison::Ge => one(at_least(value)),
        Comparison::Lt => one(below(value)),
        Comparison::Gt => one(value.checked_add(1).map_or(Atom::Fails, at_least)),
        Comparison::Le => one(value.checked_add(1).map_or(Atom::Holds, below)),
    }
}

fn masked(word: Word, mask: u32, value: u32) -> Atom {
    match mask {
        _ if value & !mask != 0 => Atom::Fails,
        0 => Atom::Holds,
        u32::MAX => Atom::Open(Pending::Equal(word, value)),
        _ => Atom::Open(Pending::Masked(word, mask, value)),
    }
}

fn at_least(word: Word, value: u32) -> Atom {
    match value {
        0 => Atom::Holds,
        _ => Atom::Open(Pending::AtLeast(word, value)),
    }
}

fn below(word: Word, value: u32) -> Atom {
    match value {
        0 => Atom::Fails,
        _ => Atom::Open(Pending::Below(word, value)),
    }
}

impl Pending {
    /// The word that has to be looked at next.
    pub(super) fn word(&self) -> Word {
        match *self {
            Self::Equal(word, _)
            | Self::Differ(word, _)
            | Self::AtLeast(word, _)
            | Self::Below(word, _)
            | Self::Masked(word, _, _) => word,
            Self::WideDiffer(index, _)
            | Self::WideAtLeast(index, _)
            | Self::WideBelow(index, _) => Word {
                index,
                half: Half::Low,
            },
        }
    }

    /// The mask and the value of a masked comparison of a word.
    pub(super) fn masked(&self, word: Word) -> Option<(u32, u32)> {
        match *self {
            Self::Masked(other, mask, value) if other == word => Some((mask, value)),
            _ => None,
        }
    }

    /// The values of a word from which on the comparison may turn out differently.
    pub(super) fn bounds(&self, word: Word) -> impl Iterator<Item = u32> {
        let one = |value: u32| [Some(value), value.checked_add(1)];
        let bounds = match *self {
            _ if self.word() != word => [None, None],
            Self::Equal(_, value) | Self::Differ(_, value) => one(value),
            Self::AtLeast(_, value) | Self::Below(_, value) => [Some(value), None],
            Self::Masked(..) => [None, None],
            Self::WideDiffer(_, value) => one(value as u32),
            Self::WideAtLeast(_, value) | Self::WideBelow(_, value) => [Some(value as u32), None],
        };
        bounds.into_iter().flatten()
    }

    /// What is known when a word lies between two [`bounds`](Self::bounds).
    pub(super) fn given_range(&self, word: Word, first: u32, last: u32) -> Atom {
        if self.word() != word {
            return Atom::Open(*self);
        }
        let high = Word {
            index: word.index,
            half: Half::High,
        };
        let upper = |value: u64| (value >> 32) as u32;
        match *self {
            Self::Equal(_, value) => Atom::from(first == value),
            Self::Differ(_, value) => Atom::from(first != value),
            Self::AtLeast(_, value) => Atom::from(first >= value),
            Self::Below(_, value) => Atom::from(first < value),
            Self::Masked(_, mask, value) if first == last => Atom::from(first & mask == value),
            Self::Masked(..) => Atom::Open(*self),
            Self::WideDiffer(_, value) if first == value as u32 => {
                Atom::Open(Self::Differ(high, upper(value)))
            }
            Self::WideDiffer(..) => Atom::Holds,
            Self::WideAtLeast(_, value) if first >= value as u32 => at_least(high, upper(value)),
            Self::WideAtLeast(_, value) => above(high, upper(value)),
            // Not at least.
            Self::WideBelow(_, value) if first >= value as u32 => below(high, upper(value)),
            Self::WideBelow(_, value) => up_to(high, upper(value)),
        }
    }

    /// What is known when a word has some of the bits of a mask, or none.
    pub(super) fn given_bits(&self, word: Word, bits: u32, any: bool) -> Atom {
        let Some((mask, value)) = self.masked(word) else {
            return Atom::Open(*self);
        };
        let single = bits.is_power_of_two();
        match any {
            // None of the bits is set.
            false if value & bits != 0 => Atom::Fails,
            false => masked(word, mask & !bits, value),
            true if mask & bits == bits && value & bits == 0 => Atom::Fails,
            true if single => masked(word, mask & !bits, value & !bits),
            true => Atom::Open(*self),
        }
    }

    /// What is known when a word under a mask has a value, or none of those asked for.
    pub(super) fn given_masked(&self, word: Word, mask: u32, known: Option<u32>) -> Atom {
        match (self.masked(word), known) {
            (Some((other, value)), Some(known)) if other == mask => Atom::from(value == known),
            (Some((other, _)), None) if other == mask => Atom::Fails,
            _ => Atom::Open(*self),
        }
    }
}

fn above(word: Word, value: u32) -> Atom {
    value
        .checked_add(1)
        .map_or(Atom::Fails, |next| at_least(word, next))
}

fn up_to(word: Word, value: u32) -> Atom {
    value
        .checked_add(1)
        .map_or(Atom::Holds, |next| below(word, next))
}
