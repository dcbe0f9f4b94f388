//! What is said of repeated measurements.

use serde::{Deserialize, Serialize};

/// Repeated measurements of one thing.
///
/// The median and not the mean: what disturbs a measurement only ever makes it longer, and a
/// few such rounds must not move what is said of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// How many there are.
    pub(crate) count: usize,
    /// The value that half of them exceed.
    pub(crate) median: f64,
    /// The value that three quarters of them exceed.
    pub(crate) lower_quartile: f64,
    /// The value that a quarter of them exceed.
    pub(crate) upper_quartile: f64,
    /// The smallest.
    pub(crate) least: f64,
}

impl Summary {
    /// `None` when there are no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            count: sorted.len(),
            least: *sorted.first()?,
            median: quantile(&sorted, 0.5)?,
            lower_quartile: quantile(&sorted, 0.25)?,
            upper_quartile: quantile(&sorted, 0.75)?,
        })
    }

    /// The distance between the quartiles: half of the values lie within.
    pub(crate) fn spread(&self) -> f64 {
        self.upper_quartile - self.lower_quartile
    }
}

/// How many times as much the second has as the first: the median of what it is in each round,
/// whose two measurements were made one after the other, on a machine that was as busy.
pub(crate) fn multiple(first: &[f64], second: &[f64]) -> Option<f64> {
    let ratios: Vec<_> = { first.iter().zip(second) }
        .map(|(first, second)| second / first)
        .collect();
    Summary::of(&ratios).map(|summary| summary.median)
}

/// The value below which the share `share` of `sorted` lies, between its neighbours in
/// proportion.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)?) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (sorted.get(below)?, sorted.get(above)?);
    Some(low + (high - low) * (place - place.floor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_nothing_is_said() {
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn one_value_has_no_spread() {
        let summary = Summary::of(&[3.0]).unwrap();
        assert_eq!((summary.median, summary.spread()), (3.0, 0.0));
    }

    #[test]
    fn one_slow_round_does_not_move_the_median() {
        let quiet = Summary::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        let disturbed = Summary::of(&[1.0, 2.0, 3.0, 4.0, 500.0]).unwrap();
        let said = |it: &Summary| (it.median, it.spread());
        assert_eq!(said(&quiet), said(&disturbed));
    }

    #[test]
    fn rounds_are_compared_each_with_itself() {
        // Half of the rounds were slow for both, and one for one of them.
        let (first, second) = ([1.0, 10.0, 1.0, 10.0, 5.0], [1.1, 11.0, 1.1, 11.0, 1.0]);
        assert!((multiple(&first, &second).unwrap() - 1.1).abs() < 1e-9);
        assert_eq!(multiple(&[], &second), None);
    }

    #[test]
    fn quartiles_lie_between_neighbours_in_proportion() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((summary.least, summary.median), (1.0, 2.5));
        let quartiles = (summary.lower_quartile, summary.upper_quartile);
        assert_eq!(quartiles, (1.75, 3.25));
    }
}
