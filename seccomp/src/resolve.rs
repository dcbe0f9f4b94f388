//! A policy as one architecture sees it: for each call of its table, the rules that decide.

use std::collections::HashMap;

use crate::policy::{Condition, Newest, Policy};
use crate::{Action, Arch, multiplexed};

/// What happens to the calls of one architecture.
pub(crate) struct Resolved<'a> {
    pub(crate) arch: Arch,
    /// All calls of the table, in the order of their numbers.
    pub(crate) calls: Vec<CallRules<'a>>,
    /// What happens to numbers that no call has.
    pub(crate) default: Action,
    /// From the second number on, this happens to them.
    pub(crate) unknown: Option<(Action, u32)>,
}

/// What happens to one call: the first that holds, or else the last.
pub(crate) struct CallRules<'a> {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) rules: Vec<CallRule<'a>>,
    pub(crate) otherwise: Action,
    /// The last is what happens to unknown calls, not the default.
    pub(crate) is_unknown: bool,
}

/// A rule about one call.
#[derive(Clone)]
pub(crate) struct CallRule<'a> {
    /// Which of the policy it is.
    pub(crate) rule: usize,
    pub(crate) conditions: Conditions<'a>,
    pub(crate) action: Action,
}

/// The conditions of a rule, or the one under which a multiplexed call is selected.
#[derive(Clone)]
pub(crate) enum Conditions<'a> {
    OfRule(&'a [Condition]),
    Selected(Condition),
}

impl Resolved<'_> {
    /// What happens to a number that no call has.
    pub(crate) fn without_call(&self, number: u32) -> Action {
        match self.unknown {
            Some((action, first)) if number >= first => action,
            _ => self.default,
        }
    }
}

impl Conditions<'_> {
    pub(crate) fn as_slice(&self) -> &[Condition] {
        match self {
            Self::OfRule(conditions) => conditions,
            Self::Selected(condition) => std::slice::from_ref(condition),
        }
    }
}

/// The rules about each name, by their places in the policy.
pub(crate) struct ByName<'a> {
    policy: &'a Policy,
    rules: HashMap<&'a str, Vec<usize>>,
}

impl<'a> ByName<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Self {
        let mut rules: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, rule) in policy.rules.iter().enumerate() {
            for name in &rule.names {
                rules.entry(name).or_default().push(index);
            }
        }
        Self { policy, rules }
    }

    fn of(&self, name: &str) -> &[usize] {
        self.rules.get(name).map_or(&[], Vec::as_slice)
    }

    /// What the policy says for an architecture.
    pub(crate) fn resolve(&self, arch: Arch) -> Resolved<'a> {
        let newest = self.newest(arch);
        let calls = arch.calls().map(|(number, name)| {
            let unknown = self.unknown(name, number, newest);
            CallRules {
                number,
                name,
                rules: self.rules(arch, name),
                otherwise: unknown.unwrap_or(self.policy.default),
                is_unknown: unknown.is_some(),
            }
        });
        Resolved {
            arch,
            calls: calls.collect(),
            default: self.policy.default,
            unknown: self
                .policy
                .unknown
                .zip(newest)
                .map(|(unknown, newest)| (unknown.action, newest + 1)),
        }
    }

    fn rules(&self, arch: Arch, name: &str) -> Vec<CallRule<'a>> {
        let own = self.of(name).iter().map(|index| {
            let rule = &self.policy.rules[*index];
            CallRule {
                rule: *index,
                conditions: Conditions::OfRule(&rule.conditions),
                action: rule.action,
            }
        });
        let mut rules: Vec<_> = own.collect();
        let multiplexer = multiplexed::of(arch).iter().find(|m| m.name == name);
        for (call, selected) in multiplexer
            .into_iter()
            .flat_map(multiplexed::Multiplexer::calls)
        {
            if let Some((rule, action)) = self.strictest(call) {
                rules.push(CallRule {
                    rule,
                    conditions: Conditions::Selected(selected),
                    action,
                });
            }
        }
        rules
    }

    /// The strictest that may come of the rules about a call whose arguments are out of sight, and
    /// the rule that says so, or the first that may not hold.
    fn strictest(&self, name: &str) -> Option<(usize, Action)> {
        let indices = self.of(name);
        let rules = &self.policy.rules;
        let is_certain = |index: &usize| rules[*index].conditions.is_empty();
        let certain = indices.iter().position(is_certain);
        let possible = &indices[..certain.map_or(indices.len(), |at| at + 1)];
        let first = *possible.first()?;
        let default = certain.is_none().then_some((first, self.policy.default));
        possible
            .iter()
            .map(|index| (*index, rules[*index].action))
            .chain(default)
            .reduce(|a, b| if a.1.stricter(b.1) == a.1 { a } else { b })
    }

    fn is_heard_of(&self, name: &str) -> bool {
        match self.policy.unknown.map(|unknown| unknown.newer_than) {
            Some(Newest::InRules) => !self.of(name).is_empty(),
            Some(Newest::InTable) | None => true,
        }
    }

    fn newest(&self, arch: Arch) -> Option<u32> {
        arch.calls()
            .filter(|(number, name)| arch.is_in_sequence(*number) && self.is_heard_of(name))
            .map(|(number, _)| number)
            .last()
    }

    /// What happens to a call of the table that is newer than the policy.
    fn unknown(&self, name: &str, number: u32, newest: Option<u32>) -> Option<Action> {
        let unknown = self.policy.unknown?;
        (number > newest? && !self.is_heard_of(name)).then_some(unknown.action)
    }
}
