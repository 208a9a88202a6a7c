//! Which of a name's addresses comes first.

/// Where the next answer's addresses begin. Drawn, not counted up: clients ask in patterns, such as
/// A and AAAA in turn, and a counter that all questions advance shows each pattern a part of the
/// addresses only.
pub(super) struct Rotation(u64);

// === impl Rotation ===

impl Rotation {
    pub(super) fn new(seed: u32) -> Self {
        Self(seed.into())
    }

    /// The next number (SplitMix64: an odd step and a mix, any seed will do).
    pub(super) fn draw(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The highest bits are the best mixed, and fit whatever a usize is.
        usize::try_from(mixed >> 33).unwrap_or_default()
    }
}
