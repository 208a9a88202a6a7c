//! How long an answer may be kept.

use std::{fmt, time::Duration};

/// A time to live in whole seconds, 0 to 2^31 - 1 (RFC 2181 section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u32);

/// Between what a TTL of others is moved before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlBounds {
    /// The least that records count as having.
    pub min: Ttl,
    /// The greatest that records count as having.
    pub max: Ttl,
    /// The greatest for the absence of records; it has no least.
    pub negative_max: Ttl,
}

/// Seconds that do not fit a TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} s is longer than a TTL can be (2147483647 s)")]
pub struct TtlError(pub u32);

// === impl Ttl ===

impl Ttl {
    /// The longest TTL there is.
    pub const MAX: Ttl = Ttl(0x7fff_ffff);
    /// Not to be kept.
    pub const ZERO: Ttl = Ttl(0);

    /// A TTL of `secs` seconds. Fails above 2^31 - 1.
    pub const fn from_secs(secs: u32) -> Result<Ttl, TtlError> {
        match secs <= Self::MAX.0 {
            true => Ok(Ttl(secs)),
            false => Err(TtlError(secs)),
        }
    }

    /// A TTL as it arrived: with the top bit set it counts as 0 (RFC 2181 section 8).
    pub const fn from_wire(secs: u32) -> Ttl {
        match secs <= Self::MAX.0 {
            true => Ttl(secs),
            false => Ttl(0),
        }
    }

    /// The whole seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// The same as a duration.
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

// === impl TtlBounds ===

impl TtlBounds {
    /// Every TTL is within.
    pub const WIDEST: TtlBounds =
        TtlBounds { min: Ttl::ZERO, max: Ttl::MAX, negative_max: Ttl::MAX };
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Ttl;

    #[test]
    fn the_top_bit_means_zero_on_the_wire_and_an_error_in_configuration() {
        assert_eq!(Ttl::from_wire(0x8000_0000), Ttl::ZERO);
        assert_eq!(Ttl::from_wire(0x7fff_ffff), Ttl::MAX);
        assert!(Ttl::from_secs(0x8000_0000).is_err());
    }
}
