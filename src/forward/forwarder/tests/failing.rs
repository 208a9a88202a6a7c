//! Upstreams that decline, cannot read us, or fail: who is asked next, and what is remembered.

use super::*;
use crate::base::{Ede, ExtendedError};

/// An answer to `query` of this code, with an extended error.
fn declined(query: &[u8], rcode: Rcode) -> Vec<u8> {
    let Packet::Query(query) = Packet::read(query) else { panic!("not a query") };
    let mut out = Vec::new();
    let error = ExtendedError { code: Ede(9), text: "no key".into() };
    Reply::start(&query, &mut out).finish(rcode, false, Limit::Stream, b"", &[error]);
    out
}

fn has_opt(query: &[u8]) -> bool {
    let Packet::Query(query) = Packet::read(query) else { panic!("not a query") };
    query.edns.is_some()
}

/// Whether the upstreams are asked in turn, in any order.
fn all_are_wanted(forwarder: &Forwarder) -> bool {
    let route = forwarder.0.routes.of(&Name::root()).ok();
    route.unwrap().upstreams.in_order().iter().all(|upstream| !upstream.is_silent(Instant::now()))
}

#[tokio::test]
async fn a_declined_question_is_remembered_with_what_was_said() {
    let (forwarder, upstream) =
        forwarder_to(|query| vec![(0, declined(query, Rcode::REFUSED))]).await;
    for _ in 0..3 {
        let answered = forwarder.ask(question("a.example")).await.unwrap();
        assert_eq!(answered.relay.rcode(), Rcode::REFUSED);
        assert_eq!(answered.relay.errors()[0].text, "no key");
    }
    assert_eq!(upstream.asked(), 1);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!(upstream.asked(), 2, "for two seconds");
}

#[tokio::test]
async fn an_old_answer_stands_in_for_any_code_that_declines() {
    static ANSWERS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let (forwarder, upstream) =
        forwarder_to(|query| match ANSWERS.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => vec![(0, a_record(query, 1, 1))],
            false => vec![(0, declined(query, Rcode::REFUSED))],
        })
        .await;
    forwarder.ask(question("a.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..2 {
        let stale = forwarder.ask(question("a.example")).await.unwrap();
        assert_eq!((stale.source, last_octet(&stale)), (AnswerSource::Stale, 1));
    }
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test]
async fn who_cannot_read_an_opt_is_asked_without() {
    let scripts: [Script; 3] = [
        |query| match has_opt(query) {
            true => vec![(
                0,
                changed(query[..12].to_vec(), |packet| {
                    packet[2..].copy_from_slice(&[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
                }),
            )],
            false => vec![(0, a_record(query, 1, 60))],
        },
        |query| match has_opt(query) {
            true => vec![(0, declined(query, Rcode::NOTIMP))],
            false => vec![(0, a_record(query, 1, 60))],
        },
        |query| match has_opt(query) {
            true => vec![(0, declined(query, Rcode::BADVERS))],
            false => vec![(0, a_record(query, 1, 60))],
        },
    ];
    for script in scripts {
        let (forwarder, upstream) = forwarder_to(script).await;
        let answered = forwarder.ask(question("a.example")).await.unwrap();
        assert_eq!((answered.relay.rcode(), last_octet(&answered)), (Rcode::NOERROR, 1));
        assert_eq!(upstream.asked(), 2);
    }
    let (stubborn, upstream) =
        forwarder_to(|query| vec![(0, declined(query, Rcode::FORMERR))]).await;
    let answered = stubborn.ask(question("a.example")).await.unwrap();
    assert_eq!((answered.relay.rcode(), upstream.asked()), (Rcode::FORMERR, 2));
}

#[tokio::test]
async fn a_code_that_is_no_answer_goes_to_the_next() {
    let odd = Double::start(|query| vec![(0, declined(query, Rcode(9)))]).await;
    let good = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let forwarder = forwarder(config(&[odd.address, good.address]));
    assert_eq!(last_octet(&forwarder.ask(question("a.example")).await.unwrap()), 1);
}

#[tokio::test]
async fn a_fifth_upstream_is_asked_when_four_decline() {
    let mut declining = Vec::new();
    for _ in 0..4 {
        declining.push(Double::start(|query| vec![(0, declined(query, Rcode::REFUSED))]).await);
    }
    let good = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let mut addresses: Vec<_> = declining.iter().map(|upstream| upstream.address).collect();
    addresses.push(good.address);
    let started = Instant::now();
    let answered = forwarder(config(&addresses)).ask(question("a.example")).await.unwrap();
    assert_eq!(last_octet(&answered), 1);
    assert!(started.elapsed() < Duration::from_millis(300));
    let asked: Vec<_> = declining.iter().map(Double::asked).collect();
    assert_eq!(asked, [1; 4], "who declined is not asked again");
}

#[tokio::test]
async fn nobody_is_charged_with_time_before_it_was_asked() {
    // The first answers at 450 ms; the second is asked at 350 ms and gets a tenth of a second.
    let slow = Double::start(|query| vec![(450, a_record(query, 1, 60))]).await;
    let silent = Double::start(|_| vec![]).await;
    let forwarder = forwarder(config(&[slow.address, silent.address]));
    for at in 0..3 {
        forwarder.ask(question(&format!("{at}.example"))).await.unwrap();
    }
    assert_eq!(silent.asked(), 3);
    assert!(all_are_wanted(&forwarder));
}

#[tokio::test]
async fn a_names_own_loop_is_not_held_against_an_upstream() {
    let (forwarder, upstream) = forwarder_to(|query| {
        let alias = changed(a_record(query, 0, 60), |packet| {
            // The one record becomes an alias of the question to itself, two octets of data.
            let at = packet.len() - 11 - 16;
            packet.splice(at.., b"\xC0\x0C\0\x05\0\x01\0\0\0\x05\0\x02\xC0\x0C".iter().copied());
            packet[11] = 0;
        });
        vec![(0, alias)]
    })
    .await;
    for at in 0..3 {
        let error = forwarder.ask(question(&format!("{at}.example"))).await.unwrap_err();
        assert_eq!(error, ForwardError::Unusable);
    }
    assert_eq!(upstream.asked(), 3);
    assert!(all_are_wanted(&forwarder));
}
