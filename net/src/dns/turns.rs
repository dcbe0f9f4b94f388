//! Which replica an answer begins with.

use super::message::Query;
use crate::naming;

/// Counts the questions, each name and record type by itself: a client asks for IPv4 and IPv6
/// addresses in turn, or for two names, and a common count would give it the same replica forever.
///
/// Names may share a count: there are only so many, whatever is asked.
#[derive(Debug, Clone)]
pub(super) struct Turns([u16; Self::COUNTS]);

impl Turns {
    const COUNTS: usize = 256;

    pub(super) fn new() -> Self {
        Self([0; Self::COUNTS])
    }

    /// How often this was asked before.
    pub(super) fn next(&mut self, query: &Query) -> usize {
        let name = query.name().unwrap_or_default();
        let kind = u16::from(query.kind()).to_be_bytes();
        let hash = naming::hash(&[name.as_bytes(), &kind]);
        let count = &mut self.0[hash as usize % Self::COUNTS];
        let turn = *count;
        *count = turn.wrapping_add(1);
        turn.into()
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType::{A, AAAA};

    use super::super::tests::ask;
    use super::*;

    #[test]
    fn each_question_has_a_count_of_its_own() {
        let mut turns = Turns::new();
        for turn in 0..5 {
            for (name, kind) in [("web.", A), ("web.", AAAA), ("db.", A)] {
                assert_eq!(turns.next(&ask(name, kind)), turn, "{name} {kind}");
            }
        }
        assert_eq!(turns.next(&ask("WEB.", A)), 5, "in any case");
    }
}
