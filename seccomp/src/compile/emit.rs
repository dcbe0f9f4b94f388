//! A graph to instructions with places.
//!
//! Instructions are made from the last to the first: what an instruction jumps to has its place
//! already. When that is farther away than the 255 that a conditional jump can reach, a copy of
//! the target (when it ends the program) or a long jump to it is put right behind. So every jump
//! is legal as it is made, and no pass has to mend any.

use std::collections::HashMap;

use super::graph::{Graph, Node, NodeId, Test};
use crate::Call;
use crate::instruction::{Instruction, code};

/// The farthest that a conditional jump reaches.
const REACH: usize = u8::MAX as usize;

/// A place, counted from the end of the program: the last instruction has 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize);

/// What a jump goes to.
#[derive(Debug, Clone, Copy)]
struct Target {
    place: Place,
    /// Its copy may stand in for it: it ends the program.
    ret: Option<u32>,
}

/// A program from its end.
#[derive(Default)]
struct Reversed {
    code: Vec<Instruction>,
    /// The last copy of each return.
    returns: HashMap<u32, Place>,
    /// The last long jump to each place.
    long_jumps: HashMap<usize, Place>,
}

/// Lays out a program that looks at the architecture first: each part is the root of a tree
/// over the numbers of that `AUDIT_ARCH`; all others return `foreign`.
pub(super) fn program(parts: &[(u32, Graph, NodeId)], foreign: u32) -> Vec<Instruction> {
    let mut reversed = Reversed::default();
    let mut others = reversed.ret(foreign);
    for (audit_arch, graph, root) in parts.iter().rev() {
        let part = reversed.graph(graph, *root);
        let place = reversed.jump(Test::Equal, *audit_arch, part, others);
        others = Target { place, ret: None };
    }
    reversed.push(Instruction::new(code::LD_W_ABS, Call::ARCH));
    reversed.code.reverse();
    reversed.code
}

impl Reversed {
    fn push(&mut self, instruction: Instruction) -> Place {
        self.code.push(instruction);
        Place(self.code.len() - 1)
    }

    fn ret(&mut self, value: u32) -> Target {
        let place = self.push(Instruction::new(code::RET_K, value));
        self.returns.insert(value, place);
        Target {
            place,
            ret: Some(value),
        }
    }

    /// How many instructions would lie between the next one to be made and a place.
    fn distance(&self, place: Place) -> usize {
        self.code.len() - 1 - place.0
    }

    /// A place within reach from which the target is met, made when there is none. Room is left
    /// for what the other target of the same jump may need.
    fn near(&mut self, target: Target) -> Place {
        let fits = |reversed: &Self, place: &Place| reversed.distance(*place) < REACH;
        if fits(self, &target.place) {
            return target.place;
        }
        if let Some(value) = target.ret {
            let copy = self.returns.get(&value).copied();
            return match copy.filter(|copy| fits(self, copy)) {
                Some(copy) => copy,
                None => self.ret(value).place,
            };
        }
        let before = self.long_jumps.get(&target.place.0).copied();
        if let Some(place) = before.filter(|place| fits(self, place)) {
            return place;
        }
        let operand = self.distance(target.place) as u32;
        let place = self.push(Instruction::new(code::JA, operand));
        self.long_jumps.insert(target.place.0, place);
        place
    }

    fn jump(&mut self, test: Test, operand: u32, then: Target, otherwise: Target) -> Place {
        let jump_true = self.near(then);
        let jump_false = self.near(otherwise);
        let code = match test {
            Test::Equal => code::JEQ_K,
            Test::AtLeast => code::JGE_K,
            Test::AnyBit => code::JSET_K,
        };
        let [jump_true, jump_false] = [jump_true, jump_false].map(|place| self.distance(place));
        debug_assert!(jump_true <= REACH && jump_false <= REACH);
        self.push(Instruction::jump(
            code,
            operand,
            jump_true as u8,
            jump_false as u8,
        ))
    }

    /// All that can be met from a node of a graph.
    fn graph(&mut self, graph: &Graph, root: NodeId) -> Target {
        let mut part = Part {
            graph,
            places: HashMap::new(),
        };
        for node in order(graph, root) {
            part.emit(self, node);
        }
        part.target(self, root)
    }
}

/// One graph on its way into a program.
struct Part<'a> {
    graph: &'a Graph,
    places: HashMap<NodeId, Target>,
}

impl Part<'_> {
    fn target(&mut self, program: &mut Reversed, node: NodeId) -> Target {
        match (self.places.get(&node), self.graph.node(node)) {
            (Some(target), _) => *target,
            (None, Node::Return(value)) => program.ret(value),
            (None, _) => self.emit(program, node),
        }
    }

    /// Makes a node, whose children are made.
    fn emit(&mut self, program: &mut Reversed, node: NodeId) -> Target {
        let target = match self.graph.node(node) {
            Node::Return(value) => program.ret(value),
            Node::Load { offset, next } => {
                self.copy(program, next);
                let place = program.push(Instruction::new(code::LD_W_ABS, offset));
                Target { place, ret: None }
            }
            Node::And { mask, next } => {
                self.copy(program, next);
                let place = program.push(Instruction::new(code::AND_K, mask));
                Target { place, ret: None }
            }
            Node::Jump {
                test,
                operand,
                then,
                otherwise,
            } => {
                let then = self.target(program, then);
                let otherwise = self.target(program, otherwise);
                let place = program.jump(test, operand, then, otherwise);
                Target { place, ret: None }
            }
        };
        self.places.insert(node, target);
        target
    }

    /// Sees to it that a node is what comes next: where it was made elsewhere, it is made
    /// again. That is as long as a jump to it, and one instruction less to execute.
    fn copy(&mut self, program: &mut Reversed, node: NodeId) {
        let last = program.code.len().checked_sub(1).map(Place);
        if self.places.get(&node).map(|target| target.place) != last {
            self.emit(program, node);
        }
    }
}

/// The nodes that can be met from a root, children first, each once.
///
/// Of two branches the one that comes last lies next to its jump; the other has it between.
/// So the larger one comes first where the smaller can be jumped over, and else the colder.
fn order(graph: &Graph, root: NodeId) -> Vec<NodeId> {
    let sizes = sizes(graph);
    let mut order = Vec::new();
    let mut seen = vec![false; graph.len()];
    let mut open = vec![(root, false)];
    while let Some((node, done)) = open.pop() {
        if done {
            order.push(node);
            continue;
        }
        if std::mem::replace(&mut seen[node.index()], true) {
            continue;
        }
        open.push((node, true));
        match graph.node(node).next() {
            [Some(then), Some(otherwise)] => {
                let size = |node: NodeId| sizes[node.index()];
                let is_near = size(then).min(size(otherwise)) < REACH;
                let then_first = if is_near {
                    size(then) > size(otherwise)
                } else {
                    graph.heat_of(then) < graph.heat_of(otherwise)
                };
                let (first, last) = if then_first {
                    (then, otherwise)
                } else {
                    (otherwise, then)
                };
                open.push((last, false));
                open.push((first, false));
            }
            [next, _] => open.extend(next.map(|next| (next, false))),
        }
    }
    order
}

/// How many instructions a node and what follows it need at most.
fn sizes(graph: &Graph) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::with_capacity(graph.len());
    for index in 0..graph.len() {
        let next = graph.node(NodeId::at(index)).next();
        let below = next.into_iter().flatten().map(|node| sizes[node.index()]);
        sizes.push(below.fold(1, usize::saturating_add));
    }
    sizes
}
