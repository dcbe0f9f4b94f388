//! Ranges of numbers to a decision tree over what was loaded.
//!
//! The tree is optimal for the weights of its ranges: no other order of the tests that it may
//! be made of needs fewer instructions on the average. The tests are *at least*, which parts a
//! row of ranges in two, and *equal*, which takes single numbers out of a range that is the same
//! on both sides of them.

use std::ops::Range as Indices;

use super::graph::{Graph, NodeId, Test};

/// Numbers that are treated alike, from `first` up to the next range's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) node: NodeId,
    /// How often it is met, compared with others.
    pub(crate) weight: u64,
}

/// Adds a range behind others; one that is treated as the last is becomes part of it.
pub(crate) fn push(ranges: &mut Vec<Range>, range: Range) {
    match ranges.last_mut() {
        Some(last) if last.node == range.node => last.weight += range.weight,
        _ => ranges.push(range),
    }
}

/// A chain of more tests than this is never better than parting.
const LONGEST_CHAIN: usize = 4;

/// Longer rows, which no list of system calls makes, are halved first: time and memory grow with
/// the square.
pub(super) const LONGEST_ROW: usize = 1024;

/// The cheapest way through a row of ranges.
#[derive(Clone, Copy)]
struct Best {
    cost: u64,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    /// It is one range.
    Leaf,
    /// Those before the index on one side, those from it on the other.
    Part(u16),
    /// All that differ from the node are single numbers and are asked for one by one.
    Chain(NodeId),
}

/// The best ways for all rows that begin at one range and end before another.
struct Table {
    best: Vec<Best>,
    width: usize,
}

impl Table {
    fn at(&self, row: &Indices<usize>) -> Best {
        self.best[row.start * self.width + row.end - 1]
    }

    fn set(&mut self, row: &Indices<usize>, best: Best) {
        self.best[row.start * self.width + row.end - 1] = best;
    }
}

/// The tree for ranges that begin with 0 and rise; all numbers are covered.
pub(crate) fn build(graph: &mut Graph, ranges: &[Range]) -> Option<NodeId> {
    if ranges.len() <= LONGEST_ROW {
        let table = plan(ranges)?;
        return Some(emit(graph, ranges, &table, 0..ranges.len()));
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let below = build(graph, low)?;
    let above = build(graph, high)?;
    Some(graph.jump(Test::AtLeast, high[0].first, above, below))
}

/// Finds the best way through each row from those through shorter ones.
///
/// Where a row is parted best lies between where the row without its last range and the one
/// without its first are (Knuth's bound), which makes this quadratic.
fn plan(ranges: &[Range]) -> Option<Table> {
    let count = ranges.len();
    if count == 0 {
        return None;
    }
    let unset = Best {
        cost: 0,
        way: Way::Leaf,
    };
    let mut table = Table {
        best: vec![unset; count * count],
        width: count,
    };
    // Where a row is parted best; by first range, for rows of the last length.
    let mut parted: Vec<usize> = (0..count).collect();
    // Each test costs something even where nothing is expected.
    let sums: Vec<u64> = std::iter::once(0)
        .chain(ranges.iter().scan(0, |sum, range| {
            *sum += range.weight + 1;
            Some(*sum)
        }))
        .collect();
    for length in 2..=count {
        for start in 0..=count - length {
            let row = start..start + length;
            let weight = sums[row.end] - sums[row.start];
            let (from, to) = match length {
                2 => (start + 1, start + 1),
                _ => (
                    parted[start].max(start + 1),
                    parted[start + 1].min(row.end - 1),
                ),
            };
            let cost = |at: usize| table.at(&(start..at)).cost + table.at(&(at..row.end)).cost;
            let part = (from..=to.max(from))
                .min_by_key(|at| cost(*at))
                .unwrap_or(from);
            parted[start] = part;
            let mut best = Best {
                cost: weight + cost(part),
                way: Way::Part(part as u16),
            };
            if let Some((node, cost)) = chain_cost(ranges, &row)
                && cost <= best.cost
            {
                best = Best {
                    cost,
                    way: Way::Chain(node),
                };
            }
            table.set(&row, best);
        }
    }
    Some(table)
}

fn is_single(ranges: &[Range], index: usize) -> bool {
    match ranges.get(index + 1) {
        Some(next) => next.first - ranges[index].first == 1,
        None => ranges[index].first == u32::MAX,
    }
}

/// The node that all but single numbers of a row have, when there are few enough of those.
fn rest(ranges: &[Range], row: &Indices<usize>) -> Option<NodeId> {
    if row.len() > 2 * LONGEST_CHAIN + 1 {
        return None;
    }
    let wide = row.clone().find(|index| !is_single(ranges, *index));
    let heaviest = || row.clone().max_by_key(|index| ranges[*index].weight);
    let node = ranges[wide.or_else(heaviest)?].node;
    let mut exceptions = row.clone().filter(|index| ranges[*index].node != node);
    let fits = exceptions.clone().count() <= LONGEST_CHAIN;
    (fits && exceptions.all(|index| is_single(ranges, index))).then_some(node)
}

/// The exceptions of a chain, the heaviest first.
fn exceptions(ranges: &[Range], row: &Indices<usize>, rest: NodeId) -> Vec<Range> {
    let mut exceptions: Vec<_> = ranges[row.clone()]
        .iter()
        .filter(|range| range.node != rest)
        .copied()
        .collect();
    exceptions.sort_by_key(|range| (std::cmp::Reverse(range.weight), range.first));
    exceptions
}

fn chain_cost(ranges: &[Range], row: &Indices<usize>) -> Option<(NodeId, u64)> {
    let node = rest(ranges, row)?;
    let exceptions = exceptions(ranges, row, node);
    let total: u64 = ranges[row.clone()].iter().map(|r| r.weight + 1).sum();
    // The first test is met by all, the second by all but the first exception, and so on.
    let (cost, _) = exceptions.iter().fold((0, total), |(cost, left), range| {
        (cost + left, left - range.weight - 1)
    });
    Some((node, cost))
}

fn emit(graph: &mut Graph, ranges: &[Range], table: &Table, row: Indices<usize>) -> NodeId {
    let weight = |row: &Indices<usize>| ranges[row.clone()].iter().map(|r| r.weight).sum();
    match table.at(&row).way {
        _ if row.len() == 1 => ranges[row.start].node,
        Way::Leaf => ranges[row.start].node,
        Way::Part(at) => {
            let at = usize::from(at);
            let above = emit(graph, ranges, table, at..row.end);
            let below = emit(graph, ranges, table, row.start..at);
            let node = graph.jump(Test::AtLeast, ranges[at].first, above, below);
            graph.heat(node, weight(&row));
            node
        }
        Way::Chain(rest) => {
            exceptions(ranges, &row, rest)
                .iter()
                .rev()
                .fold(rest, |rest, range| {
                    let node = graph.jump(Test::Equal, range.first, range.node, rest);
                    graph.heat(node, weight(&row));
                    node
                })
        }
    }
}
