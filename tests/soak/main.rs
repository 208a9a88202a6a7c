//! A long time of everything at once: the table changes each second, the configuration each few seconds,
//! the upstream comes and goes, and clients ask all the while. Each answer is held against what was
//! true at some moment between its question and itself; memory and descriptors stay as they were.
//!
//! `tests/soak.sh SECONDS` runs it for longer than its minute.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod moving;
#[path = "../support/mod.rs"]
mod support;
mod timeline;
mod truths;

use std::{
    env, fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    moving::Moving,
    support::{Clients, Figures, Hubdns, Process, Recording, Unbound},
    truths::{Truths, ZONES, endpoints},
};

/// Where nothing else is said.
const SECS: u64 = 60;
/// Questions a second by UDP; by TCP a tenth of it.
const RATE: u32 = 500;
/// Seconds from one reload to the next, and from one loss of the upstream to the next.
const RELOADS: u64 = 4;
const FLAPS: u64 = 15;
/// Seconds that the upstream is away.
const AWAY: u64 = 3;
/// What is left out of the comparison: until everything that is remembered has been filled.
const WARM_UP: u64 = 12;
/// The share and the octets that memory may grow by and still count as flat.
const GROWTH: f64 = 1.05;
const GROWTH_OCTETS: f64 = 2_097_152.0;
/// Descriptors likewise: a connection or a question more or less in hand.
const MORE_FILES: f64 = 12.0;

/// What a process holds.
#[derive(Clone, Copy)]
struct Held {
    resident: f64,
    files: f64,
}

// === impl Held ===

impl Held {
    fn by(process: &Process) -> Self {
        let proc = format!("/proc/{}", process.id());
        let status = fs::read_to_string(format!("{proc}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        let files = fs::read_dir(format!("{proc}/fd")).unwrap().count();
        Self { resident: kilobytes * 1024.0, files: u32::try_from(files).unwrap().into() }
    }
}

fn mean(held: &[Held], what: impl Fn(&Held) -> f64) -> f64 {
    held.iter().map(what).sum::<f64>() / f64::from(u32::try_from(held.len()).unwrap())
}

/// What is asked and changed.
struct Soak {
    daemon: Hubdns,
    recording: Recording,
    unbound: Unbound,
    truths: Arc<Truths>,
    config: String,
}

// === impl Soak ===

impl Soak {
    fn start() -> Self {
        let (moving, unbound) = (Moving::start(), Unbound::start_with(ZONES, ""));
        let recording = Recording::new(&endpoints(0));
        // A cache that is full within the first third of a minute.
        let config = format!(
            "{}[forward]\nupstreams = [\"{}\"]\n\
             [[forward.zone]]\nname = \"moving.example\"\nupstreams = [\"{}\"]\n\
             [cache]\nentries = 1000\n",
            recording.source(),
            unbound.address(),
            moving.address(),
        );
        let daemon = Hubdns::start(&config);
        Self { daemon, recording, unbound, truths: Arc::new(Truths::new(moving)), config }
    }

    /// Has the daemon do what it is told, and waits until it is done.
    fn order(&self, order: &str) {
        let ran = self.daemon.command(order).output().unwrap();
        assert!(ran.status.success(), "{order}: {ran:?}");
    }

    fn change(&mut self, second: u64) {
        let version = u16::try_from(second).unwrap();
        self.truths.versions.begins(version);
        self.recording.write_addresses(&endpoints(version));
        self.order("refresh");
        self.truths.versions.is_in_force();
        if second.is_multiple_of(RELOADS) {
            self.reload(second.is_multiple_of(2 * RELOADS));
        }
    }

    /// With an alias, or without it.
    fn reload(&mut self, with_guest: bool) {
        let alias = "[[answers.alias]]\nname = \"guest.example\"\nservice = \"svc1\"\n";
        let config = self.config.clone() + if with_guest { alias } else { "" };
        self.truths.guest.begins(with_guest);
        self.daemon.write_config(&config);
        self.order("reload");
        self.truths.guest.is_in_force();
    }

    /// The upstream is silent every other time, and killed the others.
    fn flap(&mut self, second: u64) {
        let is_silent = (second / FLAPS).is_multiple_of(2);
        match second % FLAPS {
            0 => {
                self.truths.upstream.begins(false);
                match is_silent {
                    true => self.unbound.pause(),
                    false => self.unbound.stop(),
                }
            }
            AWAY => {
                match is_silent {
                    true => self.unbound.resume(),
                    false => self.unbound.become_knowing(ZONES, ""),
                }
                self.truths.upstream.begins(true);
                self.truths.upstream.is_in_force();
            }
            _ => (),
        }
    }
}

#[test]
fn answers_are_true_and_nothing_grows_whatever_changes_meanwhile() {
    let told = env::var_os("HUBDNS_SOAK_SECS").map(|told| told.into_string().unwrap());
    let secs = told.map_or(SECS, |told| told.parse().expect("HUBDNS_SOAK_SECS is a number"));
    assert!((SECS..=36_000).contains(&secs), "between {SECS} seconds and ten hours");
    let mut soak = Soak::start();
    let clients = Clients::start(soak.daemon.dns(), soak.truths.clone(), RATE);
    let (began, mut held) = (Instant::now(), Vec::new());
    for second in 1..=secs {
        let due = Duration::from_secs(second);
        thread::sleep(due.saturating_sub(began.elapsed()));
        if FLAPS <= second {
            soak.flap(second);
        }
        soak.change(second);
        if WARM_UP < second {
            held.push(Held::by(soak.daemon.process()));
        }
    }
    let figures = clients.end();
    tell(&soak, secs, &figures, &held);
    let questions = usize::try_from(u64::from(RATE) * secs / 2).unwrap();
    let Figures { sent, wrong, lost, .. } = figures;
    assert!(questions < sent, "{sent} questions alone");
    assert_eq!((wrong, lost), (0, 0), "of {sent}: {:?}", figures.examples);
    assert!(0 < figures.failed, "no question noticed that the upstream was away");
    let third = held.len() / 3;
    let (first, last) = (&held[..third], &held[2 * third..]);
    let (was, is) = (mean(first, |it| it.resident), mean(last, |it| it.resident));
    assert!(is <= was * GROWTH + GROWTH_OCTETS, "memory has grown from {was} to {is}");
    let (was, is) = (mean(first, |it| it.files), mean(last, |it| it.files));
    assert!(is <= was + MORE_FILES, "descriptors have grown from {was} to {is}");
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs the test with its output")]
fn tell(soak: &Soak, secs: u64, figures: &Figures, held: &[Held]) {
    let Figures { sent, wrong, failed, lost, overrun, worst, .. } = figures;
    let generation = soak.daemon.metric("hubdns_table_generation").unwrap();
    eprintln!(
        "measured: {secs} s, {generation} tables, {} answers checked, {wrong} wrong, {lost} lost, \
         {failed} SERVFAIL while the upstream was away, the longest wait {worst:.1?}; {overrun} not \
         read in time by the client",
        sent - lost
    );
    let (_, metrics) = soak.daemon.get("/metrics");
    for line in
        metrics.lines().filter(|it| it.starts_with("hubdns_dns_dropped") && !it.ends_with(" 0"))
    {
        eprintln!("measured: {line}");
    }
    let third = held.len() / 3;
    for (which, part) in [("first", &held[..third]), ("last", &held[2 * third..])] {
        let mebibytes = mean(part, |it| it.resident) / 1_048_576.0;
        let files = mean(part, |it| it.files);
        eprintln!("measured: {which} third: {mebibytes:.1} MiB, {files:.1} descriptors");
    }
}
