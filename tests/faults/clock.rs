//! The clock of the wall jumps, by the real libfaketime below the daemon's binary. Its steady clock goes
//! on, as a machine's does.

use std::{fs, thread, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    SOON, WHILE, asked_while, await_metric, await_version, book, forward, lines_with, nothing_lost,
    publish,
    support::{Clients, Ec2Double, Fixed, Hubdns, Recording, Unbound, eventually, name_of},
    truth, version,
};

/// Where Debian has it, below a folder with the machine's architecture.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A clock that a test sets.
struct Clock {
    library: String,
    dir: TempDir,
}

// === impl Clock ===

impl Clock {
    fn new() -> Self {
        let folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
        let library = folders.map(|folder| folder.join(LIBRARY)).find(|path| path.exists());
        let library = library.unwrap_or_else(|| panic!("no {LIBRARY}: run tests/setup.sh"));
        let library = library.display().to_string();
        let clock = Self { library, dir: TempDir::new().unwrap() };
        clock.set(0);
        clock
    }

    /// So many seconds from the true time.
    fn set(&self, secs: i64) {
        let (path, beside) = (self.dir.path().join("offset"), self.dir.path().join("new"));
        fs::write(&beside, format!("{secs:+}\n")).unwrap();
        fs::rename(beside, path).unwrap();
    }

    /// Starts a daemon by this clock.
    fn start(&self, config: &str) -> Hubdns {
        let offset = self.dir.path().join("offset").display().to_string();
        Hubdns::start_with(
            config,
            &[
                ("LD_PRELOAD", &self.library),
                ("FAKETIME_TIMESTAMP_FILE", &offset),
                ("FAKETIME_NO_CACHE", "1"),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ],
        )
    }
}

/// The seconds since 1970 that a daemon's last line of the log tells.
fn told_secs(daemon: &Hubdns) -> i64 {
    let log = daemon.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let told: jiff::Timestamp = line["timestamp"].as_str().unwrap().parse().unwrap();
    told.as_second()
}

#[test]
fn a_clock_that_jumps_by_an_hour_or_a_year_costs_no_answer() {
    let (clock, unbound, recording) = (Clock::new(), Unbound::start(), Recording::new(&version(1)));
    let mut daemon = clock.start(&(recording.source() + &forward(&unbound)));
    let mut now = 1;
    for (jump, secs) in [
        ("an hour forward", HOUR),
        ("an hour back", -HOUR),
        ("a year forward", YEAR),
        ("a year back", -YEAR),
    ] {
        let asked = asked_while(daemon.dns(), truth(now, Some(&unbound)), || clock.set(secs));
        nothing_lost(&format!("the clock jumps {jump}"), asked);
        // What is timed goes on: the sources are asked, and what they say is answered.
        now += 1;
        publish(&daemon, &recording, now);
        await_version(&daemon, now);
        // And it was this clock that jumped.
        let away = told_secs(&daemon) - jiff::Timestamp::now().as_second();
        assert!((away - secs).abs() < 60, "{away} is not {secs}");
        let age = daemon.metric("hubdns_discovery_age_seconds{source=\"files\"}").unwrap();
        assert!((0.0..60.0).contains(&age), "{jump}: the facts are {age} s old");
        assert_eq!(daemon.get("/readyz").0, 200, "{jump}");
        clock.set(0);
    }
    // A last good file of another year is one all the same.
    clock.set(-YEAR);
    daemon.process().kill();
    daemon.start_again();
    await_version(&daemon, now);
    assert_eq!(lines_with(&daemon, "the state file cannot"), 0);
}

#[test]
fn an_api_that_is_down_for_a_day_takes_no_answer_and_its_age_is_told() {
    let (clock, mut double) = (Clock::new(), Ec2Double::start());
    let azs = json!({ "a": "10.0.1.10", "b": "10.0.2.10" });
    double.create_hub(json!([{ "service": "sqs", "azs": azs }]));
    let source = format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n",
        double.url()
    );
    let mut daemon = clock.start(&source);
    eventually("the last good file is there", SOON, || {
        fs::exists(daemon.dir().join("inventory.json")).unwrap().then_some(())
    });
    let addresses = ["10.0.1.10", "10.0.2.10"].map(|it| it.parse().unwrap());
    let truth = || std::sync::Arc::new(Fixed::one(&name_of("sqs"), &addresses));
    let sample = "hubdns_discovery_errors_total{action=\"DescribeVpcEndpoints\",code=\"connect\",\
                  source=\"hub\"}";
    let asked = asked_while(daemon.dns(), truth(), || {
        double.stop();
        await_metric(&daemon, sample, 1.0);
        clock.set(DAY);
        thread::sleep(WHILE);
        daemon.process().signal("HUP");
        await_metric(&daemon, sample, 2.0);
    });
    nothing_lost("the API is down for a day", asked);
    assert!(1 <= lines_with(&daemon, "discovery failed"));

    // A start on the second day has nothing but the file of the first.
    daemon.process().kill();
    daemon.start_again();
    let clients = Clients::start(daemon.dns(), truth(), crate::RATE);
    thread::sleep(2 * WHILE);
    let figures = clients.end();
    book("a start on the second day of it", &figures, Duration::ZERO);
    assert_eq!((figures.wrong, figures.failed, figures.lost), (0, 0, 0), "{figures:?}");
    let age = daemon.metric("hubdns_discovery_age_seconds{source=\"hub\"}").unwrap();
    assert!(80_000.0 < age, "the facts are {age} s old, and of the day before");

    // When it is over nobody has to say so.
    let double = Ec2Double::start_at(double.address());
    let azs = json!({ "a": "10.0.1.77", "b": "10.0.2.77" });
    double.create_hub(json!([{ "service": "sqs", "azs": azs }]));
    eventually("what is new is answered", 3 * SOON, || {
        (daemon.dig("sqs.eu-west-1.amazonaws.com A").data("A") == ["10.0.1.77", "10.0.2.77"])
            .then_some(())
    });
}
