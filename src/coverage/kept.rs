//! The names that clients asked for, kept where that is switched on.
//!
//! A name has a slot, which may be taken from it: whoever counts brings the slot's turn along, so
//! that nothing is counted for the name that came after.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::base::Name;

use super::names::Found;

/// Names kept at most. At 330 octets for a name of 40 (twice as text and list, and the map's place)
/// and 1 kB for the longest these are 0.7 MB, and 2 MB at worst.
pub const NAMES_MAX: usize = 2_048;
/// A slot's number has its turn above these bits and the count in them: a million a second for
/// twelve days. A turn comes back after 16 million others.
const COUNT_BITS: u32 = 40;

/// Names and how often each was told.
pub(super) struct Kept {
    names: Mutex<Names>,
    counts: Box<[AtomicU64]>,
}

#[derive(Default)]
struct Names {
    slots: HashMap<Name, u16>,
    list: Vec<(Name, Found)>,
}

/// A name's slot, for as long as it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    at: u16,
    turn: u32,
}

// === impl Kept ===

impl Kept {
    pub(super) fn new() -> Self {
        Self {
            names: Mutex::default(),
            counts: (0..NAMES_MAX).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The slot of a name: the one it has, a free one, or that of the name counted least so far.
    pub(super) fn slot(&self, name: &Name, found: Found) -> Option<Slot> {
        let mut names = self.names();
        let at = match names.slots.get(name) {
            Some(at) => *at,
            None => {
                let at = match names.list.len() {
                    len if len < NAMES_MAX => {
                        names.list.push((name.clone(), found));
                        len
                    }
                    _ => self.take_least(&mut names, name, found)?,
                };
                let at = u16::try_from(at).ok()?;
                names.slots.insert(name.clone(), at);
                at
            }
        };
        let count = self.counts.get(usize::from(at))?.load(Ordering::Relaxed);
        Some(Slot { at, turn: turn_of(count) })
    }

    fn take_least(&self, names: &mut Names, name: &Name, found: Found) -> Option<usize> {
        let counted = |count: &AtomicU64| times_of(count.load(Ordering::Relaxed));
        let (at, count) = self.counts.iter().enumerate().min_by_key(|(_, it)| counted(it))?;
        let place = names.list.get_mut(at)?;
        names.slots.remove(&place.0);
        *place = (name.clone(), found);
        next_turn(count);
        Some(at)
    }

    /// Counts, if the name still has the slot.
    pub(super) fn count(&self, slot: Slot, times: u64) {
        let Some(count) = self.counts.get(usize::from(slot.at)) else { return };
        let more = |it| (turn_of(it) == slot.turn).then(|| it.wrapping_add(times));
        // Another name's by now: the name's own is told no more.
        let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Forgets every name.
    pub(super) fn clear(&self) {
        let mut names = self.names();
        *names = Names::default();
        self.counts.iter().for_each(next_turn);
    }

    /// Every name that was told, and how often since it has its slot.
    pub(super) fn told(&self) -> Vec<(Name, Found, u64)> {
        let names = self.names();
        let told = names.list.iter().zip(&self.counts).map(|((name, found), count)| {
            (name.clone(), *found, times_of(count.load(Ordering::Relaxed)))
        });
        told.filter(|(_, _, times)| 0 < *times).collect()
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

fn turn_of(count: u64) -> u32 {
    u32::try_from(count >> COUNT_BITS).unwrap_or_default()
}

fn times_of(count: u64) -> u64 {
    count & ((1 << COUNT_BITS) - 1)
}

fn next_turn(count: &AtomicU64) {
    let next = u64::from(turn_of(count.load(Ordering::Relaxed))).wrapping_add(1);
    count.store(next << COUNT_BITS, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::{Found, Kept, NAMES_MAX};

    const FOUND: Found = Found { host: 0, place: 0 };

    fn fill(kept: &Kept) {
        for at in 0..NAMES_MAX {
            let slot = kept.slot(&format!("n{at}.example").parse().unwrap(), FOUND).unwrap();
            kept.count(slot, 10);
        }
    }

    #[test]
    fn the_least_counted_makes_room_and_what_it_had_is_not_the_new_ones() {
        let kept = Kept::new();
        fill(&kept);
        let first = "n0.example".parse().unwrap();
        let old = kept.slot(&first, FOUND).unwrap();
        (1..NAMES_MAX).for_each(|at| {
            let slot = kept.slot(&format!("n{at}.example").parse().unwrap(), FOUND).unwrap();
            kept.count(slot, 1);
        });
        let new = kept.slot(&"new.example".parse().unwrap(), FOUND).unwrap();
        kept.count(old, 7);
        kept.count(new, 3);
        let told = kept.told();
        assert_eq!(told.len(), NAMES_MAX);
        assert!(told.iter().all(|(name, ..)| *name != first));
        let news = told.iter().find(|(name, ..)| name.to_string() == "new.example");
        assert_eq!(news.unwrap().2, 3);
    }

    #[test]
    fn what_is_forgotten_is_counted_for_nobody() {
        let kept = Kept::new();
        let slot = kept.slot(&"a.example".parse().unwrap(), FOUND).unwrap();
        kept.count(slot, 1);
        kept.clear();
        kept.count(slot, 1);
        kept.slot(&"b.example".parse().unwrap(), FOUND).unwrap();
        assert_eq!(kept.told(), []);
    }
}
