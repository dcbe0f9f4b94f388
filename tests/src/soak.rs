//! What the long tests need: how long they are, and chance that can be repeated.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// How often a long test does what it does: `full` when `COOP_SOAK=full`, as a release is
/// tested, and `short` in every other run.
pub fn rounds(short: usize, full: usize) -> usize {
    match std::env::var("COOP_SOAK") {
        Ok(word) if word == "full" => full,
        _ => short,
    }
}

/// Random numbers (xorshift64*). The seed is printed, and can be given by `COOP_SEED`.
#[derive(Debug)]
pub struct Chance(Cell<u64>);

impl Chance {
    /// Chance by the clock, or by `COOP_SEED`.
    pub fn new() -> Self {
        let given = std::env::var("COOP_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(1, |since| since.as_nanos() as u64)
        });
        eprintln!("COOP_SEED={seed}");
        Self(Cell::new(seed | 1))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.set(x);
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % end
    }

    /// One of them, if there are any.
    pub fn one_of<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() {
            return None;
        }
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Waits for at most so many microseconds.
    pub fn pause(&self, microseconds: u64) {
        std::thread::sleep(std::time::Duration::from_micros(self.below(microseconds)));
    }
}

impl Default for Chance {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_in_its_bounds_and_reaches_them() {
        let chance = Chance(Cell::new(7));
        let seen: std::collections::BTreeSet<_> = (0..1000).map(|_| chance.below(5)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(chance.one_of::<u8>(&[]), None);
    }
}
