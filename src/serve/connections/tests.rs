//! Places for connections: who gets one, who makes room, and how soon handshakes may follow.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{Connections, LIMITS, Limits, Place};
use crate::{base::Pace, telemetry::Metrics};

fn connections() -> Arc<Connections> {
    let limits = Limits {
        all: 3,
        per_client: 2,
        strangers: 1,
        handshakes: 2,
        handshakes_per_client: 1,
        handshake_pace: Pace::new(1, 6),
        handshake_pace_per_client: Pace::new(1, 4),
    };
    Arc::new(Connections::new(limits, Arc::new(Metrics::new().unwrap())))
}

fn admit(connections: &Arc<Connections>, client: &str, admitted: bool) -> Option<Place> {
    connections.admit(client.parse().unwrap(), admitted)
}

fn is_evicted(place: &Place) -> bool {
    place.evicted().now_or_never().is_some()
}

#[test]
fn connections_leave_half_of_the_descriptors_to_all_else() {
    let limits = |descriptors| {
        let Limits { all, per_client, strangers, .. } = LIMITS.within(descriptors);
        (all, per_client, strangers)
    };
    assert_eq!(limits(524_288), (4_096, 1_024, 64));
    assert_eq!(limits(1_024), (512, 128, 8));
    assert_eq!(limits(128), (64, 16, 1));
}

#[tokio::test]
async fn a_client_has_its_share_and_ipv6_clients_are_counted_by_network() {
    let all = connections();
    let first = admit(&all, "2001:db8::1", true);
    let second = admit(&all, "2001:db8::2", true);
    assert!(first.is_some() && second.is_some());
    let held = [&first, &second]
        .map(|it| Arc::clone(it.as_ref().unwrap().in_hand()).try_acquire_many_owned(2).unwrap());
    assert!(admit(&all, "2001:db8::3", true).is_none(), "the network has its share");
    drop(held);
    assert!(admit(&all, "2001:db8:0:1::3", true).is_some(), "another network");
    drop(first);
    assert!(admit(&all, "2001:db8::3", true).is_some(), "a place is free again");
}

#[tokio::test]
async fn strangers_have_few_places_and_take_none_from_clients() {
    let all = connections();
    let stranger = admit(&all, "192.0.2.1", false);
    assert!(stranger.is_some());
    assert!(admit(&all, "192.0.2.2", false).is_none());
    let clients = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| admit(&all, ip, true).unwrap());
    assert!(!clients.iter().any(is_evicted));
    assert_eq!(all.metrics.dns.tcp_connections.get(), 4);
    assert_eq!(all.metrics.dns.tcp_refused.get(), 1);
}

#[tokio::test]
async fn handshakes_have_turns_of_which_a_client_has_its_share() {
    let all = connections();
    let places = ["10.0.0.1", "10.0.0.1", "10.0.0.2"].map(|ip| admit(&all, ip, true).unwrap());
    let first = places[0].handshake();
    assert!(first.is_some());
    assert!(places[1].handshake().is_none(), "the client has its share");
    let second = places[2].handshake();
    assert!(second.is_some());
    let stranger = admit(&all, "10.0.0.3", false).unwrap();
    assert!(stranger.handshake().is_none(), "all are taken");
    drop(second);
    assert!(stranger.handshake().is_some());
    drop(first);
    assert!(places[1].handshake().is_some());
}

#[tokio::test]
async fn handshakes_have_a_pace_of_which_a_client_has_its_share() {
    let all = connections();
    let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| admit(&all, ip, true).unwrap());
    let done = |place: &Place| (0..10).filter(|_| place.handshake().is_some()).count();
    assert_eq!([done(&one), done(&other)], [4, 2], "its share, and what is left of all");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(0 < done(&other), "one a second");
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_one_idle_longest() {
    let all = connections();
    let later = || tokio::time::sleep(Duration::from_millis(5));
    let busy = admit(&all, "10.0.0.1", true).unwrap();
    let _questions = busy.in_hand().try_acquire_many(2).unwrap();
    later().await;
    let asks = admit(&all, "10.0.0.2", true).unwrap();
    later().await;
    let idle = admit(&all, "10.0.0.3", true).unwrap();
    later().await;
    asks.heard();
    let new = admit(&all, "10.0.0.4", true).unwrap();
    assert_eq!([&busy, &asks, &idle, &new].map(is_evicted), [false, false, true, false]);
    drop(idle);
    assert_eq!(all.metrics.dns.tcp_connections.get(), 3, "its place is given back once");
    let held = [&asks, &new].map(|it| it.in_hand().try_acquire_many(2).unwrap());
    assert!(admit(&all, "10.0.0.5", true).is_none(), "nobody is idle");
    drop(held);
}

#[tokio::test]
async fn a_half_closed_connection_with_a_question_in_hand_is_not_idle() {
    let all = connections();
    let half_closed = admit(&all, "10.0.0.1", true).unwrap();
    let _question = half_closed.in_hand().try_acquire().unwrap();
    half_closed.reads_no_more();
    let busy = admit(&all, "10.0.0.1", true).unwrap();
    let _questions = busy.in_hand().try_acquire_many(2).unwrap();
    assert!(admit(&all, "10.0.0.1", true).is_none());
    assert!(!is_evicted(&half_closed));
}

#[tokio::test]
async fn a_client_at_its_share_makes_room_for_itself_and_costs_nobody_else_a_place() {
    let all = connections();
    let other = admit(&all, "10.0.0.2", true).unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let own = ["10.0.0.1"; 3].map(|ip| admit(&all, ip, true).unwrap());
    assert_eq!(own.each_ref().map(is_evicted), [true, false, false]);
    assert!(!is_evicted(&other), "though it has been idle longer");
}
