//! A program as a graph, before its instructions have places.
//!
//! Equal nodes are one node, so what is the same in two calls is there once, and two calls that
//! are treated alike have the same number.

use std::collections::HashMap;

use crate::Action;

/// A node of a [`Graph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

/// One instruction, and what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    /// The end, with the filter's value.
    Return(u32),
    /// Loads the word at an offset of `struct seccomp_data`.
    Load { offset: u32, next: NodeId },
    /// Leaves the bits of a mask.
    And { mask: u32, next: NodeId },
    /// Goes on at one of two places.
    Jump {
        test: Test,
        operand: u32,
        then: NodeId,
        otherwise: NodeId,
    },
}

/// A test of what was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// It is the operand.
    Equal,
    /// It is the operand or more.
    AtLeast,
    /// It has a bit of the operand.
    AnyBit,
}

/// Nodes, each once. Children are older than their parents.
pub(crate) struct Graph {
    nodes: Vec<Node>,
    known: HashMap<Node, NodeId>,
    /// How often a jump is expected to be met, where that is known.
    heat: HashMap<NodeId, u64>,
    /// See [`spend`](Self::spend).
    effort: usize,
}

/// A policy that somebody uses takes thousands; one with thousands of rules about one call could
/// take as long as it likes.
const MOST_EFFORT: usize = 1 << 25;

impl Default for Graph {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            known: HashMap::new(),
            heat: HashMap::new(),
            effort: MOST_EFFORT,
        }
    }
}

impl Graph {
    /// Takes so many steps of what may be spent on making the graph smaller. `None`: there are none
    /// left. Counted and not measured, so that a policy always becomes the same program.
    pub(crate) fn spend(&mut self, steps: usize) -> Option<()> {
        self.effort = self.effort.checked_sub(steps)?;
        Some(())
    }

    fn insert(&mut self, node: Node) -> NodeId {
        *self.known.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            NodeId(self.nodes.len() as u32 - 1)
        })
    }

    pub(crate) fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn ret(&mut self, action: Action) -> NodeId {
        self.insert(Node::Return(action.return_value()))
    }

    /// Loads a word, unless what comes then needs none.
    pub(crate) fn load(&mut self, offset: u32, next: NodeId) -> NodeId {
        match self.node(next) {
            Node::Return(_) | Node::Load { .. } => next,
            Node::And { .. } | Node::Jump { .. } => self.insert(Node::Load { offset, next }),
        }
    }

    /// Masks what was loaded, unless what comes then does not look at it.
    pub(crate) fn and(&mut self, mask: u32, next: NodeId) -> NodeId {
        match self.node(next) {
            Node::Return(_) | Node::Load { .. } => next,
            Node::And { .. } | Node::Jump { .. } => self.insert(Node::And { mask, next }),
        }
    }

    /// Goes on at one of two places, unless they are one.
    pub(crate) fn jump(
        &mut self,
        test: Test,
        operand: u32,
        then: NodeId,
        otherwise: NodeId,
    ) -> NodeId {
        if then == otherwise {
            return then;
        }
        self.insert(Node::Jump {
            test,
            operand,
            then,
            otherwise,
        })
    }

    /// Notes how often a node is met.
    pub(crate) fn heat(&mut self, id: NodeId, weight: u64) {
        let heat = self.heat.entry(id).or_default();
        *heat = weight.max(*heat);
    }

    pub(crate) fn heat_of(&self, id: NodeId) -> u64 {
        self.heat.get(&id).copied().unwrap_or(0)
    }
}

impl Node {
    /// What comes after it.
    pub(crate) fn next(self) -> [Option<NodeId>; 2] {
        match self {
            Self::Return(_) => [None, None],
            Self::Load { next, .. } | Self::And { next, .. } => [Some(next), None],
            Self::Jump {
                then, otherwise, ..
            } => [Some(then), Some(otherwise)],
        }
    }
}

impl NodeId {
    pub(crate) fn at(index: usize) -> Self {
        Self(index as u32)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
