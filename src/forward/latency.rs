//! How soon an upstream answers, as RFC 6298 estimates it.
//!
//! Pure: durations in, durations out.

use std::time::Duration;

/// Silence after which the next transmission leaves, at the least. A resolver has some answers in
/// its cache and asks the world for others, so its times jump; below this, every answer that it
/// has to look for would be asked for twice.
pub(super) const PATIENCE_MIN: Duration = Duration::from_millis(200);
/// And at most, which is also where an upstream begins of which nothing is known: a lost first
/// packet costs this, and a client is to wait less than half a second for it.
pub(super) const PATIENCE_MAX: Duration = Duration::from_millis(350);

/// The smoothed time, and how much times differ from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    smoothed: Duration,
    variation: Duration,
}

// === impl Latency ===

impl Latency {
    /// After the first measurement (RFC 6298 section 2.2).
    pub(super) fn first(measured: Duration) -> Latency {
        Latency { smoothed: measured, variation: measured / 2 }
    }

    /// After one more (section 2.3): a quarter of the variation is new, and an eighth of the time.
    pub(super) fn then(self, measured: Duration) -> Latency {
        let differs = self.smoothed.abs_diff(measured);
        Latency {
            smoothed: (self.smoothed * 7 + measured) / 8,
            variation: (self.variation * 3 + differs) / 4,
        }
    }

    /// The smoothed time.
    pub(super) fn smoothed(self) -> Duration {
        self.smoothed
    }

    /// Silence after which a packet is most likely lost (section 2.3), within our bounds.
    pub(super) fn patience(self) -> Duration {
        (self.smoothed + self.variation * 4).clamp(PATIENCE_MIN, PATIENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_follows_what_is_measured() {
        let mut latency = Latency::first(millis(80));
        assert_eq!((latency.smoothed(), latency.patience()), (millis(80), millis(240)));
        for _ in 0..40 {
            latency = latency.then(millis(8));
        }
        assert!(latency.smoothed() < millis(9), "{latency:?}");
        assert_eq!(latency.patience(), PATIENCE_MIN);
    }

    #[test]
    fn patience_has_bounds_whatever_is_measured() {
        assert_eq!(Latency::first(Duration::ZERO).patience(), PATIENCE_MIN);
        assert_eq!(Latency::first(millis(3_000)).patience(), PATIENCE_MAX);
    }
}
