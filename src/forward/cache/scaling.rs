//! The arithmetic of `docs/SCALING.md`, compared with what this cache does in simulated time.

use std::{fs, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Cache;
use crate::{
    base::RecordType,
    forward::{CacheConfig, key::Key},
    telemetry::Metrics,
    wire::{Question, Relay},
};

/// How far the arithmetic may be from a simulation of this length.
const APART_MAX: f64 = 0.03;

/// Names that are asked for, the first most often: the one in place n is worth 1/n of it.
struct Demand {
    /// Questions a second for each.
    rates: Vec<f64>,
}

impl Demand {
    fn new(names: u32, questions_per_second: f64) -> Self {
        let weights = || (1..=names).map(|place| 1.0 / f64::from(place));
        let all: f64 = weights().sum();
        Self { rates: weights().map(|weight| questions_per_second * weight / all).collect() }
    }

    /// Questions a second that go on to who knows, when an answer is kept for `ttl_secs`. A name
    /// goes once for its TTL and the time until somebody asks again.
    fn asked_on(&self, ttl_secs: f64) -> f64 {
        self.rates.iter().map(|rate| 1.0 / (ttl_secs + 1.0 / rate)).sum()
    }
}

/// Numbers from 0 to 1 that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }

    /// The wait for the next of so many a second that come by chance.
    fn wait(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64(-self.throw().max(1e-9).ln() / rate)
    }
}

fn question(at: usize) -> Question {
    Question {
        name: format!("{at}.example").parse().unwrap(),
        rtype: RecordType::A,
        dnssec_ok: false,
        checking_disabled: false,
    }
}

fn response(question: &Question, ttl_secs: u32) -> Arc<Relay> {
    let mut message = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    message.extend_from_slice(question.name.as_wire());
    message.extend([0, 1, 0, 1, 0xC0, 12, 0, 1, 0, 1]);
    message.extend(ttl_secs.to_be_bytes());
    message.extend([0, 4, 192, 0, 2, 1]);
    Arc::new(Relay::read(question, &message).unwrap())
}

/// What the real cache lets through, a second: all names are asked for as they are in `demand`, for
/// ten TTLs, of which the first two do not count.
fn simulated(demand: &Demand, ttl_secs: u32) -> f64 {
    let config = CacheConfig { entries: 1_000_000, bytes: 1 << 30, ..CacheConfig::NONE };
    let cache = Cache::new(&config, Arc::new(Metrics::new().unwrap()));
    let known: Vec<_> = (0..demand.rates.len())
        .map(|at| (Key::from(question(at)), response(&question(at), ttl_secs)))
        .collect();
    let all: f64 = demand.rates.iter().sum();
    let upto: Vec<f64> = demand
        .rates
        .iter()
        .scan(0.0, |sum, rate| {
            *sum += rate;
            Some(*sum)
        })
        .collect();
    let (start, ttl) = (Instant::now(), Duration::from_secs(ttl_secs.into()));
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut now, mut asked_on) = (Duration::ZERO, 0_u32);
    while now < 10 * ttl {
        now += dice.wait(all);
        let drawn = dice.throw() * all;
        let at = upto.partition_point(|sum| *sum < drawn).min(known.len() - 1);
        let (key, relay) = &known[at];
        if cache.fresh(&key.sought(), start + now).is_none() {
            cache.note(key, Ok(relay), start + now);
            asked_on += u32::from(2 * ttl <= now);
        }
    }
    f64::from(asked_on) / (8 * ttl).as_secs_f64()
}

#[test]
fn the_arithmetic_of_the_document_is_what_the_cache_does() {
    for (names, rate, ttl_secs) in [(1_000, 500.0, 60), (5_000, 1_000.0, 30), (200, 2.0, 60)] {
        let demand = Demand::new(names, rate);
        let (told, seen) = (demand.asked_on(f64::from(ttl_secs)), simulated(&demand, ttl_secs));
        eprintln!("{names} names, {rate} a second, {ttl_secs} s: {told:.1}, simulated {seen:.1}");
        // Few events are chance; three of its deviations.
        let chance = 3.0 * (told / f64::from(8 * ttl_secs)).sqrt();
        assert!((told - seen).abs() <= told * APART_MAX + chance, "{told} and {seen}");
    }
}

#[test]
fn the_rows_of_the_document_are_calculated_right() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SCALING.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## What goes on to upstreams").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut rows = 0;
    for line in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        if line.starts_with("|---") {
            continue;
        }
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().replace(',', ""));
        let numbers = cells.map(|cell| cell.trim_end_matches(" %").parse().unwrap());
        let cells: Vec<f64> = numbers.collect();
        let [rate, names, ttl_secs, asked_on, hits] = cells[..] else { panic!("{line}") };
        let names = names.to_string().parse().unwrap();
        let told = Demand::new(names, rate).asked_on(ttl_secs);
        assert_eq!(told.round(), asked_on, "{line}");
        assert_eq!((100.0 * (1.0 - told / rate)).round(), hits, "{line}");
        rows += 1;
    }
    assert!(6 <= rows);
}
