//! The page as it is sent. How it looks and works in a browser is `tests/page`'s.

use std::time::Instant;

use super::{SCRIPT, STYLE};
use crate::admin::tests::Daemon;

#[tokio::test]
async fn it_is_small_whole_and_strict() {
    let daemon = Daemon::ready().await;
    let page = daemon.get("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.body.len() < 40_000, "{} octets", page.body.len());
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["x-frame-options"], "DENY");
    for elsewhere in ["src=", "@import", "url(", "style=", " onclick", "http-equiv"] {
        assert!(!page.body.contains(elsewhere), "{elsewhere}");
    }
    assert!(page.body.contains(STYLE) && page.body.contains(SCRIPT));
}

#[tokio::test]
async fn what_others_wrote_is_text() {
    let daemon = Daemon::ready().await;
    let wrote = "<script>alert(1)</script>\"'&";
    daemon.told_by_a_source(wrote);
    let path = "/?q=%3Cscript%3E%22&name=a%3Cb%22&from=%22%3E%3Cscript%3E";
    let page = daemon.get(path).await.body;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert_eq!(page.matches("<script>").count(), 1, "our own");
    assert!(page.contains("value=\"&quot;&gt;&lt;script&gt;\""));
}

#[tokio::test]
async fn each_view_and_each_page_of_names_has_a_link() {
    let daemon = Daemon::with_names(5_000).await;
    let start = Instant::now();
    let page = daemon.get("/").await.body;
    let took = start.elapsed();
    assert!(page.contains("1 to 25 of 5,001 names"), "the first");
    assert!(page.contains("href=\"/?names=2#answered\""));
    eprintln!("measured: the page of 5,001 names: {} octets in {took:?}", page.len());
    // Twenty times what it takes on a quiet machine with a build for debugging.
    assert!(took.as_secs() < 5, "{took:?}");
    assert!(page.len() < 100_000, "{} octets", page.len());
    let last = daemon.get("/?names=201&view=default").await.body;
    assert!(last.contains("5,001 to 5,001 of 5,001 names"));
    let found = daemon.get("/?q=N4321.").await.body;
    assert!(found.contains("n4321.example") && found.contains("1 name of view"), "{found}");
    // A page that there is not is the last.
    assert!(daemon.get("/?names=999").await.body.contains("5,001 to 5,001"));
    assert_eq!(daemon.get("/?strange=1").await.status, 400);
}

#[tokio::test]
async fn before_a_table_it_says_why_there_is_none() {
    let daemon = Daemon::start().await;
    let page = daemon.get("/?name=a").await.body;
    assert!(page.contains("<title>Not ready · hubdns hub-a</title>"), "{page}");
    assert!(page.contains("no table is in force yet: discovery has not ended its first round"));
    assert!(page.contains("Not explained"));
}
