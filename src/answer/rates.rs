//! How much one client may ask, and what it gets above that.
//!
//! A datagram's sender is easily forged, so what is not answered may be a real client's whose address
//! somebody else uses. It has two ways that nobody can take from it, counted apart: a connection, to
//! which some of the datagrams are answered with TC, and a cookie of ours, which they are told.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    base::{Pace, Paces},
    policy::RateConfig,
    telemetry::Limited,
};

/// Clients that are remembered at once, by datagrams and by what cannot be forged: 512 KiB. Only
/// those count that have asked within the time of one question at their rate, 10 ms at 100 a
/// second: 250,000 datagrams a second from as many addresses are 2,500. Past it those nearest to
/// their rate begin anew, so nobody is held back for others.
const CLIENTS_MAX: usize = 65_536;

/// Holds each client to its rate.
pub struct Rates {
    config: RateConfig,
    pace: Pace,
    paces: Paces,
    started: Instant,
    over: AtomicU32,
}

/// Who sent something, as far as limits go: whether it can have another's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// No limit is for it.
    Unlimited,
    /// It came by a connection, or with a cookie that was told to this address.
    Proven,
    /// A datagram.
    Anybody,
}

// === impl Rates ===

impl Rates {
    /// Nobody has asked yet. A rate of 0 limits nobody and has none of this.
    pub fn new(config: RateConfig) -> Option<Self> {
        let per_second = config.questions_per_second;
        (0 < per_second).then(|| Self {
            config,
            // A second's worth at once: resolvers and boots of many machines come in bursts.
            pace: Pace::new(per_second, per_second),
            paces: Paces::new(CLIENTS_MAX, rand::random()),
            started: Instant::now(),
            over: AtomicU32::new(0),
        })
    }

    /// What it was made from.
    pub fn config(&self) -> RateConfig {
        self.config
    }

    /// What is done in place of an answer to one more question at `now`; none if it may be answered.
    pub(super) fn limit(&self, client: IpAddr, sender: Sender, now: Instant) -> Option<Limited> {
        let now = now.saturating_duration_since(self.started);
        if sender == Sender::Unlimited || self.may(client, sender, now) {
            return None;
        }
        Some(match (sender, self.config.slip) {
            (Sender::Proven | Sender::Unlimited, _) => Limited::Refused,
            (Sender::Anybody, 0) => Limited::Dropped,
            (Sender::Anybody, slip) => {
                match self.over.fetch_add(1, Ordering::Relaxed).is_multiple_of(slip) {
                    true => Limited::Truncated,
                    false => Limited::Dropped,
                }
            }
        })
    }

    fn may(&self, client: IpAddr, sender: Sender, now: Duration) -> bool {
        let mut who = [0; 18];
        let (network, kind) = match client {
            IpAddr::V4(ip) => {
                let bits = u32::from(ip) & mask_v4(self.config.ipv4_prefix);
                (u128::from(bits), 4)
            }
            IpAddr::V6(ip) => (u128::from(ip) & mask_v6(self.config.ipv6_prefix), 6),
        };
        who[..16].copy_from_slice(&network.to_be_bytes());
        who[16] = kind;
        who[17] = u8::from(sender == Sender::Proven);
        self.paces.may(&who, self.pace, now)
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{IpAddr, Rates, Sender};
    use crate::{policy::RateConfig, telemetry::Limited};

    fn rates(questions_per_second: u32, slip: u32) -> Rates {
        Rates::new(RateConfig { questions_per_second, slip, ..RateConfig::OFF }).unwrap()
    }

    /// How often of ten times it is answered, told TC, dropped and refused, at once.
    fn ten(rates: &Rates, client: &str, sender: Sender, after: Duration) -> [usize; 4] {
        let client: IpAddr = client.parse().unwrap();
        let (client, now) = (client.to_canonical(), Instant::now() + after);
        let all: Vec<_> = (0..10).map(|_| rates.limit(client, sender, now)).collect();
        [None, Some(Limited::Truncated), Some(Limited::Dropped), Some(Limited::Refused)]
            .map(|kind| all.iter().filter(|it| **it == kind).count())
    }

    const LATER: Duration = Duration::from_secs(100);

    #[test]
    fn above_its_rate_a_client_is_told_to_come_by_tcp_and_there_it_has_its_own() {
        let rates = rates(4, 2);
        assert_eq!(ten(&rates, "10.0.0.1", Sender::Anybody, LATER), [4, 3, 3, 0]);
        assert_eq!(ten(&rates, "10.0.0.1", Sender::Proven, LATER), [4, 0, 0, 6]);
        assert_eq!(ten(&rates, "10.0.0.1", Sender::Anybody, 2 * LATER), [4, 3, 3, 0], "again");
    }

    #[test]
    fn without_a_slip_all_above_the_rate_is_dropped_and_with_one_all_is_cut() {
        assert_eq!(ten(&rates(4, 0), "10.0.0.1", Sender::Anybody, LATER), [4, 0, 6, 0]);
        assert_eq!(ten(&rates(4, 1), "10.0.0.1", Sender::Anybody, LATER), [4, 6, 0, 0]);
    }

    #[test]
    fn ipv6_clients_are_held_by_network_and_ipv4_ones_by_address() {
        let rates = rates(4, 0);
        assert_eq!(ten(&rates, "fd00::1", Sender::Anybody, LATER)[0], 4);
        assert_eq!(ten(&rates, "fd00::2", Sender::Anybody, LATER)[0], 0);
        assert_eq!(ten(&rates, "fd00:0:0:1::1", Sender::Anybody, LATER)[0], 4);
        assert_eq!(ten(&rates, "10.0.0.1", Sender::Anybody, LATER)[0], 4);
        assert_eq!(ten(&rates, "10.0.0.2", Sender::Anybody, LATER)[0], 4);
        assert_eq!(ten(&rates, "::ffff:10.0.0.2", Sender::Anybody, LATER)[0], 0);
    }

    #[test]
    fn whom_no_limit_is_for_may_ask_as_much_as_he_likes_and_takes_nothing_of_others() {
        let rates = rates(4, 0);
        assert_eq!(ten(&rates, "10.9.0.77", Sender::Unlimited, LATER), [10, 0, 0, 0]);
        assert_eq!(ten(&rates, "10.9.0.77", Sender::Anybody, LATER), [4, 0, 6, 0]);
    }
}
