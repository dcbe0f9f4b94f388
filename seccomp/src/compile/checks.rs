//! Conditions on arguments to a decision diagram.
//!
//! The rules of a call are taken together. Halves of arguments are looked at in one order, each
//! loaded once on every way, the lower half before the upper: most comparisons are decided by it
//! alone. What is left of the rules after each outcome is a state of its own, and equal states
//! are compiled once.
//!
//! A diagram can grow out of all proportion for rules that have little in common. Then each rule is
//! compiled by itself, with the next one behind it.

use std::collections::HashMap;

use super::graph::{Graph, NodeId, Test};
use super::halves::{Atom, Pending, Word, normalise};
use super::tree::{self, Range};
use crate::call::argument_offset;
use crate::policy::Condition;
use crate::{Action, Arch};

/// How many states the rules of one call may have before they are compiled one by one.
const MOST_STATES: usize = 400;

/// What is left of a rule, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Rest {
    /// All must hold. Sorted, each once.
    pending: Vec<Pending>,
    node: NodeId,
}

/// Rules in their order, the last of which has no condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    rules: Vec<Rest>,
    /// Where it goes when none holds.
    otherwise: NodeId,
}

/// How the rules of a call are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Together, where that does not grow too large.
    Together,
    /// One by one: longer ways, but never many more instructions than conditions.
    OneByOne,
}

/// The diagram for rules of which the first that holds decides.
pub(super) fn build<'a>(
    graph: &mut Graph,
    arch: Arch,
    strategy: Strategy,
    rules: impl DoubleEndedIterator<Item = (&'a [Condition], Action)> + Clone,
    otherwise: Action,
) -> NodeId {
    let otherwise = graph.ret(otherwise);
    let together = |graph: &mut Graph| {
        let mut state = State {
            rules: Vec::new(),
            otherwise,
        };
        for (conditions, action) in rules.clone() {
            if let Some(pending) = normalise(arch, conditions) {
                let node = graph.ret(action);
                state.rules.push(Rest { pending, node });
            }
        }
        Diagram::together(graph).build(state)
    };
    if strategy == Strategy::Together
        && let Some(node) = together(graph)
    {
        return node;
    }
    rules
        .rev()
        .fold(otherwise, |otherwise, (conditions, action)| {
            let Some(pending) = normalise(arch, conditions) else {
                return otherwise;
            };
            let node = graph.ret(action);
            // One rule has at most a handful of states for each condition.
            let one = Rest { pending, node };
            let state = State {
                rules: vec![one],
                otherwise,
            };
            Diagram::one_by_one(graph).build(state).unwrap_or(otherwise)
        })
}

struct Diagram<'a> {
    graph: &'a mut Graph,
    known: HashMap<State, NodeId>,
    /// How many states may still be made; any number of one rule's.
    left: Option<usize>,
}

impl<'a> Diagram<'a> {
    fn together(graph: &'a mut Graph) -> Self {
        Self {
            graph,
            known: HashMap::new(),
            left: Some(MOST_STATES),
        }
    }

    fn one_by_one(graph: &'a mut Graph) -> Self {
        Self {
            left: None,
            ..Self::together(graph)
        }
    }

    /// Notes one more state.
    fn count_state(&mut self) -> Option<()> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        Some(())
    }

    /// Notes work that grows faster than the number of rules.
    fn spend(&mut self, steps: usize) -> Option<()> {
        match self.left {
            Some(_) => self.graph.spend(steps),
            None => Some(()),
        }
    }

    /// Without what cannot matter: each rule is compared with each.
    fn simplified(&mut self, state: State) -> Option<State> {
        let rules = state.rules.len();
        self.spend(rules.saturating_mul(rules))?;
        Some(state.simplified())
    }

    /// The node for a state, with nothing loaded. `None`: too many states, or too much work.
    fn build(&mut self, state: State) -> Option<NodeId> {
        let state = self.simplified(state)?;
        let Some(word) = state.first_word() else {
            return Some(state.decided());
        };
        if let Some(node) = self.known.get(&state) {
            return Some(*node);
        }
        self.count_state()?;
        let inner = self.by_value(&state, word)?;
        let node = self
            .graph
            .load(argument_offset(word.index, word.half), inner);
        self.known.insert(state, node);
        Some(node)
    }

    /// With `word` loaded: parts its values where a comparison turns.
    fn by_value(&mut self, state: &State, word: Word) -> Option<NodeId> {
        let mut bounds: Vec<u32> = state.pending().flat_map(|p| p.bounds(word)).collect();
        bounds.sort_unstable();
        bounds.dedup();
        if bounds.first() != Some(&0) {
            bounds.insert(0, 0);
        }
        // What is left of each rule in each range, and a tree over these.
        let width = state.rules.len().max(bounds.len().min(tree::LONGEST_ROW));
        self.spend(bounds.len().saturating_mul(width))?;
        let mut ranges = Vec::with_capacity(bounds.len());
        for (at, first) in bounds.iter().enumerate() {
            let last = bounds.get(at + 1).map_or(u32::MAX, |next| next - 1);
            let left = state.after(|pending| pending.given_range(word, *first, last));
            let node = self.by_bits(left, word)?;
            tree::push(&mut ranges, uniform(*first, node));
        }
        tree::build(self.graph, &ranges)
    }

    /// With `word` still loaded, and only masked comparisons of it left: tests for bits, which
    /// leave it as it is, then one mask after the other.
    fn by_bits(&mut self, state: State, word: Word) -> Option<NodeId> {
        let state = self.simplified(state)?;
        let masked = state.pending().find_map(|pending| pending.masked(word));
        let Some((mask, value)) = masked else {
            return self.build(state);
        };
        if let Some(test) = bit_test(mask, value) {
            // Either outcome decides the comparison that was asked for.
            self.count_state()?;
            let with = state.after(|pending| pending.given_bits(word, test, true));
            let without = state.after(|pending| pending.given_bits(word, test, false));
            let with = self.by_bits(with, word)?;
            let without = self.by_bits(without, word)?;
            return Some(self.graph.jump(Test::AnyBit, test, with, without));
        }
        self.by_masked_value(&state, word, mask)
    }

    /// Masks what is loaded and parts by the values that are asked for.
    fn by_masked_value(&mut self, state: &State, word: Word, mask: u32) -> Option<NodeId> {
        let mut values: Vec<u32> = state
            .pending()
            .filter_map(|pending| pending.masked(word))
            .filter_map(|(other, value)| (other == mask).then_some(value))
            .collect();
        values.sort_unstable();
        values.dedup();
        let width = state.rules.len().max(values.len().min(tree::LONGEST_ROW));
        self.spend(values.len().saturating_mul(width))?;
        let other = state.after(|pending| pending.given_masked(word, mask, None));
        let other = self.build(other)?;
        let mut ranges = Vec::with_capacity(2 * values.len() + 1);
        let mut free = 0;
        for value in values {
            if value > free {
                tree::push(&mut ranges, uniform(free, other));
            }
            let equal = state.after(|p| p.given_masked(word, mask, Some(value)));
            let equal = self.build(equal)?;
            tree::push(&mut ranges, uniform(value, equal));
            free = value.saturating_add(1);
        }
        // No value has all bits: the mask has not.
        tree::push(&mut ranges, uniform(free, other));
        let node = tree::build(self.graph, &ranges)?;
        Some(self.graph.and(mask, node))
    }
}

/// A range of values of an argument, of which none is known to be more common than others.
fn uniform(first: u32, node: NodeId) -> Range {
    Range {
        first,
        node,
        weight: 1,
    }
}

/// The bits that tell by themselves whether a masked comparison holds: all are clear, or the
/// only one is set.
fn bit_test(mask: u32, value: u32) -> Option<u32> {
    let single = value == mask && mask.is_power_of_two();
    (value == 0 || single).then_some(mask)
}

impl State {
    fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.rules.iter().flat_map(|rule| &rule.pending)
    }

    fn first_word(&self) -> Option<Word> {
        self.pending().map(Pending::word).min()
    }

    /// Where a state without conditions leads.
    fn decided(&self) -> NodeId {
        self.rules.first().map_or(self.otherwise, |rule| rule.node)
    }

    /// What is left when something is known of a word.
    fn after(&self, known: impl Fn(&Pending) -> Atom) -> Self {
        let rules = self.rules.iter().filter_map(|rule| {
            let mut pending = Vec::with_capacity(rule.pending.len());
            for test in &rule.pending {
                match known(test) {
                    Atom::Holds => {}
                    Atom::Fails => return None,
                    Atom::Open(left) => pending.push(left),
                }
            }
            pending.sort_unstable();
            pending.dedup();
            let node = rule.node;
            Some(Rest { pending, node })
        });
        Self {
            rules: rules.collect(),
            otherwise: self.otherwise,
        }
    }

    /// Without what cannot matter: what comes after a rule that always holds, rules that ask for
    /// more than an earlier one, and rules at the end that lead where it goes without them.
    fn simplified(mut self) -> Self {
        if let Some(certain) = self.rules.iter().position(|rule| rule.pending.is_empty()) {
            self.otherwise = self.rules[certain].node;
            self.rules.truncate(certain);
        }
        let mut kept: Vec<Rest> = Vec::with_capacity(self.rules.len());
        for rule in self.rules {
            let asks_for_all = |earlier: &Rest| {
                let mut tests = earlier.pending.iter();
                tests.all(|test| rule.pending.contains(test))
            };
            if !kept.iter().any(asks_for_all) {
                kept.push(rule);
            }
        }
        while kept.last().is_some_and(|rule| rule.node == self.otherwise) {
            kept.pop();
        }
        self.rules = kept;
        self
    }
}
