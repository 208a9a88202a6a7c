//! Views with upstreams of their own: what one says is told to nobody else.

use super::*;
use crate::{base::ViewName, forward::ViewForward};

/// A forwarder to `shared`, and for clients of the view "own" to `own`.
fn two(shared: &Double, own: &[SocketAddr]) -> Forwarder {
    let view = ViewForward {
        view: "own".into(),
        upstreams: Some(own.iter().copied().map(UpstreamAddress::from).collect()),
        zones: vec![],
    };
    forwarder(ForwardConfig { views: vec![view], ..config(&[shared.address]) })
}

fn key(forwarder: &Forwarder, view: &str, name: &str) -> Key {
    let question = question(name);
    let realm = forwarder.realm(&ViewName::from(view), question.name.as_wire());
    Key { realm, question }
}

/// What a client of a view is told, and from where.
async fn told(forwarder: &Forwarder, view: &str, name: &str) -> (u8, AnswerSource) {
    let answered = forwarder.ask(key(forwarder, view, name)).await.unwrap();
    (last_octet(&answered), answered.source)
}

async fn doubles() -> (Double, Double) {
    let shared = Double::start(|query| vec![(100, a_record(query, 1, 1))]).await;
    (shared, Double::start(|query| vec![(100, a_record(query, 2, 1))]).await)
}

#[tokio::test]
async fn what_one_views_upstreams_say_is_never_told_to_another() {
    let (shared, own) = doubles().await;
    let forwarder = two(&shared, &[own.address]);
    let ask = async |view: &str| told(&forwarder, view, "a.example").await;
    // In flight at the same time.
    let (one, other) = tokio::join!(ask("own"), ask("default"));
    assert_eq!([one, other], [(2, AnswerSource::Upstream), (1, AnswerSource::Upstream)]);
    // From the cache.
    assert_eq!(ask("own").await, (2, AnswerSource::Cache));
    assert_eq!(ask("default").await, (1, AnswerSource::Cache));
    let cached =
        |view| forwarder.cached(key(&forwarder, view, "a.example").sought(), Instant::now());
    assert_eq!([cached("own"), cached("default")].map(|it| last_octet(&it.unwrap())), [2, 1]);
    assert_eq!((shared.asked(), own.asked()), (1, 1));
    // A flush takes both.
    assert_eq!(forwarder.flush(Some(&"example".parse().unwrap())), 2);
    assert!(cached("own").is_none() && cached("default").is_none());
}

#[tokio::test]
async fn an_old_answer_stands_in_for_its_own_view_alone() {
    static ANSWERS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(true);
    let own =
        Double::start(|query| match ANSWERS.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => vec![(0, a_record(query, 2, 1))],
            false => vec![(0, with_rcode(query, Rcode::SERVFAIL, None))],
        });
    let (own, (shared, _)) = (own.await, doubles().await);
    let forwarder = two(&shared, &[own.address]);
    assert_eq!(told(&forwarder, "own", "a.example").await, (2, AnswerSource::Upstream));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(told(&forwarder, "own", "a.example").await, (2, AnswerSource::Stale));
    assert_eq!(told(&forwarder, "default", "a.example").await, (1, AnswerSource::Upstream));
    // A failure is the view's own, too.
    let failed = forwarder.ask(key(&forwarder, "own", "b.example")).await.unwrap();
    assert_eq!(failed.relay.rcode(), Rcode::SERVFAIL);
    assert_eq!(told(&forwarder, "default", "b.example").await, (1, AnswerSource::Upstream));
}

#[tokio::test]
async fn a_view_without_an_upstream_is_told_so_and_takes_no_other() {
    let (shared, _) = doubles().await;
    let forwarder = two(&shared, &[]);
    let error = forwarder.ask(key(&forwarder, "own", "a.example")).await.unwrap_err();
    assert_eq!(error, ForwardError::NoUpstream);
    assert_eq!(told(&forwarder, "default", "a.example").await.0, 1);
    assert_eq!(shared.asked(), 1);
}

#[tokio::test]
async fn a_reload_takes_over_what_its_view_would_be_told_again() {
    let shared = Double::start(|query| vec![(0, a_record(query, 1, 60))]).await;
    let own = Double::start(|query| vec![(0, a_record(query, 2, 60))]).await;
    let other = Double::start(|query| vec![(0, a_record(query, 3, 60))]).await;
    let before = two(&shared, &[own.address]);
    told(&before, "own", "a.example").await;
    told(&before, "default", "a.example").await;
    let grown = two(&shared, &[other.address, own.address]);
    grown.take_over(&before);
    assert_eq!(told(&grown, "own", "a.example").await, (2, AnswerSource::Cache));
    let replaced = two(&shared, &[other.address]);
    replaced.take_over(&before);
    assert_eq!(told(&replaced, "own", "a.example").await, (3, AnswerSource::Upstream));
    assert_eq!(told(&replaced, "default", "a.example").await, (1, AnswerSource::Cache));
}
