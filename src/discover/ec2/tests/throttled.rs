//! Who is slowed when AWS throttles.

use super::*;

/// A source of this name that asks `api` at a pace that it shares.
async fn sharing(api: &Api, name: &str, pace: &CallPace) -> Ec2 {
    let config = SourceConfig { name: name.into(), ..config(&[], None, None) };
    source_paced(config, quick(SharedHttpClient::new(api.clone())), pace).await
}

#[tokio::test]
async fn a_throttled_source_is_slowed_alone_and_several_slow_all() {
    let (throttled, good) =
        (api(|_| refusal(503, "RequestLimitExceeded")), api(|_| endpoints(&[], None)));
    let pace = CallPace::new();
    let [mut one, mut two] =
        [sharing(&throttled, "one", &pace).await, sharing(&throttled, "two", &pace).await];
    let mut other = sharing(&good, "other", &pace).await;
    let looks = async |other: &mut Ec2| {
        let began = Instant::now();
        for _ in 0..10 {
            other.fetch(true).await.unwrap();
        }
        began.elapsed()
    };
    one.fetch(true).await.unwrap_err();
    let at_once = looks(&mut other).await;
    assert!(at_once < Duration::from_millis(400), "{at_once:?}");
    // Its attempts are counted, too: what comes next is 1 call in 200 ms, behind 2 that went before.
    let began = Instant::now();
    one.fetch(true).await.unwrap_err();
    assert!(Duration::from_millis(400) < began.elapsed(), "{:?}", began.elapsed());
    two.fetch(true).await.unwrap_err();
    let slowed = looks(&mut other).await;
    assert!(Duration::from_secs(1) < slowed, "{slowed:?}");
}

#[tokio::test]
async fn a_limit_of_accounts_alone_slows_no_other_however_many_run_into_it() {
    let throttled = Api::new(|form| {
        let has = |action: &str| form.contains(&format!("Action={action}&"));
        match (has("DescribeVpcEndpoints"), has("DescribeNetworkInterfaces")) {
            (true, _) => endpoints(&[endpoint("1", "sqs", "available")], None),
            (false, true) => refusal(503, "RequestLimitExceeded"),
            (false, false) => details(form),
        }
    });
    let good = api(|_| endpoints(&[], None));
    let pace = CallPace::new();
    for name in ["one", "two", "three"] {
        sharing(&throttled, name, &pace).await.fetch(true).await.unwrap_err();
    }
    let began = Instant::now();
    let mut other = sharing(&good, "other", &pace).await;
    for _ in 0..10 {
        other.fetch(true).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
}
