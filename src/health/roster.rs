//! Who is probed, in which order, and what came of it.
//!
//! Pure: holds no clock and no socket.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Bound,
    time::Duration,
};

use super::{
    Unhealthy,
    state::{Observed, State, observe},
};

/// Between two probes, whatever the number of addresses: the runtime's timer has steps of a
/// millisecond. At the default interval of 5 s that is enough for 5,000 addresses; more take
/// longer a round.
const STEP_MIN: Duration = Duration::from_millis(1);

/// Every address to probe with its state, walked through in a ring.
#[derive(Debug, Default)]
pub(super) struct Roster {
    states: BTreeMap<IpAddr, State>,
    /// The address that was asked last; it need not be there any more.
    last: Option<IpAddr>,
}

// === impl Roster ===

impl Roster {
    /// Takes `addresses` for the whole list: forgets the others, and knows nothing of new ones.
    pub(super) fn set(&mut self, addresses: &BTreeSet<IpAddr>) {
        self.states.retain(|ip, _| addresses.contains(ip));
        for ip in addresses {
            self.states.entry(*ip).or_insert(State::NEW);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The next in the ring. A list that changes meanwhile skips nobody and asks nobody twice in
    /// one walk.
    pub(super) fn next(&mut self) -> Option<IpAddr> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut behind = self.states.range((after, Bound::Unbounded));
        let next = behind.next().or_else(|| self.states.first_key_value());
        self.last = next.map(|(ip, _)| *ip);
        self.last
    }

    /// Between two probes, so that a walk through the ring takes one interval.
    pub(super) fn step(&self, interval: Duration) -> Duration {
        let addresses = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        interval.checked_div(addresses).unwrap_or(interval).max(STEP_MIN)
    }

    /// Notes a probe's result. Nothing comes of one for an address that has been forgotten.
    pub(super) fn observe(&mut self, ip: IpAddr, answered: bool) -> Observed {
        let Some(state) = self.states.get_mut(&ip) else { return Observed::default() };
        let (next, observed) = observe(*state, answered);
        *state = next;
        observed
    }

    /// Whether it is down and has never answered.
    pub(super) fn is_unheard(&self, ip: IpAddr) -> bool {
        self.states.get(&ip).is_some_and(|state| state.is_unheard())
    }

    /// Whether it is given out and has not answered.
    pub(super) fn doubts(&self, ip: IpAddr) -> bool {
        self.states.get(&ip).is_some_and(|state| state.is_doubted())
    }

    pub(super) fn unhealthy(&self) -> Unhealthy {
        let those = |is: fn(State) -> bool| {
            self.states.iter().filter(move |(_, state)| is(**state)).map(|(ip, _)| *ip)
        };
        let (down, unheard) = (those(State::is_down), those(State::is_unheard));
        let flapping = self.states.iter().filter_map(|(ip, state)| Some((*ip, state.flaps()?)));
        Unhealthy::new(down.collect(), unheard.collect(), flapping.collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        net::IpAddr,
        time::Duration,
    };

    use super::Roster;
    use crate::health::{
        Unhealthy,
        state::{Observed, Transition},
    };

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn roster(list: &[u8]) -> Roster {
        let mut roster = Roster::default();
        set(&mut roster, list);
        roster
    }

    fn set(roster: &mut Roster, list: &[u8]) {
        roster.set(&list.iter().copied().map(ip).collect::<BTreeSet<IpAddr>>());
    }

    #[test]
    fn every_address_has_its_turn_before_the_first_comes_again() {
        let mut roster = roster(&[1, 2, 3]);
        let turns: Vec<IpAddr> = (0..7).filter_map(|_| roster.next()).collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3, 1].map(ip));
        set(&mut roster, &[2, 4]);
        assert_eq!([roster.next(), roster.next(), roster.next()], [2, 4, 2].map(|n| Some(ip(n))));
        set(&mut roster, &[1]);
        assert_eq!(roster.next(), Some(ip(1)));
        set(&mut roster, &[]);
        assert_eq!(roster.next(), None);
    }

    #[test]
    fn a_walk_takes_an_interval_however_many_there_are() {
        let second = Duration::from_secs(1);
        let step = |count: u8| roster(&(0..count).collect::<Vec<_>>()).step(second);
        assert_eq!(step(1), second);
        assert_eq!(step(4), second / 4);
        assert_eq!(step(200), Duration::from_millis(5));
        assert_eq!(step(0), second);
        assert_eq!(roster(&[1, 2]).step(Duration::ZERO), Duration::from_millis(1));
    }

    #[test]
    fn an_address_that_comes_back_is_a_new_one() {
        let mut roster = roster(&[1, 2]);
        let told: Vec<_> = (0..3).map(|_| roster.observe(ip(1), false).verdict).collect();
        assert_eq!(told, [None, None, Some(Transition::WentDown)]);
        let unheard: BTreeSet<IpAddr> = [ip(1)].into();
        let expected = Unhealthy::new(unheard.clone(), unheard, BTreeMap::new());
        assert_eq!(roster.unhealthy(), expected);
        set(&mut roster, &[2]);
        assert_eq!(roster.observe(ip(1), false), Observed::default());
        set(&mut roster, &[1, 2]);
        assert_eq!(roster.unhealthy(), Unhealthy::default());
        assert_eq!(roster.observe(ip(1), false), Observed::default());
    }
}
