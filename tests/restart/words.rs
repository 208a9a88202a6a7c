//! What systemd is told, and when.

use std::{thread, time::Duration};

use serde_json::Value;

use crate::{
    SQS, Site,
    support::{dig_at, eventually, http_get, hubdns},
};

const SOON: Duration = Duration::from_secs(15);

/// The lines of all notifications, in order, but for those about descriptors and the watchdog.
fn told(site: &Site) -> Vec<String> {
    let events = site.supervisor.events();
    let lines = events.iter().filter_map(|event| event["lines"].as_array()).flatten();
    let texts = lines.filter_map(Value::as_str).map(|line| match line.split_once('=') {
        // The time is another each time.
        Some(("MONOTONIC_USEC", usec)) if usec.parse::<u64>().is_ok() => "MONOTONIC_USEC",
        _ => line,
    });
    let about_fds = |line: &&str| line.starts_with("FD") || line.starts_with("WATCHDOG");
    texts.filter(|line| !about_fds(line)).map(str::to_owned).collect()
}

#[test]
fn ready_is_told_when_a_table_answers_and_reload_and_end_as_they_happen() {
    let mut site = Site::new(0);
    // A source that cannot be read yet: there is no table.
    let hub = site.dir.path().join("hub");
    site.write(&format!("[server]\nlisten = [\"{}\"]\n", site.dns));
    let config = std::fs::read_to_string(site.config()).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    let config = config.replace(fixture, &hub.display().to_string());
    let config = config.replace("[refresh]\n", "[refresh]\ninterval_secs = 5\n");
    std::fs::write(site.config(), config).unwrap();
    site.supervisor.tell("start");
    eventually("it runs without a table", SOON, || {
        http_get(site.admin, "/readyz").ok().filter(|(status, _)| *status == 503)
    });
    let reload = || {
        let asked = ["reload", "--config", "hubdns.toml"];
        let reload = hubdns(site.dir.path()).args(asked).output().unwrap();
        assert!(reload.status.success(), "{reload:?}");
    };
    reload();
    assert_eq!(told(&site), [""; 0], "a reload makes no table");
    std::os::unix::fs::symlink(fixture, &hub).unwrap();
    site.supervisor.await_ready(1);
    assert_eq!(dig_at(site.dns, &format!("{SQS} A")).data("A").len(), 3);
    reload();
    site.supervisor.tell("stop");
    eventually("it ends", SOON, || (site.supervisor.count("ended") == 1).then_some(()));
    let expected = ["READY=1", "RELOADING=1", "MONOTONIC_USEC", "READY=1", "STOPPING=1"];
    assert_eq!(told(&site), expected);
    let events = site.supervisor.events();
    let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
    assert_eq!(ended["status"], 0, "{}", site.supervisor.log());
}

#[test]
fn the_watchdog_hears_of_a_daemon_that_answers_itself() {
    let mut site = Site::new(400_000);
    // Whoever may ask: we are answered that we may not, which is an answer.
    let wildcard = format!("0.0.0.0:{}", site.dns.port());
    site.write(&format!(
        "[server]\nlisten = [\"{wildcard}\"]\n[clients]\nallow = [\"192.0.2.0/24\"]\n"
    ));
    site.supervisor.start_daemon();
    eventually("signs of life", SOON, || {
        (5 <= site.supervisor.notified("WATCHDOG=1").len()).then_some(())
    });
    let all = site.supervisor.notified("WATCHDOG=1");
    let at = |event: &Value| event["at"].as_f64().unwrap();
    let gaps = all.windows(2).map(|pair| at(&pair[1]) - at(&pair[0]));
    assert!(gaps.clone().all(|gap| gap < 400.0), "{:?}", gaps.collect::<Vec<_>>());
}

#[test]
fn the_watchdog_hears_nothing_when_questions_do_not_reach_us() {
    let mut site = Site::new(200_000);
    site.supervisor.start_daemon();
    eventually("signs of life", SOON, || site.supervisor.notified("WATCHDOG=1").pop());
    // As the owner of the port we may share it: nearly all questions go to sockets that nobody reads.
    let thieves: Vec<_> = (0..600).map(|_| thief(site.dns)).collect();
    assert!(thieves.iter().all(Option::is_some), "the port cannot be shared");
    thread::sleep(Duration::from_secs(2));
    let before = site.supervisor.notified("WATCHDOG=1").len();
    thread::sleep(Duration::from_secs(2));
    let after = site.supervisor.notified("WATCHDOG=1").len();
    // 40 looks, of which one in 40 may find our own sockets.
    assert!(after - before < 10, "{before} and then {after}");
    assert!(site.supervisor.log().contains("a query to ourselves is not answered"));
}

/// A socket on an address that another process of ours has, which the kernel then gives a part of its
/// packets.
fn thief(address: std::net::SocketAddr) -> Option<socket2::Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).ok()?;
    socket.set_reuse_port(true).ok()?;
    socket.bind(&address.into()).ok()?;
    Some(socket)
}
