//! Policies to programs.
//!
//! 1. [`resolve`](crate::resolve): for each call of an architecture, the rules that decide.
//! 2. [`checks`]: rules with conditions become a diagram of comparisons of 32 bits.
//! 3. Numbers that are treated alike become ranges, over all numbers that there are.
//! 4. [`tree`]: ranges become a decision tree, in which [`hot`] calls come first.
//! 5. [`emit`]: the graph gets places.
//!
//! The same policy always becomes the same program.

mod checks;
mod emit;
mod graph;
mod halves;
mod hot;
mod tree;

use crate::policy::{Condition, Policy};
use crate::resolve::{ByName, CallRules, Resolved};
use crate::verify::Invalid;
use crate::{Action, Arch, Call, Program};
use checks::Strategy;
use graph::{Graph, NodeId};
use tree::Range;

/// How many conditions a rule may have. One for each end of each argument would be twelve; what
/// has hundreds is no policy but an attempt on the compiler.
pub const MAX_CONDITIONS: usize = 64;

/// Why there is no program for a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A condition on an argument that no call has.
    #[error("rule {rule} compares argument {index}; a call has arguments 0 to 5")]
    Argument {
        /// Which of [`Policy::rules`].
        rule: usize,
        /// The argument.
        index: u8,
    },
    /// More conditions in one rule than [`MAX_CONDITIONS`].
    #[error("rule {rule} has {count} conditions, more than {MAX_CONDITIONS}")]
    Conditions {
        /// Which of [`Policy::rules`].
        rule: usize,
        /// How many it has.
        count: usize,
    },
    /// The program is longer than the kernel takes ([`Invalid::TooLong`]).
    #[error("the policy is too large for one filter")]
    TooLong(#[source] Invalid),
    /// The compiler has made a program that the kernel would refuse: a defect of the compiler.
    #[error("the compiled program is not valid")]
    Defect(#[source] Invalid),
}

impl Policy {
    /// Compiles it for a kernel of `target`, which may be another than this machine's.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn compile(&self, target: Arch) -> Result<Program, CompileError> {
        self.check()?;
        match self.compile_by(target, Strategy::Together) {
            Err(CompileError::TooLong(_)) => self.compile_by(target, Strategy::OneByOne),
            compiled => compiled,
        }
    }

    fn check(&self) -> Result<(), CompileError> {
        for (at, rule) in self.rules.iter().enumerate() {
            let count = rule.conditions.len();
            if count > MAX_CONDITIONS {
                return Err(CompileError::Conditions { rule: at, count });
            }
            let mut indices = rule.conditions.iter().map(|condition| condition.index);
            if let Some(index) = indices.find(|index| *index > Condition::LAST_INDEX) {
                return Err(CompileError::Argument { rule: at, index });
            }
        }
        Ok(())
    }

    fn compile_by(&self, target: Arch, strategy: Strategy) -> Result<Program, CompileError> {
        let by_name = ByName::new(self);
        let covered = self.covered(target);
        let mut parts: Vec<(u32, Graph, NodeId)> = Vec::new();
        for arch in &covered {
            if parts.iter().any(|(audit, ..)| *audit == arch.audit()) {
                continue;
            }
            let mut numbers = Numbers::new(strategy);
            for (first, last, owner) in sections(*arch) {
                if covered.contains(&owner) {
                    let weight = if owner == *arch {
                        hot::weight
                    } else {
                        hot::rare
                    };
                    numbers.add(&by_name.resolve(owner), first, last, weight);
                } else {
                    numbers.fill_with(first, self.foreign);
                }
            }
            if let Some((graph, root)) = numbers.tree() {
                parts.push((arch.audit(), graph, root));
            }
        }
        let instructions = emit::program(&parts, self.foreign.return_value());
        Program::new(instructions).map_err(|invalid| match invalid {
            Invalid::TooLong(_) => CompileError::TooLong(invalid),
            _ => CompileError::Defect(invalid),
        })
    }
}

/// The numbers of one `AUDIT_ARCH` in rising order, first and last, and the ABI that has them;
/// see [`Call::arch`].
fn sections(arch: Arch) -> Vec<(u32, u32, Arch)> {
    match arch {
        Arch::X86_64 | Arch::X32 => vec![
            (0, Arch::X32_BIT - 1, Arch::X86_64),
            (Arch::X32_BIT, u32::MAX - 1, Arch::X32),
            (u32::MAX, u32::MAX, Arch::X86_64),
        ],
        _ => vec![(0, u32::MAX, arch)],
    }
}

/// All numbers of one `AUDIT_ARCH`, as ranges.
struct Numbers {
    graph: Graph,
    strategy: Strategy,
    ranges: Vec<Range>,
}

impl Numbers {
    fn new(strategy: Strategy) -> Self {
        Self {
            graph: Graph::default(),
            strategy,
            ranges: Vec::new(),
        }
    }

    fn push(&mut self, first: u32, node: NodeId, weight: u64) {
        let range = Range {
            first,
            node,
            weight,
        };
        tree::push(&mut self.ranges, range);
    }

    /// The numbers from `first` on, until others are added.
    fn fill_with(&mut self, first: u32, action: Action) {
        let node = self.graph.ret(action);
        self.push(first, node, 0);
    }

    /// The numbers from `first` to `last`, as resolved.
    fn add(&mut self, resolved: &Resolved<'_>, first: u32, last: u32, weight: fn(&str) -> u64) {
        let mut free = Some(first);
        let inside = |call: &&CallRules<'_>| (first..=last).contains(&call.number);
        for call in resolved.calls.iter().filter(inside) {
            if let Some(from) = free.filter(|from| *from < call.number) {
                self.fill_gap(resolved, from, call.number - 1);
            }
            let node = diagram(&mut self.graph, resolved.arch, self.strategy, call);
            self.push(call.number, node, weight(call.name));
            free = call.number.checked_add(1);
        }
        if let Some(from) = free.filter(|from| *from <= last) {
            self.fill_gap(resolved, from, last);
        }
    }

    /// Numbers that no call has.
    fn fill_gap(&mut self, resolved: &Resolved<'_>, first: u32, last: u32) {
        let Some((action, begin)) = resolved.unknown else {
            return self.fill_with(first, resolved.default);
        };
        if first < begin {
            self.fill_with(first, resolved.default);
        }
        if begin <= last {
            self.fill_with(first.max(begin), action);
        }
    }

    fn tree(mut self) -> Option<(Graph, NodeId)> {
        let tree = tree::build(&mut self.graph, &self.ranges)?;
        let root = self.graph.load(Call::NUMBER, tree);
        Some((self.graph, root))
    }
}

fn diagram(graph: &mut Graph, arch: Arch, strategy: Strategy, call: &CallRules<'_>) -> NodeId {
    let rules = call.rules.iter();
    let rules = rules.map(|rule| (rule.conditions.as_slice(), rule.action));
    checks::build(graph, arch, strategy, rules, call.otherwise)
}

/// Whether two sets of rules do the same to a call, whatever its arguments are.
///
/// Equal diagrams are one node of a graph. Where masks overlap, or there are very many rules,
/// diagrams may differ that mean the same.
pub(crate) fn same_outcome(arch: Arch, one: &CallRules<'_>, other: &CallRules<'_>) -> bool {
    let mut graph = Graph::default();
    let [one, other] = [one, other].map(|call| diagram(&mut graph, arch, Strategy::Together, call));
    one == other
}

#[cfg(test)]
mod tests;
