//! What is told again, what is asked again before anybody waits, and what is forgotten.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::*;

async fn until(deadline_millis: u64, condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_millis(deadline_millis);
    while Instant::now() < deadline && !condition() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    condition()
}

fn cached(forwarder: &Forwarder, name: &str) -> Option<Answered> {
    forwarder.cached(Key::from(question(name)).sought(), Instant::now())
}

#[tokio::test]
async fn a_name_asked_for_often_is_renewed_while_it_is_fresh() {
    static ASKED: AtomicU8 = AtomicU8::new(0);
    let (forwarder, upstream) =
        forwarder_to(|query| vec![(0, a_record(query, ASKED.fetch_add(1, Ordering::Relaxed), 10))])
            .await;
    for _ in 0..4 {
        forwarder.ask(question("a.example")).await.unwrap();
    }
    forwarder.ask(question("rare.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(9_100)).await;
    for name in ["a.example", "rare.example"] {
        let answered = forwarder.ask(question(name)).await.unwrap();
        assert_eq!(answered.source, AnswerSource::Cache, "nobody waits");
    }
    assert!(until(2_000, || upstream.asked() == 3).await, "one of them was renewed");
    let is_new = || cached(&forwarder, "a.example").is_some_and(|it| last_octet(&it) == 2);
    assert!(until(2_000, is_new).await);
    assert_eq!(forwarder.0.metrics.forward.renewals.get(), 1);
}

#[tokio::test]
async fn only_the_first_client_of_an_outage_waits() {
    static ANSWERS: AtomicBool = AtomicBool::new(true);
    let (forwarder, _upstream) = forwarder_to(|query| match ANSWERS.load(Ordering::Relaxed) {
        true => vec![(0, a_record(query, 1, 1))],
        false => vec![],
    })
    .await;
    for name in ["a.example", "b.example"] {
        forwarder.ask(question(name)).await.unwrap();
    }
    ANSWERS.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let ask = async |name: &str| {
        let started = Instant::now();
        let answered = forwarder.ask(question(name)).await.unwrap();
        assert_eq!(answered.source, AnswerSource::Stale);
        started.elapsed()
    };
    let first = ask("a.example").await;
    assert!(Duration::from_millis(1_700) < first && first < Duration::from_millis(3_000));
    // Its flight goes on and fails; until it has failed, others of the same name wait as well.
    assert!(until(4_000, || forwarder.0.flights().landings.is_empty()).await);
    assert!(ask("a.example").await < Duration::from_millis(1_500), "it has failed before");
    for _ in 0..2 {
        assert!(forwarder.ask(question("c.example")).await.is_err());
        tokio::time::sleep(Duration::from_millis(2_100)).await;
    }
    assert!(ask("b.example").await < Duration::from_millis(1_500), "nobody answers anything");
    ANSWERS.store(true, Ordering::Relaxed);
    forwarder.ask(question("d.example")).await.unwrap();
    forwarder.ask(question("b.example")).await.unwrap();
    let is_back = || cached(&forwarder, "b.example").is_some();
    assert!(until(3_000, is_back).await, "as soon as somebody answers");
}

#[tokio::test]
async fn what_was_asked_before_a_flush_is_told_and_not_kept() {
    static ASKED: AtomicU8 = AtomicU8::new(0);
    let (forwarder, upstream) = forwarder_to(|query| {
        vec![(300, a_record(query, ASKED.fetch_add(1, Ordering::Relaxed), 60))]
    })
    .await;
    let early = forwarder.ask(question("a.example"));
    let late = async {
        assert!(until(2_000, || upstream.asked() == 1).await);
        assert_eq!(forwarder.flush(Some(&"example".parse().unwrap())), 0);
        forwarder.ask(question("a.example")).await
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!((last_octet(&early.unwrap()), last_octet(&late.unwrap())), (0, 1));
    assert_eq!(last_octet(&cached(&forwarder, "a.example").unwrap()), 1);
    assert_eq!(forwarder.flush(None), 1);
    assert!(cached(&forwarder, "a.example").is_none());
}

#[tokio::test]
async fn an_answer_that_may_not_be_kept_ends_the_old_one() {
    static STATE: AtomicU8 = AtomicU8::new(0);
    let (forwarder, _upstream) = forwarder_to(|query| match STATE.load(Ordering::Relaxed) {
        0 => vec![(0, a_record(query, 1, 1))],
        1 => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
        _ => vec![(0, a_record(query, 2, 0))],
    })
    .await;
    forwarder.ask(question("a.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    STATE.store(1, Ordering::Relaxed);
    assert_eq!(forwarder.ask(question("a.example")).await.unwrap().source, AnswerSource::Stale);
    STATE.store(2, Ordering::Relaxed);
    let mut told = vec![];
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        told.push(last_octet(&forwarder.ask(question("a.example")).await.unwrap()));
    }
    assert_eq!(told.last(), Some(&2), "{told:?}");
}

#[tokio::test]
async fn an_answer_for_one_client_alone_stands_in_when_nobody_answers() {
    static STATE: AtomicU8 = AtomicU8::new(0);
    let (forwarder, upstream) = forwarder_to(|query| match STATE.load(Ordering::Relaxed) {
        0 => vec![(0, a_record(query, 1, 0))],
        _ => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
    })
    .await;
    for _ in 0..2 {
        let answered = forwarder.ask(question("a.example")).await.unwrap();
        assert_eq!(answered.source, AnswerSource::Upstream);
    }
    assert_eq!(upstream.asked(), 2, "it is told to nobody else while upstreams answer");
    STATE.store(1, Ordering::Relaxed);
    assert_eq!(forwarder.ask(question("a.example")).await.unwrap().source, AnswerSource::Stale);
}

#[tokio::test]
async fn a_denial_that_may_not_be_kept_ends_the_old_answer() {
    static STATE: AtomicU8 = AtomicU8::new(0);
    let (forwarder, _upstream) = forwarder_to(|query| match STATE.load(Ordering::Relaxed) {
        0 => vec![(0, a_record(query, 1, 1))],
        1 => vec![(0, with_rcode(query, Rcode::NXDOMAIN, None))],
        _ => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
    })
    .await;
    forwarder.ask(question("a.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    STATE.store(1, Ordering::Relaxed);
    let denied = forwarder.ask(question("a.example")).await.unwrap();
    assert_eq!(denied.relay.rcode(), Rcode::NXDOMAIN);
    STATE.store(2, Ordering::Relaxed);
    let answered = forwarder.ask(question("a.example")).await.unwrap();
    assert_ne!(answered.source, AnswerSource::Stale, "the name was denied in the meantime");
}

#[tokio::test]
async fn a_flush_covers_what_is_being_asked_and_leads_there() {
    let (forwarder, upstream) = forwarder_to(|query| {
        // alias.other CNAME www.corp ; www.corp A
        let Packet::Query(query) = Packet::read(query) else { panic!("not a query") };
        let mut out = Vec::new();
        let mut reply = Reply::start(&query, &mut out);
        reply.answer(2, |out| {
            out.extend([0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 10]);
            let at = u8::try_from(out.len()).unwrap();
            out.extend(b"\x03www\x04corp\x00");
            out.extend([0xC0, at, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        });
        reply.finish(Rcode::NOERROR, true, Limit::Stream, b"", &[]);
        vec![(300, out)]
    })
    .await;
    let early = forwarder.ask(question("alias.other"));
    let flush = async {
        let mut asked = upstream.asked.clone();
        asked.wait_for(|asked| *asked == 1).await.unwrap();
        forwarder.flush(Some(&"corp".parse().unwrap()));
    };
    let (early, ()) = tokio::join!(early, flush);
    assert_eq!(early.unwrap().relay.hops().len(), 1);
    assert!(cached(&forwarder, "alias.other").is_none(), "it led there, and is kept");
}

#[tokio::test]
async fn many_clients_of_an_old_answer_are_one_renewal() {
    static STATE: AtomicU8 = AtomicU8::new(0);
    let (forwarder, upstream) = forwarder_to(|query| match STATE.load(Ordering::Relaxed) {
        0 => vec![(0, a_record(query, 1, 1))],
        1 => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
        _ => vec![(100, a_record(query, 2, 60))],
    })
    .await;
    forwarder.ask(question("a.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    STATE.store(1, Ordering::Relaxed);
    forwarder.ask(question("a.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    STATE.store(2, Ordering::Relaxed);
    let before = upstream.asked();
    for _ in 0..50 {
        forwarder.ask(question("a.example")).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(upstream.asked() - before, 1);
    assert_eq!(forwarder.0.metrics.forward.renewals.get(), 1);
}

#[tokio::test]
async fn a_dead_zone_takes_nobody_elses_renewals() {
    static DEAD: AtomicBool = AtomicBool::new(false);
    let dead = Double::start(|query| match DEAD.load(Ordering::Relaxed) {
        true => vec![],
        false => vec![(0, a_record(query, 1, 1))],
    })
    .await;
    let good = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let zone = ForwardZone { name: "dead".parse().unwrap(), upstreams: vec![dead.address.into()] };
    let mut config = ForwardConfig { zones: vec![zone], ..config(&[good.address]) };
    config.cache.entries = 10_000;
    config.cache.bytes = 64 << 20;
    let forwarder = forwarder(config);
    let names: Vec<_> = (0..300).map(|at| question(&format!("{at}.dead"))).collect();
    for name in &names {
        forwarder.ask(name.clone()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    DEAD.store(true, Ordering::Relaxed);
    let three = (0..3).map(|at| forwarder.ask(question(&format!("new{at}.dead"))));
    futures_util::future::join_all(three).await;
    // Each of these is told at once, and renewed behind it.
    for name in &names {
        assert_eq!(forwarder.ask(name.clone()).await.unwrap().source, AnswerSource::Stale);
    }
    let renewals = forwarder.0.metrics.forward.renewals.get();
    assert!(
        forwarder.0.renew(&question("hot.example").into()),
        "after {renewals} of the dead zone"
    );
    assert!(until(2_000, || good.asked() == 1).await);
}

#[tokio::test]
async fn an_authority_that_goes_takes_what_was_kept_where_a_file_named_it() {
    let upstreams = vec!["tls://192.0.2.1".parse().unwrap()];
    let kept = |ca_file: [Option<&str>; 2]| {
        let [old, new] = [(0, &[1_u8, 2][..]), (1, &[1])].map(|(at, authorities)| {
            let ca_file = ca_file[at].map(Into::into);
            let config = ForwardConfig { upstreams: upstreams.clone(), ca_file, ..config(&[]) };
            let trust = Trust::of_keys(authorities);
            Forwarder::new(config, trust, Arc::new(Metrics::new().unwrap()))
        });
        let asked = question("a.example");
        let message = a_record(&crate::wire::upstream_query(&asked, 7), 1, 60);
        let relay = crate::wire::Relay::read(&asked, &message).unwrap();
        old.keep(asked, relay);
        assert!(cached(&old, "a.example").is_some());
        new.take_over(&old);
        cached(&new, "a.example").is_some()
    };
    let file = Some("/etc/hubdns/ca.pem");
    assert!(kept([None, None]), "the system's store is no word on the upstreams");
    assert!(!kept([file, file]) && !kept([None, file]) && !kept([file, None]));
}
