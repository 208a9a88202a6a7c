//! What a server has shown that it cannot do, believed for a while.
//!
//! Pure: the time is an argument. It never costs an answer: what is believed only decides how the
//! next question is written first.

use std::time::Duration;

use tokio::time::Instant;

/// How long it is asked without before it is tried again: the server may be replaced or mended.
pub(super) const LACK_BELIEVED: Duration = Duration::from_secs(600);

/// A feature that servers should have, and that some have not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habit {
    /// Times in a row that it did not have it.
    lacked: u32,
    /// Until when it is asked without.
    without_until: Option<Instant>,
}

/// Whether what is believed has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// No.
    Same,
    /// From now on it is asked without.
    Lacks,
    /// It has the feature again.
    Has,
}

// === impl Habit ===

impl Habit {
    /// Whether to ask with the feature.
    pub(super) fn asks_with(&self, now: Instant) -> bool {
        self.without_until.is_none_or(|until| until <= now)
    }

    /// Whether it was believed to lack it, and has not shown otherwise since.
    pub(super) fn is_doubted(&self) -> bool {
        self.without_until.is_some()
    }

    /// It has the feature.
    pub(super) fn had(&mut self) -> Belief {
        let was = *self;
        *self = Habit::default();
        if was.without_until.is_some() { Belief::Has } else { Belief::Same }
    }

    /// It did not have it, and answered without. Believed when it happens `times` in a row; once it
    /// has been, the next time will do.
    pub(super) fn lacked(&mut self, times: u32, now: Instant) -> Belief {
        self.lacked = self.lacked.saturating_add(1);
        let known = self.without_until.is_some();
        if !known && self.lacked < times {
            return Belief::Same;
        }
        self.without_until = Some(now + LACK_BELIEVED);
        if known { Belief::Same } else { Belief::Lacks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_is_believed_when_it_was_seen_so_often_in_a_row_and_for_a_while() {
        let start = Instant::now();
        let mut habit = Habit::default();
        assert_eq!(habit.lacked(3, start), Belief::Same);
        assert_eq!(habit.lacked(3, start), Belief::Same);
        assert_eq!(habit.had(), Belief::Same, "not in a row");
        assert_eq!(habit.lacked(3, start), Belief::Same);
        assert_eq!(habit.lacked(3, start), Belief::Same);
        assert!(habit.asks_with(start));
        assert_eq!(habit.lacked(3, start), Belief::Lacks);
        assert!(!habit.asks_with(start));
        let later = start + LACK_BELIEVED;
        assert!(habit.asks_with(later) && habit.is_doubted(), "tried again, warily");
        assert_eq!(habit.lacked(3, later), Belief::Same, "one time will do");
        assert!(!habit.asks_with(later));
        assert_eq!(habit.had(), Belief::Has);
        assert!(habit.asks_with(later));
    }
}
