//! The upstream is silent, or gone, while clients ask for what it has told before.

use std::{net::Ipv4Addr, sync::Arc, thread, time::Duration};

use crate::{
    RATE, WHILE, await_metric, forward, nothing_lost,
    support::{Clients, Fixed, Hubdns, Recording, Unbound},
    truth, version,
};

/// A name that is known for a second at a time. Not from a zone, of which unbound would count the TTL
/// down: an answer with a TTL of 0 may not be kept, and ends the one before.
const NAME: &str = "local-data: \"www.corp.example. 1 A 192.0.2.80\"";
/// How long the upstream is away: longer than a question may take.
const AWAY: Duration = Duration::from_secs(5);

#[test]
fn an_upstream_that_is_silent_or_gone_costs_what_was_known_a_wait() {
    let (mut unbound, recording) = (Unbound::start_with(&[], NAME), Recording::new(&version(1)));
    let daemon = Hubdns::start(&(recording.source() + &forward(&unbound)));
    let truth: Arc<Fixed> = truth(1, Some(&unbound));
    assert_eq!(truth.0[1].1, [Ipv4Addr::new(192, 0, 2, 80)]);
    daemon.dig("www.corp.example A");
    let stale = "hubdns_cache_requests_total{result=\"stale\"}";
    for (what, is_silent) in [("silent", true), ("gone", false)] {
        let before = daemon.metric(stale).unwrap();
        let clients = Clients::start(daemon.dns(), truth.clone(), RATE);
        thread::sleep(WHILE);
        match is_silent {
            true => unbound.pause(),
            false => unbound.stop(),
        }
        thread::sleep(AWAY);
        match is_silent {
            true => unbound.resume(),
            false => unbound.become_knowing(&[], NAME),
        }
        thread::sleep(WHILE);
        nothing_lost(&format!("the upstream is {what} for 5 s"), (clients.end(), Duration::ZERO));
        await_metric(&daemon, stale, before + 1.0);
    }
}
