//! `docs/UPSTREAMS.md`, row by row: upstreams that lie, break and fall silent, on real sockets,
//! and what a client of the real daemon gets and when.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod message;
mod scripts;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod upstream;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use crate::{
    scripts::SCRIPTS,
    support::{DigAnswer, Hubdns, eventually, try_dig},
    upstream::{Tcp, Upstream},
};

const TEXT: &str = include_str!("../../docs/UPSTREAMS.md");

/// What a machine with two busy cores may add to the document's times.
const SLACK: Duration = Duration::from_millis(250);
/// Zones asked at once: most wait.
const ASKERS: usize = 4;
/// How often a row may be late that is in time in the end. What it says has to be right each time.
const TRIES: usize = 3;
/// The address that no client may ever see.
const FALSE_ADDRESS: &str = "203.0.113.66";

/// One row of the document.
struct Row {
    asked: String,
    gets: Vec<String>,
    within: Duration,
}

/// A daemon with one zone for every script, each with an upstream of its own.
struct World {
    daemon: Hubdns,
    upstreams: BTreeMap<&'static str, Upstream>,
}

// === impl Row ===

impl Row {
    /// The rows of the document, by zone.
    fn all() -> BTreeMap<String, Vec<Row>> {
        let mut rows = BTreeMap::<String, Vec<Row>>::new();
        for line in TEXT.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [asked, does, gets, within] = cells[..] else { panic!("{line}") };
            assert!(!does.is_empty(), "{line}");
            let seconds: f64 = within.strip_suffix(" s").unwrap().parse().unwrap();
            let asked = asked.trim_matches('`').to_owned();
            let zone = asked.split('.').nth(1).unwrap().to_owned();
            let gets = gets.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            let within = Duration::from_secs_f64(seconds);
            rows.entry(zone).or_default().push(Row { asked, gets, within });
        }
        rows
    }

    /// What is not as the row says, and whether it came too late.
    fn faults(&self, daemon: &Hubdns) -> (Vec<String>, bool) {
        let answer = match try_dig(daemon.dns(), &format!("{} +timeout=8", self.asked)) {
            Ok(answer) => answer,
            Err(printed) => return (vec![format!("{}: no answer: {printed}", self.asked)], false),
        };
        let mut faults = Vec::new();
        if answer.raw.contains(FALSE_ADDRESS) {
            faults.push(format!("{}: it has the false address", self.asked));
        }
        let told = told(&answer);
        if told != self.gets {
            faults.push(format!("{}: {told:?} in place of {:?}", self.asked, self.gets));
        }
        (faults, self.within + SLACK < query_time(&answer))
    }
}

/// An answer as the document writes it: its code, what each type has in order, EDE, and how it came
/// if not by UDP.
fn told(answer: &DigAnswer) -> Vec<String> {
    let mut told = vec![answer.status.clone()];
    for rtype in ["CNAME", "A"] {
        let data = answer.data(rtype);
        match data.len() {
            0 => (),
            1 | 2 => told.push(format!("{rtype} {}", data.join(", "))),
            more => told.push(format!("{more} {rtype}")),
        }
    }
    let texts = answer.data("TXT").len();
    if 0 < texts {
        told.push(format!("{texts} TXT"));
    }
    if answer.answer.iter().any(|record| record.ttl == 0) {
        told.push("ttl 0".to_owned());
    }
    if let Some(code) = answer.ede {
        let text = answer.ede_text.as_deref().unwrap_or_default();
        told.push(format!("EDE {code} {text}").trim_end().to_owned());
    }
    if answer.transport == "TCP" {
        told.push("by TCP".to_owned());
    }
    told
}

/// What dig measured, its own start left out.
fn query_time(answer: &DigAnswer) -> Duration {
    let line = answer.raw.lines().find_map(|line| line.strip_prefix(";; Query time: ")).unwrap();
    Duration::from_millis(line.split(' ').next().unwrap().parse().unwrap())
}

// === impl World ===

impl World {
    fn start() -> World {
        let start =
            |(zone, tcp, script): &(&'static str, Tcp, _)| (*zone, Upstream::start(*script, *tcp));
        let upstreams: BTreeMap<_, _> = SCRIPTS.iter().map(start).collect();
        let mut config = format!(
            "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{}/src/discover/demo\"\n",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut zone = |name: &str, addresses: &[std::net::SocketAddr]| {
            let list: Vec<String> = addresses.iter().map(|it| format!("\"{it}\"")).collect();
            let list = list.join(", ");
            writeln!(config, "[[forward.zone]]\nname = \"{name}.test\"\nupstreams = [{list}]")
                .unwrap();
        };
        for (name, upstream) in &upstreams {
            zone(name, &[upstream.address()]);
        }
        let of = |name: &str| upstreams[name].address();
        zone("first-silent", &[Upstream::start(|_| vec![], Tcp::Refused).address(), of("honest")]);
        zone("first-closed", &[Upstream::nowhere(), of("honest")]);
        zone("first-refuses", &[Upstream::start(refuses(), Tcp::Refused).address(), of("honest")]);
        zone("closed", &[Upstream::nowhere()]);
        World { daemon: Hubdns::start(&config), upstreams }
    }

    fn mismatched(&self, reason: &str) -> f64 {
        let sample = format!("hubdns_upstream_mismatched_total{{reason=\"{reason}\"}}");
        self.daemon.metric(&sample).unwrap()
    }
}

fn refuses() -> upstream::Script {
    SCRIPTS.iter().find(|(zone, _, _)| *zone == "refuses").unwrap().2
}

/// Asks every row, several zones at a time. The zones that have a row whose answer came too late.
fn ask_all(world: &World, rows: &BTreeMap<String, Vec<Row>>) -> BTreeSet<String> {
    let (faults, late) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    let zones = Mutex::new(rows.iter());
    thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(|| {
                loop {
                    let next = zones.lock().unwrap().next();
                    let Some((zone, rows)) = next else { break };
                    for row in rows {
                        let (found, is_late) = row.faults(&world.daemon);
                        faults.lock().unwrap().extend(found);
                        if is_late {
                            late.lock().unwrap().insert(zone.clone());
                        }
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    late.into_inner().unwrap()
}

#[test]
fn every_row_of_the_upstreams_document_holds() {
    let world = World::start();
    let mut rows = Row::all();
    let scripted: BTreeSet<&str> = world.upstreams.keys().copied().collect();
    let told: BTreeSet<&str> = rows.keys().map(String::as_str).collect();
    let untold: Vec<_> = scripted.difference(&told).collect();
    assert!(untold.is_empty(), "scripts that the document does not tell of: {untold:?}");

    let mut late = ask_all(&world, &rows);
    for reason in ["id", "question", "spelling", "not_response", "malformed"] {
        assert!(0.0 < world.mismatched(reason), "{reason} was never counted");
    }
    // Whatever else waits at the same port goes by TCP too, as a probe for loops may.
    let floods = world.daemon.metric("hubdns_upstream_floods_total");
    assert!(matches!(floods, Some(1.0..=2.0)), "{floods:?}");

    // What is late each time is late by itself, and not by what else the machine had to do.
    for _ in 1..TRIES {
        rows.retain(|zone, _| late.contains(zone));
        if !rows.is_empty() {
            late = ask_all(&World::start(), &rows);
        }
    }
    assert!(late.is_empty(), "later than the document says: {late:?}");
}

#[test]
fn a_silent_upstream_harms_no_other_name() {
    let world = World::start();
    thread::scope(|scope| {
        for at in 0..50 {
            let daemon = &world.daemon;
            scope.spawn(move || drop(try_dig(daemon.dns(), &format!("{at}.silent.test A"))));
        }
        eventually("the silent one is asked", Duration::from_secs(20), || {
            (50 <= world.upstreams["silent"].asked().len()).then_some(())
        });
        let mut waits = Vec::new();
        for at in 0..11 {
            let answer = world.daemon.dig(&format!("{at}.honest.test A"));
            assert_eq!(answer.data("A"), ["192.0.2.1"]);
            waits.push(query_time(&answer));
        }
        waits.sort_unstable();
        assert!(waits[5] < Duration::from_millis(150), "{waits:?}");
    });
}

#[test]
fn what_an_upstream_cannot_do_is_not_tried_at_every_question() {
    let world = World::start();
    let ask = |name: &str| {
        let answer = world.daemon.dig(&format!("{name} A +timeout=8"));
        assert_eq!(answer.data("A"), ["192.0.2.1"], "{}", answer.raw);
    };
    let asked = |zone: &str| world.upstreams[zone].asked().len();
    (0..3).for_each(|at| ask(&format!("{at}.no-edns.test")));
    assert_eq!(asked("no-edns"), 4, "one question in two packets");
    (0..5).for_each(|at| ask(&format!("{at}.folds.test")));
    assert_eq!(asked("folds"), 8, "three questions in two packets");
    let without = |zone: &str, feature: &str| {
        let address = world.upstreams[zone].address();
        world.daemon.metric(&format!(
            "hubdns_upstream_asked_without{{feature=\"{feature}\",upstream=\"{address}\"}}"
        ))
    };
    assert_eq!(without("no-edns", "edns"), Some(1.0));
    assert_eq!(without("folds", "case"), Some(1.0));
    assert_eq!(without("honest", "case"), Some(0.0));
}

#[test]
fn names_go_out_in_random_case_and_are_told_as_they_were_asked() {
    let world = World::start();
    let mut spellings = BTreeSet::new();
    for at in 0..8 {
        let name = format!("a-name-of-many-letters-{at}.HonesT.test");
        let answer = world.daemon.dig(&format!("{name} A"));
        assert_eq!(answer.answer[0].name, format!("{name}."));
        let asked = world.upstreams["honest"].asked().pop().unwrap();
        assert_eq!(asked.text(), name.to_ascii_lowercase());
        spellings.insert(asked.name()[..20].to_vec());
    }
    // Fifteen letters: that two of eight are alike has a chance of 28 in 32,768.
    assert!(7 <= spellings.len(), "{spellings:?}");
}

#[test]
fn a_dead_upstream_costs_only_those_who_find_it_out() {
    let world = World::start();
    let mut waits = Vec::new();
    let until = Instant::now() + Duration::from_secs(6);
    for at in 0.. {
        let answer = world.daemon.dig(&format!("{at}.first-silent.test A"));
        assert_eq!(answer.data("A"), ["192.0.2.1"]);
        waits.push(query_time(&answer));
        if until < Instant::now() {
            break;
        }
    }
    // Three find it out, and as long as these wait so may others; half-open looks cost nobody.
    let waited = waits.iter().filter(|wait| Duration::from_millis(150) < **wait).count();
    assert!(waited <= 6, "{waited} of {} waited: {waits:?}", waits.len());
    assert!(30 < waits.len(), "{waits:?}");
}
