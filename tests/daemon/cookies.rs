//! DNS cookies by the real dig: good ones come back, hubs that share a secret know each other's.

use std::fs;

use tempfile::TempDir;

use crate::{
    SOON, SQS, await_metric, lines_with, nudge, recorded,
    support::{Hubdns, eventually},
};

/// A client's half.
const CLIENT: &str = "0123456789abcdef";
const OLD: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const NEW: &str = "445536bcd2513298075a5d379663c962";

/// Our half of the cookie for a client that sends `cookie`.
#[track_caller]
fn told(daemon: &Hubdns, cookie: &str, more: &str) -> String {
    let answer = daemon.dig(&format!("{SQS} A +cookie={cookie} {more}"));
    assert_eq!((answer.status.as_str(), answer.data("A").len()), ("NOERROR", 3), "{}", answer.raw);
    answer.cookie.unwrap_or_else(|| panic!("{}", answer.raw))
}

/// How many cookies were `new`, `good` and `bad`.
fn counted(daemon: &Hubdns) -> [f64; 3] {
    ["new", "good", "bad"].map(|state| {
        let sample = format!("hubdns_dns_cookies_total{{state=\"{state}\"}}");
        daemon.metric(&sample).unwrap()
    })
}

#[track_caller]
fn reload(daemon: &mut Hubdns) {
    let sample = "hubdns_config_reloads_total{outcome=\"done\"}";
    let done = daemon.metric(sample).unwrap();
    nudge(daemon);
    await_metric(daemon, sample, done + 1.0);
}

#[test]
fn a_good_cookie_comes_back_until_the_daemon_is_another() {
    let mut daemon = Hubdns::start(&recorded());
    let first = told(&daemon, CLIENT, "");
    assert_eq!(told(&daemon, &format!("{CLIENT}{first}"), ""), first);
    // On a stream too, and after a reload that says nothing of cookies.
    assert_eq!(told(&daemon, &format!("{CLIENT}{first}"), "+tcp"), first);
    reload(&mut daemon);
    assert_eq!(told(&daemon, &format!("{CLIENT}{first}"), ""), first);
    assert_eq!(counted(&daemon), [1.0, 3.0, 0.0]);
    // From another address it is nobody's; the answer is the same and has a good one.
    assert_ne!(told(&daemon, &format!("{CLIENT}{first}"), "-b 127.0.0.2"), first);
    assert_eq!(counted(&daemon), [1.0, 3.0, 1.0]);
    let other = Hubdns::start(&recorded());
    assert_ne!(told(&other, &format!("{CLIENT}{first}"), ""), first);
    assert_eq!(counted(&other), [0.0, 0.0, 1.0]);
}

#[test]
fn hubs_that_share_a_secret_know_each_others_cookies_and_roll_it_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("secrets");
    let write = |secrets: &[&str]| fs::write(&path, secrets.join("\n")).unwrap();
    write(&[OLD]);
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:{{dns_port}}\"]\ncookie_secret_file = \"{}\"\n{}",
        path.display(),
        recorded()
    );
    let (one, mut other) = (Hubdns::start(&config), Hubdns::start(&config));
    let first = told(&one, CLIENT, "");
    assert_eq!(told(&other, &format!("{CLIENT}{first}"), ""), first);

    // The new secret makes cookies; those of the old one are good and replaced.
    write(&[NEW, OLD]);
    reload(&mut other);
    let second = told(&other, &format!("{CLIENT}{first}"), "");
    assert_ne!(second, first);
    assert_eq!(counted(&other), [0.0, 2.0, 0.0]);

    // A file that cannot be used changes nothing, and its text is in no log.
    write(&[NEW, &OLD[1..]]);
    nudge(&mut other);
    await_metric(&other, "hubdns_config_reloads_total{outcome=\"refused\"}", 1.0);
    eventually("the log tells the line", SOON, || {
        let told = lines_with(&other, "line 2 is not 32 hexadecimal digits");
        (!told.is_empty()).then_some(())
    });
    assert!(lines_with(&other, &OLD[1..]).is_empty() && lines_with(&other, NEW).is_empty());
    assert_eq!(told(&other, &format!("{CLIENT}{second}"), ""), second);
}
