//! `hubdns doctor`: what is well, what is not, and what to do next.

use serde_json::Value;

use crate::{
    commands::{Ran, ran},
    recorded,
    support::{Hubdns, Unbound},
    upstream,
};

/// The lines about something.
fn about<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    text.lines().filter(|line| line.contains(&format!(" {word}: "))).collect()
}

#[test]
fn a_hub_that_is_well_passes_and_who_is_asked_for_awss_hosts_is_told() {
    let unbound = Unbound::start();
    let daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    let Ran { code, out, err } = ran(&mut daemon.command("doctor"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(about(&out, "daemon")[0].starts_with("passed  daemon: is ready"), "{out}");
    assert_eq!(about(&out, "loop"), ["passed  loop: none is known"]);
    let address = unbound.address();
    assert_eq!(
        about(&out, "upstream"),
        [
            format!("passed  upstream: {address} answers (NOERROR)"),
            format!("passed  upstream: {address} accepts TCP"),
        ]
    );
    let [hosts] = about(&out, "aws hosts")[..] else { panic!("{out}") };
    assert!(hosts.contains(&format!("{address} (forward.upstreams)")), "{out}");
}

#[test]
fn what_is_not_well_is_told_with_the_next_step() {
    let mut unbound = Unbound::start();
    let mut daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    unbound.stop();
    assert!(daemon.terminate().success());
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor --format json"));
    assert_eq!(code, Some(1), "{out}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let checks = document["checks"].as_array().unwrap();
    let result = |about: &str| {
        let mut found = checks.iter().filter(|check| check["about"] == about);
        found.next().unwrap_or_else(|| panic!("{about} in\n{out}"))
    };
    assert_eq!(
        (&result("daemon")["result"], &result("source")["result"]),
        (&"warned".into(), &"passed".into())
    );
    let upstream = result("upstream");
    assert_eq!(upstream["result"], "failed");
    assert!(upstream["next"].as_str().unwrap().contains("dig @127.0.0.1"), "{out}");
    assert!(checks.iter().all(|check| (check["result"] == "passed") == check["next"].is_null()));
}
