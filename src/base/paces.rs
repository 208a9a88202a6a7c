//! How often each of many may do something, in a table of fixed size that threads share unlocked.
//!
//! Pure: time and the key of the hash are arguments. It never holds anybody back for what another
//! did: where there is no room for all, somebody is forgotten, and may begin anew.

use std::{
    hash::Hasher,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use siphasher::sip::SipHasher13;

/// Who share a place by their hashes; as many as a line of the processor's cache holds.
const SET: usize = 8;
/// A slot's lower bits are a time in ticks, the upper ones a part of the hash: of two clients of one set
/// one in 16 million has the other's.
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// Ticks are 2^-24 s, 60 ns: rates to 100,000 a second are right to 1 in 100, and 40 bits begin
/// again after 18 hours. Who comes back at that very moment is taken for somebody who was just here.
const TICK_BITS: u32 = 24;

/// How often one may: so many a second, and so many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Ticks that each takes.
    each: u64,
    /// Ticks that one may be ahead of time.
    ahead_max: u64,
}

/// When each of many is back in time. The busiest are remembered.
pub struct Paces {
    sets: Box<[Set]>,
    key: [u8; 16],
}

#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; SET]);

// === impl Pace ===

impl Pace {
    /// `per_second` is 1 to 100,000, and `at_once` what it makes in an hour at most.
    pub const fn new(per_second: u32, at_once: u32) -> Self {
        let per_second = if per_second == 0 { 1 } else { per_second };
        let each = (1 << TICK_BITS) / per_second as u64;
        Self { each, ahead_max: each * at_once as u64 }
    }
}

// === impl Paces ===

impl Paces {
    /// Room for `clients`, rounded up to a power of two of eights, with 8 octets each. `key` is random:
    /// nobody should know who shares a place with whom.
    pub fn new(clients: usize, key: [u8; 16]) -> Self {
        let sets = clients.div_ceil(SET).next_power_of_two();
        Self { sets: (0..sets).map(|_| Set::default()).collect(), key }
    }

    /// Whether `who` may once more at `now`, counted from any fixed moment; if so it is counted.
    pub fn may(&self, who: &[u8], pace: Pace, now: Duration) -> bool {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(who);
        let hash = hasher.finish();
        let tag = hash & !TIME;
        // The lower bits choose the set, the upper ones are the tag.
        let at = usize::try_from(hash & TIME).unwrap_or_default() & (self.sets.len() - 1);
        let Some(Set(slots)) = self.sets.get(at) else { return true };
        let now = ticks(now);
        let mut least: Option<(u64, u64, &AtomicU64)> = None;
        for slot in slots {
            let held = slot.load(Relaxed);
            if held & !TIME == tag {
                return slot
                    .fetch_update(Relaxed, Relaxed, |held| later(held, tag, pace, now))
                    .is_ok();
            }
            let ahead = ahead(held, pace, now);
            if least.is_none_or(|(known, ..)| ahead < known) {
                least = Some((ahead, held, slot));
            }
        }
        // Most often whoever was there is back in time, and nothing is forgotten. Where all are
        // ahead, a flood from everywhere, it is the one nearest to it: those in excess stay known.
        if let Some((_, held, slot)) = least {
            let new = later(tag, tag, pace, now).unwrap_or(tag);
            // Another thread may have been quicker; then this one is not counted.
            let _ = slot.compare_exchange(held, new, Relaxed, Relaxed);
        }
        true
    }
}

/// The slot once it is counted; none if that is too far ahead.
fn later(held: u64, tag: u64, pace: Pace, now: u64) -> Option<u64> {
    let ahead = match held & !TIME == tag {
        true => ahead(held, pace, now),
        // Another one has the slot since it was found.
        false => 0,
    };
    let ahead = ahead + pace.each;
    (ahead <= pace.ahead_max).then_some(tag | (now.wrapping_add(ahead) & TIME))
}

/// How far a slot is ahead of time. What cannot be ahead so far is long past.
fn ahead(held: u64, pace: Pace, now: u64) -> u64 {
    match held.wrapping_sub(now) & TIME {
        ahead if ahead <= pace.ahead_max => ahead,
        _ => 0,
    }
}

fn ticks(time: Duration) -> u64 {
    let part = (u64::from(time.subsec_nanos()) << TICK_BITS) / 1_000_000_000;
    ((time.as_secs() << TICK_BITS) | part) & TIME
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::{Pace, Paces, TICK_BITS, TIME_BITS};

    const KEY: [u8; 16] = [7; 16];

    fn count(paces: &Paces, who: u32, pace: Pace, now: Duration, times: u32) -> u32 {
        let may = |_: &u32| paces.may(&who.to_be_bytes(), pace, now);
        u32::try_from((0..times).filter(may).count()).unwrap()
    }

    #[test]
    fn one_has_its_pace_over_time_and_a_burst_after_a_pause() {
        let (paces, pace) = (Paces::new(64, KEY), Pace::new(100, 50));
        let mut allowed = 0;
        for ms in 0..10_000 {
            allowed += count(&paces, 1, pace, Duration::from_millis(ms), 1);
        }
        assert!((1_045..=1_055).contains(&allowed), "{allowed}");
        assert_eq!(count(&paces, 1, pace, Duration::from_secs(60), 1_000), 50);
        assert_eq!(count(&paces, 2, pace, Duration::from_secs(60), 1_000), 50, "another's own");
    }

    #[test]
    fn rates_are_right_to_a_hundredth_and_clocks_may_go_round() {
        for rate in [1, 3, 1_000, 33_333, 100_000] {
            let (paces, pace) = (Paces::new(8, KEY), Pace::new(rate, rate));
            // Over the end of what a slot can say.
            let start = Duration::from_secs((1 << (TIME_BITS - TICK_BITS)) - 2);
            assert_eq!(count(&paces, 1, pace, start, 2 * rate), rate);
            for second in 1..5 {
                let allowed = count(&paces, 1, pace, start + Duration::from_secs(second), 2 * rate);
                assert!(allowed.abs_diff(rate) <= rate / 100, "{allowed} of {rate}");
            }
        }
    }

    #[test]
    fn ten_million_others_neither_free_who_is_in_excess_nor_stop_who_is_not() {
        let (paces, pace) = (Paces::new(4_096, KEY), Pace::new(10, 10));
        let mut allowed = 0;
        for other in 0..10_000_000_u32 {
            // 250,000 a second, for 40 s.
            let now = Duration::from_micros(u64::from(other) * 4);
            assert_eq!(count(&paces, 1_000 + other, pace, now, 1), 1, "everybody's first");
            if other % 250 == 0 {
                allowed += count(&paces, 1, pace, now, 1);
            }
        }
        // 1,000 a second ask for 10 a second.
        assert!((400..=440).contains(&allowed), "{allowed}");
    }

    #[test]
    fn threads_together_have_no_more_than_one() {
        let (paces, pace) = (Paces::new(64, KEY), Pace::new(1_000, 1_000));
        let now = Duration::from_secs(5);
        let all: u32 = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| count(&paces, 9, pace, now, 20_000))).collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        // Those that come to an empty slot at once may each be let through.
        assert!((1_000..=1_006).contains(&all), "{all}");
    }
}
