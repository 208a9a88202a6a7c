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

#[tokio::test]
async fn a_name_asked_for_often_is_renewed_while_it_is_fresh() {
    static ASKED: AtomicU8 = AtomicU8::new(0);
    let (forwarder, upstream) =
        forwarder_to(|query| vec![(0, a_record(query, ASKED.fetch_add(1, Ordering::Relaxed), 5))])
            .await;
    for _ in 0..4 {
        forwarder.ask(question("a.example")).await.unwrap();
    }
    forwarder.ask(question("rare.example")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(4_600)).await;
    for name in ["a.example", "rare.example"] {
        let answered = forwarder.ask(question(name)).await.unwrap();
        assert_eq!(answered.source, AnswerSource::Cache, "nobody waits");
    }
    assert!(until(2_000, || upstream.asked() == 3).await, "one of them was renewed");
    let is_new = || forwarder.cached(&question("a.example")).is_some_and(|it| last_octet(&it) == 2);
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
    assert!(ask("a.example").await < Duration::from_millis(300), "it has failed before");
    for _ in 0..2 {
        assert!(forwarder.ask(question("c.example")).await.is_err());
        tokio::time::sleep(Duration::from_millis(2_100)).await;
    }
    assert!(ask("b.example").await < Duration::from_millis(300), "nobody answers anything");
    ANSWERS.store(true, Ordering::Relaxed);
    forwarder.ask(question("d.example")).await.unwrap();
    forwarder.ask(question("b.example")).await.unwrap();
    let is_back = || forwarder.cached(&question("b.example")).is_some();
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
    assert_eq!(last_octet(&forwarder.cached(&question("a.example")).unwrap()), 1);
    assert_eq!(forwarder.flush(None), 1);
    assert!(forwarder.cached(&question("a.example")).is_none());
}
