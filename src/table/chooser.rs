//! Which view a client is in: looked up, however many views there are.
//!
//! The networks of all views cut the addresses into parts within which everybody is in one view.
//! There is such a division for each address of ours that a view names, and one for all others.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use foldhash::quality::FixedState;
use ipnet::IpNet;

use crate::policy::ViewConfig;

/// Keys are the operator's, never a client's.
const HASH_SEED: u64 = 0x0076_6965_7773;

/// Finds views by their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chooser {
    /// By an address and port that a view names.
    addresses: HashMap<(IpAddr, u16), Parts, FixedState>,
    /// By a port that a view names with an unspecified address.
    ports: HashMap<u16, Parts, FixedState>,
    others: Parts,
}

/// The parts of all addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    v4: Ranges,
    v6: Ranges,
}

/// Parts of one family: the first address of each, sorted, and the view there. The first begins
/// with the first address of all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges {
    starts: Vec<u128>,
    views: Vec<usize>,
}

// === impl Chooser ===

impl Chooser {
    /// For views in the order in which they match. One without a rule matches nobody.
    pub(super) fn new<'r>(rules: impl Iterator<Item = Option<&'r ViewConfig>>) -> Self {
        let rules: Vec<_> = rules.collect();
        let named: BTreeSet<SocketAddr> =
            rules.iter().flatten().flat_map(|rule| rule.listeners.iter().copied()).collect();
        let parts = |asked: Option<SocketAddr>| {
            let matching = rules.iter().enumerate().filter_map(|(at, rule)| {
                let rule = rule.filter(|rule| rule.is_asked_at(asked))?;
                Some((at, rule))
            });
            Parts::new(&matching.collect::<Vec<_>>(), rules.len())
        };
        let hasher = FixedState::with_seed(HASH_SEED);
        let mut addresses = HashMap::with_hasher(hasher);
        let mut ports = HashMap::with_hasher(FixedState::with_seed(HASH_SEED));
        for asked in named {
            match asked.ip().is_unspecified() {
                true => drop(ports.insert(asked.port(), parts(Some(asked)))),
                false => drop(addresses.insert((asked.ip(), asked.port()), parts(Some(asked)))),
            }
        }
        Self { addresses, ports, others: parts(None) }
    }

    /// The place of the first view that matches; that behind the last when none does.
    pub(super) fn choose(&self, client: IpAddr, listener: SocketAddr) -> usize {
        let mut parts = &self.others;
        if !self.ports.is_empty()
            && let Some(named) = self.ports.get(&listener.port())
        {
            parts = named;
        }
        if !self.addresses.is_empty()
            && let Some(named) = self.addresses.get(&(listener.ip(), listener.port()))
        {
            parts = named;
        }
        match client {
            IpAddr::V4(ip) => parts.v4.view(ip.to_bits().into()),
            IpAddr::V6(ip) => parts.v6.view(ip.to_bits()),
        }
    }
}

// === impl Parts ===

impl Parts {
    /// The parts that these rules make, whatever is asked; `none` is where no view is.
    fn new(rules: &[(usize, &ViewConfig)], none: usize) -> Self {
        let ranges = |is_v4: bool, last: u128| {
            let spans = rules.iter().flat_map(|(at, rule)| {
                let everybody = rule.clients.is_empty().then_some((*at, 0, last));
                let of_family = rule.clients.iter().filter(move |it| it.addr().is_ipv4() == is_v4);
                everybody.into_iter().chain(of_family.map(|network| {
                    let (first, last) = ends(network);
                    (*at, first, last)
                }))
            });
            Ranges::new(spans, none)
        };
        Self { v4: ranges(true, u32::MAX.into()), v6: ranges(false, u128::MAX) }
    }
}

/// The first and the last address of a network.
fn ends(network: &IpNet) -> (u128, u128) {
    match network {
        IpNet::V4(it) => (it.network().to_bits().into(), it.broadcast().to_bits().into()),
        IpNet::V6(it) => (it.network().to_bits(), it.broadcast().to_bits()),
    }
}

// === impl Ranges ===

impl Ranges {
    /// Of views with their first and last addresses; where several are, the first of them counts.
    fn new(spans: impl Iterator<Item = (usize, u128, u128)>, none: usize) -> Self {
        // Where a view begins, and where it is over.
        let mut events: BTreeMap<u128, Vec<(usize, bool)>> = BTreeMap::new();
        events.entry(0).or_default();
        for (view, first, last) in spans {
            events.entry(first).or_default().push((view, true));
            if let Some(behind) = last.checked_add(1) {
                events.entry(behind).or_default().push((view, false));
            }
        }
        let mut open: BTreeMap<usize, usize> = BTreeMap::new();
        let mut ranges = Self { starts: Vec::new(), views: Vec::new() };
        for (start, changes) in events {
            for (view, begins) in changes {
                let count = open.entry(view).or_default();
                match begins {
                    true => *count += 1,
                    false => *count = count.saturating_sub(1),
                }
                if *count == 0 {
                    open.remove(&view);
                }
            }
            let view = open.keys().next().copied().unwrap_or(none);
            if ranges.views.last() != Some(&view) {
                ranges.starts.push(start);
                ranges.views.push(view);
            }
        }
        ranges
    }

    fn view(&self, address: u128) -> usize {
        // The first begins with 0, so there is one before.
        let behind = self.starts.partition_point(|start| *start <= address);
        self.views.get(behind.wrapping_sub(1)).copied().unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Chooser;
    use crate::policy::ViewConfig;

    /// Few networks and listeners, nested and beside each other, to their very ends.
    fn any_view() -> impl Strategy<Value = ViewConfig> {
        let networks = vec![
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3/16",
            "10.1.2.3/32",
            "255.255.255.255/32",
            "::/0",
            "fd00::/8",
            "fd00::1/128",
            "ffff::/16",
        ];
        let listeners =
            vec!["10.0.0.1:53", "10.0.0.1:5353", "10.0.0.2:53", "0.0.0.0:53", "[::]:54"];
        let clients = prop::sample::subsequence(networks, 0..4);
        (clients, prop::sample::subsequence(listeners, 0..3)).prop_map(|(clients, listeners)| {
            ViewConfig {
                clients: clients.iter().map(|it| it.parse().unwrap()).collect(),
                listeners: listeners.iter().map(|it| it.parse().unwrap()).collect(),
                ..ViewConfig::named("v".into())
            }
        })
    }

    const CLIENTS: [&str; 12] = [
        "0.0.0.0",
        "9.255.255.255",
        "10.0.0.0",
        "10.1.2.3",
        "10.1.2.4",
        "10.255.255.255",
        "11.0.0.0",
        "255.255.255.255",
        "::",
        "fd00::1",
        "fd00::2",
        "ffff::",
    ];
    const LISTENERS: [&str; 6] = [
        "10.0.0.1:53",
        "10.0.0.1:5353",
        "10.0.0.2:53",
        "10.0.0.3:53",
        "10.0.0.3:54",
        "[fd00::9]:54",
    ];

    proptest! {
        #[test]
        fn the_first_view_that_matches_is_found(views in prop::collection::vec(any_view(), 0..6)) {
            let chooser = Chooser::new(views.iter().map(Some));
            for client in CLIENTS.map(|it| it.parse().unwrap()) {
                for listener in LISTENERS.map(|it| it.parse().unwrap()) {
                    let first = views.iter().position(|view| view.matches(client, listener));
                    let chosen = chooser.choose(client, listener);
                    prop_assert_eq!(chosen, first.unwrap_or(views.len()), "{} {}", client, listener);
                }
            }
        }
    }

    #[test]
    fn a_view_without_a_rule_matches_nobody() {
        let all = ViewConfig::named("all".into());
        let chooser = Chooser::new([None, Some(&all)].into_iter());
        assert_eq!(chooser.choose("10.0.0.1".parse().unwrap(), "10.0.0.1:53".parse().unwrap()), 1);
    }
}
