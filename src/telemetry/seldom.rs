//! Holds log lines back that would come by the thousand, and says how many they were.
//!
//! It is for what a client or an upstream can cause as often as it likes; metrics count each.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

/// One kind of line, of which there is one in so much time.
pub struct Seldom {
    pause: Duration,
    state: Mutex<State>,
}

struct State {
    /// When one was last told.
    last: Option<Instant>,
    held_back: u64,
    told: bool,
}

// === impl Seldom ===

impl Seldom {
    /// At most one line in `pause`.
    pub const fn new(pause: Duration) -> Self {
        Self { pause, state: Mutex::new(State { last: None, held_back: 0, told: false }) }
    }

    /// Whether to tell now, and how many were not told since the last time.
    pub fn turn(&self, now: Instant) -> Option<u64> {
        let mut state = self.state();
        state.told = state.last.is_none_or(|last| last + self.pause <= now);
        if !state.told {
            state.held_back += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.held_back))
    }

    /// Whether the last one was told: then its end is to be told, too.
    pub fn was_told(&self) -> bool {
        self.state().told
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// A line of the log that whoever sends to us can cause as often as it likes: one a second from
/// where this stands, with the number of those that were held back.
macro_rules! seldom {
    ($log:ident, $($told:tt)+) => {{
        static LINES: $crate::telemetry::Seldom =
            $crate::telemetry::Seldom::new(std::time::Duration::from_secs(1));
        if let Some(held_back) = LINES.turn(std::time::Instant::now()) {
            tracing::$log!(held_back, $($told)+);
        }
    }};
}
pub(crate) use seldom;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Seldom;

    #[test]
    fn of_many_lines_one_is_told_and_the_next_says_how_many_were_not() {
        let (lines, start) = (Seldom::new(Duration::from_secs(10)), Instant::now());
        let at = |secs| lines.turn(start + Duration::from_secs(secs));
        assert_eq!(at(0), Some(0));
        assert!(lines.was_told());
        assert_eq!([at(0), at(1), at(9)], [None; 3]);
        assert!(!lines.was_told());
        assert_eq!([at(10), at(25)], [Some(3), Some(0)]);
    }
}
