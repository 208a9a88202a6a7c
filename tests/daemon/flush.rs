//! `hubdns flush`: what upstreams said is forgotten, and only that.

use std::fs;

use tempfile::TempDir;

use crate::{
    commands::{Ran, ran},
    recorded,
    support::{Hubdns, Unbound, hubdns},
    upstream,
};

/// How often the upstream has been asked for this name.
fn asked(unbound: &Unbound, name: &str) -> usize {
    unbound.queries().iter().filter(|query| query.contains(name)).count()
}

#[test]
fn a_flush_of_a_name_takes_what_is_below_it_and_what_leads_there() {
    let unbound = Unbound::start();
    let daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    let ask_all = || {
        for question in
            ["www.corp.example A", "alias.corp.example A", "rds.eu-west-1.amazonaws.com A"]
        {
            assert_eq!(daemon.dig(question).status, "NOERROR");
        }
    };
    ask_all();
    let Ran { code, out, err } = ran(&mut daemon.command("flush www.corp.example"));
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (Some(0), "forgot 2 answers of www.corp.example and below it, or that led there\n", "")
    );
    ask_all();
    // Its own question, the alias that led there, and nothing else.
    assert_eq!(
        ["www.corp.example", "alias.corp.example", "rds."].map(|name| asked(&unbound, name)),
        [2, 2, 1]
    );
    let socket = daemon.dir().join("control.sock");
    let flush = format!("flush --socket {}", socket.display());
    let Ran { code, out, err } = ran(hubdns(daemon.dir()).args(flush.split(' ')));
    assert_eq!((code, out.as_str()), (Some(0), "forgot 3 answers, which was all\n"), "{err}");
    ask_all();
    assert_eq!(asked(&unbound, "rds."), 2);
}

#[test]
fn a_flush_without_a_daemon_fails_and_says_what_to_look_at() {
    let folder = TempDir::new().unwrap();
    let config = recorded() + "[control]\nsocket = \"{socket}\"\n";
    for (socket, told) in [
        (folder.path().join("control.sock").display().to_string(), "hubdns is not running"),
        (String::new(), "`control.socket` is \"\" in this configuration"),
    ] {
        fs::write(folder.path().join("hubdns.toml"), config.replace("{socket}", &socket)).unwrap();
        let Ran { code, out, err } =
            ran(hubdns(folder.path()).args(["flush", "--config", "hubdns.toml"]));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains(told), "{err}");
    }
    let Ran { code, err, .. } = ran(hubdns(folder.path()).args(["flush", "a..b"]));
    assert!(code == Some(2) && err.contains("a..b"), "{err}");
}

#[test]
fn only_who_may_open_the_control_socket_can_flush() {
    let daemon = Hubdns::start(&recorded());
    let (code, _) = daemon.get("/api/v1/flush");
    assert_eq!(code, 404, "the admin listener knows no such path");
}
