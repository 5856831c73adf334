//! Numbers that look random and follow from a seed: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom
//! Number Generators", 2014).

/// A row of numbers.
#[derive(Debug, Clone)]
pub(in crate::vm) struct Dice(u64);

impl Dice {
    /// The row of `seed`.
    pub(in crate::vm) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit` - 1.
    pub(in crate::vm) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}
