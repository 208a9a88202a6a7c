//! How many packets a second go to upstreams that AWS limits, and whether one more may.
//!
//! The VPC's resolver takes 1,024 packets a second of one interface, metadata and time included, and
//! drops what is above without a word. Here they are counted before they leave. What is near the
//! limit spares packets; what is above it is not sent, so that clients get an answer at once in
//! place of silence. Packets that others on this host send are not known here: the interface's own
//! count of what was dropped (`allowance`) tells of those.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use nix::ifaddrs::getifaddrs;
use tokio::time::Instant;

use super::{
    address::{UpstreamAddress, is_link_local},
    config::{BudgetConfig, ForwardConfig},
};
use crate::telemetry::{BudgetMetrics, Spared};

/// A question by UDP.
pub(super) const UDP_PACKETS: u32 = 1;
/// A question by TCP, as far as we send: SYN, ACK, the question, ACK of the answer, FIN and the last
/// ACK. AWS reckons with some 200 questions a second, which is five packets each.
pub(super) const TCP_PACKETS: u32 = 6;
/// Octets of an answer that cost one ACK more: two segments of 1,448 each.
pub(super) const OCTETS_AN_ACK: usize = 2 * 1_448;

/// A second is looked at in parts of this length.
const PART: Duration = Duration::from_millis(50);
/// Twenty parts are a second, and with the one that has begun no second has more than is counted.
const PARTS: usize = 21;

/// The packets of all limited upstreams together: the limit is the interface's.
pub(super) struct Budget {
    soft: u32,
    hard: u32,
    begun: Instant,
    window: Mutex<Window>,
    metrics: BudgetMetrics,
}

/// How a budget stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStanding {
    /// The upstreams that it is for.
    pub upstreams: Vec<UpstreamAddress>,
    /// Packets in the last second.
    pub packets: u32,
    /// The most there were in a second of this minute or the last.
    pub peak: u32,
    /// From here on packets are spared.
    pub soft: u32,
    /// More are not sent.
    pub hard: u32,
}

/// Packets by parts of a second.
#[derive(Debug, Default)]
struct Window {
    parts: [u32; PARTS],
    /// The part that was last counted in, since the beginning.
    last: u64,
    /// The greatest second of a minute, and of the one before.
    peaks: (u64, u32, u32),
}

/// The packet is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverBudget;

// === impl Budget ===

impl Budget {
    pub(super) fn new(config: &BudgetConfig, metrics: BudgetMetrics) -> Self {
        metrics.limits(config.soft_packets, config.packets);
        Self {
            soft: config.soft_packets,
            hard: config.packets,
            begun: Instant::now(),
            window: Mutex::default(),
            metrics,
        }
    }

    /// Leave to send so many packets, which are counted; none if the second would have too many.
    pub(super) fn spend(&self, packets: u32, now: Instant) -> Result<(), OverBudget> {
        let part = self.part(now);
        let mut window = self.window();
        if self.hard < window.sum(part).saturating_add(packets) {
            drop(window);
            self.spared(Spared::Refused);
            return Err(OverBudget);
        }
        window.add(part, packets);
        drop(window);
        self.metrics.sent(packets);
        Ok(())
    }

    /// Counts packets that had to be sent.
    pub(super) fn count(&self, packets: u32, now: Instant) {
        self.window().add(self.part(now), packets);
        self.metrics.sent(packets);
    }

    /// Whether packets are to be spared.
    pub(super) fn is_short(&self, now: Instant) -> bool {
        self.soft <= self.window().sum(self.part(now))
    }

    /// Counts what was done in place of sending.
    pub(super) fn spared(&self, how: Spared) {
        self.metrics.spared(how);
    }

    /// How it stands; sets the gauges too.
    pub(super) fn standing(&self, upstreams: Vec<UpstreamAddress>, now: Instant) -> BudgetStanding {
        let part = self.part(now);
        let mut window = self.window();
        let (packets, peak) = (window.sum(part), window.peak(part));
        drop(window);
        self.metrics.measure(packets, peak);
        BudgetStanding { upstreams, packets, peak, soft: self.soft, hard: self.hard }
    }

    fn part(&self, now: Instant) -> u64 {
        let parts = now.saturating_duration_since(self.begun).as_millis() / PART.as_millis();
        u64::try_from(parts).unwrap_or(u64::MAX)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

// === impl Window ===

impl Window {
    /// Packets of the second that ends with `part`, and of the one part that it may have begun in.
    fn sum(&mut self, part: u64) -> u32 {
        self.move_to(part);
        self.parts.iter().sum()
    }

    fn add(&mut self, part: u64, packets: u32) {
        self.move_to(part);
        let place = Self::place(self.last);
        if let Some(count) = self.parts.get_mut(place) {
            *count = count.saturating_add(packets);
        }
        self.peaks.1 = self.peaks.1.max(self.parts.iter().sum());
    }

    /// The greatest second of this minute and the last.
    fn peak(&mut self, part: u64) -> u32 {
        self.move_to(part);
        self.peaks.1.max(self.peaks.2)
    }

    /// Forgets what is more than a second ago.
    fn move_to(&mut self, part: u64) {
        // Two threads may come in the other order: what is counted late counts for the later part.
        // Past a whole window each place has its turn, whichever comes first.
        for gone in (self.last + 1..=part).take(PARTS) {
            if let Some(count) = self.parts.get_mut(Self::place(gone)) {
                *count = 0;
            }
        }
        self.last = self.last.max(part);
        let minute = self.last / (60 * (PARTS as u64 - 1));
        let (now, this, _) = self.peaks;
        if now < minute {
            let before = if now + 1 == minute { this } else { 0 };
            self.peaks = (minute, 0, before);
        }
    }

    fn place(part: u64) -> usize {
        usize::try_from(part % PARTS as u64).unwrap_or_default()
    }
}

/// The budget of these upstreams, and which of them it is for; `None` when it is for none.
pub(super) fn of(
    config: &ForwardConfig,
    metrics: &BudgetMetrics,
) -> (Vec<UpstreamAddress>, Option<Arc<Budget>>) {
    let mut limited: Vec<UpstreamAddress> = match &config.budget.upstreams {
        Some(named) => config.all_upstreams().filter(|it| named.contains(it)).cloned().collect(),
        None => {
            let networks = own_networks();
            let here = |it: &&UpstreamAddress| is_limited(it.socket().ip(), &networks);
            config.all_upstreams().filter(here).cloned().collect()
        }
    };
    limited.sort();
    limited.dedup();
    let budget =
        (!limited.is_empty()).then(|| Arc::new(Budget::new(&config.budget, metrics.clone())));
    (limited, budget)
}

/// Whether AWS limits packets to this address, for a host in these networks: the resolver on the
/// link, by its IPv4 or IPv6 address, and the same one at the third address of the VPC.
fn is_limited(upstream: IpAddr, own: &[(Ipv4Addr, u8)]) -> bool {
    let is_of_a_vpc = |ip| own.iter().any(|net| is_vpc_plus_two(ip, *net));
    match upstream.to_canonical() {
        IpAddr::V4(ip) => is_link_local(ip.into()) || is_of_a_vpc(ip),
        IpAddr::V6(ip) => is_link_local(ip.into()),
    }
}

/// Whether `ip` is the base and two of a VPC that could hold this network. A host knows its subnet
/// and not its VPC, which is a network of 16 to 28 bits around it. AWS keeps that address in each
/// of them for itself, so nobody else's resolver has it.
fn is_vpc_plus_two(ip: Ipv4Addr, (own, subnet_bits): (Ipv4Addr, u8)) -> bool {
    (16..=subnet_bits.min(28)).any(|bits| {
        let mask = u32::MAX << (32 - u32::from(bits));
        u32::from(ip) == (u32::from(own) & mask).saturating_add(2)
    })
}

/// The networks of this host's interfaces but the loopback. None when the system does not tell.
fn own_networks() -> Vec<(Ipv4Addr, u8)> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let network = |address: nix::ifaddrs::InterfaceAddress| {
        let ip = address.address?.as_sockaddr_in()?.ip();
        let mask = u32::from(address.netmask?.as_sockaddr_in()?.ip());
        (!ip.is_loopback()).then_some((ip, u8::try_from(mask.leading_ones()).ok()?))
    };
    all.filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn budget(soft: u32, hard: u32) -> Budget {
        let metrics = Metrics::new().unwrap();
        let config = BudgetConfig { packets: hard, soft_packets: soft, upstreams: None };
        Budget::new(&config, metrics.forward.budget.clone())
    }

    #[test]
    fn no_second_has_more_than_the_budget_wherever_it_begins() {
        let budget = budget(80, 100);
        let mut sent: Vec<u64> = Vec::new();
        for millis in 0..10_000 {
            let now = budget.begun + Duration::from_millis(millis);
            // In bursts and pauses of no common measure.
            let tries = if millis % 700 < 130 { 7 } else { u64::from(millis % 11 == 0) };
            for _ in 0..tries {
                if budget.spend(UDP_PACKETS, now).is_ok() {
                    sent.push(millis);
                }
            }
        }
        for (at, first) in sent.iter().enumerate() {
            let second = sent[at..].iter().take_while(|it| **it < first + 1_000).count();
            assert!(second <= 100, "{second} from {first} ms");
        }
        // And it is used: without a limit there would be some 14,000.
        assert!(900 < sent.len(), "{}", sent.len());
    }

    #[test]
    fn packets_are_spared_near_the_limit_and_not_a_second_later() {
        let budget = budget(3, 4);
        let start = budget.begun;
        (0..3).for_each(|_| budget.spend(UDP_PACKETS, start).unwrap());
        assert!(budget.is_short(start));
        assert_eq!(budget.spend(TCP_PACKETS, start), Err(OverBudget), "TCP costs more");
        assert_eq!(budget.spend(UDP_PACKETS, start), Ok(()));
        assert_eq!(budget.spend(UDP_PACKETS, start), Err(OverBudget));
        let later = start + Duration::from_millis(1_050);
        assert!(!budget.is_short(later));
        assert_eq!(budget.spend(UDP_PACKETS, later), Ok(()));
        let standing = budget.standing(vec![], later);
        assert_eq!((standing.packets, standing.peak), (1, 4));
        let forgotten = start + Duration::from_secs(180);
        assert_eq!(budget.standing(vec![], forgotten).peak, 0);
    }

    #[test]
    fn the_resolver_of_the_link_and_of_the_vpc_are_limited_and_no_other() {
        let own = [("10.1.37.9".parse().unwrap(), 24), ("172.31.5.5".parse().unwrap(), 20)];
        for limited in ["169.254.169.253", "fd00:ec2::253", "10.1.0.2", "172.31.0.2", "10.1.32.2"] {
            assert!(is_limited(limited.parse().unwrap(), &own), "{limited}");
        }
        for other in ["10.1.0.3", "10.2.0.2", "192.0.2.2", "10.0.0.2", "10.1.36.3", "2001:db8::2"] {
            assert!(!is_limited(other.parse().unwrap(), &own), "{other}");
        }
        assert!(!is_limited("10.1.0.2".parse().unwrap(), &[]));
    }
}
