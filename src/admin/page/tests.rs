//! The page as it is sent. How it looks and works in a browser is `tests/page`'s.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::net::UdpSocket;
use tokio_util::task::TaskTracker;

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
    // What a mail's scanner, or a hand, has added to a link.
    assert!(daemon.get("/?names=201&strange=1&names=2").await.body.contains("5,001 to 5,001"));
}

#[tokio::test]
async fn before_a_table_it_says_why_there_is_none() {
    let daemon = Daemon::start().await;
    let page = daemon.get("/?name=a").await.body;
    assert!(page.contains("<title>Not ready · hubdns hub-a</title>"), "{page}");
    assert!(page.contains("no table is in force yet: discovery has not ended its first round"));
    assert!(page.contains("Not explained"));
}

/// Counts public addresses told to so many clients of a name.
fn leaks(daemon: &Daemon, name: &str, times: u64) {
    let coverage = &daemon.metrics().coverage;
    let address = "192.0.2.1".parse().unwrap();
    let mark = coverage.mark(&name.parse().unwrap(), [address].into_iter()).unwrap();
    coverage.count(mark, times);
}

#[tokio::test]
async fn what_leaks_is_told_with_what_an_endpoint_could_do() {
    let daemon = Daemon::ready().await;
    let none = daemon.get("/").await.body;
    assert!(none.contains("<p class=\"soft\">None in 0 s.</p>"), "{none}");
    leaks(&daemon, "sts.eu-west-1.amazonaws.com", 1_204);
    leaks(&daemon, "x.execute-api.eu-west-1.amazonaws.com", 31);
    leaks(&daemon, "eu-west-1.queue.amazonaws.com", 8);
    leaks(&daemon, "sqs.eu-west-1.amazonaws.com", 2);
    leaks(&daemon, "db.abc.eu-west-1.rds.amazonaws.com", 1);
    let page = daemon.get("/").await.body;
    let section = page.split("id=\"coverage\"").nth(1).unwrap();
    let section = section.split("</section>").next().unwrap();
    insta::assert_snapshot!(section.replace("<tr>", "\n<tr>").replace("<td", "\n  <td"));
    // The way from an endpoint leads to what is said of it.
    let there = daemon.get("/?q=vpce-1").await.body;
    assert!(there.contains("1 name of view <b>default</b> with “vpce-1”"), "{there}");
}

#[tokio::test]
async fn what_leaks_has_pages_and_the_filter_finds_it() {
    let daemon = Daemon::ready().await;
    let services = ["sts", "kms", "rds", "ecs", "sns", "logs", "ssm", "ec2", "glue", "athena"];
    for (at, service) in services.iter().enumerate() {
        for region in ["eu-west-1", "eu-west-2", "us-east-1"] {
            leaks(&daemon, &format!("{service}.{region}.amazonaws.com"), 100 - at as u64);
        }
    }
    let page = daemon.get("/").await.body;
    assert!(page.contains("1 to 25 of 30 names, 2,865 answers in 0 s"), "{page}");
    assert!(page.contains("rds 294, ecs 291, sns 288, logs 285, 4 more services"), "{page}");
    assert!(page.contains("href=\"/?leaks=2#leaks\""), "{page}");
    assert!(daemon.get("/?leaks=2").await.body.contains("26 to 30 of 30 names"));
    let found = daemon.get("/?leaks=2&q=glue.us").await.body;
    assert!(found.contains("1 name, 92 answers"), "{found}");
    assert!(daemon.get("/?q=nowhere").await.body.contains("No name has that in it."));
}

/// A socket of ours that answers each question with no records, and tells how many there were.
async fn listening(daemon: &Daemon) -> Arc<AtomicUsize> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    daemon.listens_on(socket.local_addr().unwrap());
    let questions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&questions);
    TaskTracker::new().spawn(async move {
        let mut octets = [0; 512];
        while let Ok((len, client)) = socket.recv_from(&mut octets).await {
            counted.fetch_add(1, Ordering::Relaxed);
            // It is a response now.
            octets[2] |= 0x80;
            socket.send_to(&octets[..len], client).await.unwrap();
        }
    });
    questions
}

#[tokio::test]
async fn the_pages_own_form_has_it_asked_by_dns_and_no_link_does() {
    let daemon = Daemon::ready().await;
    let questions = listening(&daemon).await;
    let asked = || questions.load(Ordering::Relaxed);
    let permalink = "/?name=sqs.eu-west-1.amazonaws.com&from=127.0.0.1";
    let page = daemon.get(permalink).await.body;
    assert!(page.contains("Not asked by DNS yet.") && page.contains("Ask now"), "{page}");
    let word = page.split("name=\"live\" value=\"").nth(1).unwrap().get(..32).unwrap();
    assert_eq!(page.matches(word).count(), 2, "in the forms, and in no link");
    let other = daemon.get(&format!("{permalink}&live=0123456789abcdef")).await.body;
    assert!(other.contains("not asked</span>: the link is none of this page"), "{other}");
    let request = format!(
        "GET {permalink}&live={word} HTTP/1.1\r\nHost: localhost\r\nSec-Purpose: prefetch;prerender\r\n\
         Connection: close\r\n\r\n"
    );
    assert!(daemon.tell(&request).await.body.contains("has loaded this ahead"));
    assert_eq!(asked(), 0);
    // What it says differs, so it is asked once more.
    let told = daemon.get(&format!("{permalink}&live={word}")).await.body;
    assert!(told.contains("differs</span>: 127.0.0.1:"), "{told}");
    assert!(told.contains("answers NOERROR with no addresses."), "{told}");
    assert_eq!(asked(), 2);
    assert!(told.contains("Ask again") && !told.contains(&format!("live={word}")), "{told}");
    // Neither the lists' links nor the JSON API.
    assert_eq!(daemon.get(&format!("/api/v1/explain?name=a&live={word}")).await.status, 400);
    let elsewhere = daemon.get(&format!("{permalink}&live={word}&listener=127.0.0.1:1")).await.body;
    assert!(elsewhere.contains("listener: 127.0.0.1:1 is no address of ours"), "{elsewhere}");
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn a_name_is_one_word_of_the_command_that_is_shown() {
    let daemon = Daemon::ready().await;
    let page = daemon.get("/?name=a;$(b)&from=127.0.0.1").await.body;
    assert!(page.contains("<code>hubdns explain 'a;$(b)' A --from 127.0.0.1"), "{page}");
}
