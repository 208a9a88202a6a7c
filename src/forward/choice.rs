//! In which order upstreams are asked.
//!
//! Pure. Health and latency order and never exclude: one that fails is asked last, and a lone one
//! always.

use std::time::Duration;

/// Whoever answers in less than twice the time of the fastest shares its load, and so does whoever
/// is this much slower: on a link of half a millisecond, twice the time is noise.
const BAND_MIN: Duration = Duration::from_millis(10);

/// What counts about one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// It has not answered the last few questions.
    pub(super) failing: bool,
    /// How soon it answers; `None` before it has.
    pub(super) smoothed: Option<Duration>,
}

/// Places of upstreams in the order they are asked. Those about as fast as the fastest take turns,
/// in the configuration's order; then come slower ones by their time; then those that fail.
pub(super) fn order(standings: &[Standing], turn: usize) -> Vec<usize> {
    let good = standings.iter().filter(|standing| !standing.failing);
    let best = good.filter_map(|standing| standing.smoothed).min().unwrap_or_default();
    let band = best + best.max(BAND_MIN);
    let rank = |standing: &Standing| match standing {
        Standing { failing: true, .. } => Rank::Failing,
        // One of which nothing is known yet has to be asked for that.
        Standing { smoothed: None, .. } => Rank::Sharing,
        Standing { smoothed: Some(time), .. } if *time <= band => Rank::Sharing,
        Standing { smoothed: Some(time), .. } => Rank::Slower(*time),
    };
    let mut order: Vec<_> = standings.iter().map(rank).enumerate().collect();
    order.sort_by_key(|(_, rank)| *rank);
    let sharing = order.iter().take_while(|(_, rank)| *rank == Rank::Sharing).count();
    order[..sharing].rotate_left(turn.checked_rem(sharing).unwrap_or_default());
    order.into_iter().map(|(place, _)| place).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Sharing,
    Slower(Duration),
    Failing,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds, `?` for unknown, `!` in front of one that fails.
    fn check(standings: &str, turn: usize, expected: &[usize]) {
        let standing = |word: &str| Standing {
            failing: word.starts_with('!'),
            smoothed: word.trim_start_matches('!').parse().ok().map(Duration::from_millis),
        };
        let standings: Vec<_> = standings.split(' ').map(standing).collect();
        assert_eq!(order(&standings, turn), expected);
    }

    #[test]
    fn those_about_as_fast_take_turns_in_the_configurations_order() {
        check("? ? ?", 0, &[0, 1, 2]);
        check("? ? ?", 4, &[1, 2, 0]);
        check("5 1 11", 0, &[0, 1, 2]);
        check("30 59 61", 1, &[1, 0, 2]);
    }

    #[test]
    fn slower_ones_come_later_and_failing_ones_last() {
        check("90 40 1 !1", 7, &[2, 1, 0, 3]);
        check("!? 300", 1, &[1, 0]);
        check("!1 !2", 1, &[0, 1]);
        check("!1", 0, &[0]);
    }
}
