//! What a lookup in the answer table costs, by the number of names: `cargo bench --bench lookup`.
//!
//! Prints the nanoseconds of a hit, of a hit by wildcard and of a miss, each the median of several
//! interleaved rounds, and how they compare with the smallest table. It judges nothing.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "it is what a bench is for")]

use std::{hint::black_box, sync::Arc, time::Instant};

use hubdns::{
    base::{Az, Name, Pattern, Ttl},
    policy::{Address, Claim, Origin, Plan, PolicyConfig, ViewPlan},
    table::{AnswerTable, compile},
};

/// Names in a table: half exact, half wildcards.
const SIZES: [usize; 3] = [500, 5_000, 50_000];
/// Lookups in one round; every table is asked for the same number of different names, so that a
/// large one does not lose by the processor's caches what it does not lose by its shape.
const ASKED: usize = 250;
const PASSES: usize = 400;
const ROUNDS: usize = 9;

/// The name of a number.
type Spell = fn(usize) -> String;

fn main() {
    let tables: Vec<AnswerTable> = SIZES.iter().map(|size| table(*size)).collect();
    let kinds: [(&str, Spell); 3] = [
        ("hit", |at| format!("service{at}.eu-west-1.amazonaws.com")),
        ("wildcard", |at| format!("a.b.wild{at}.eu-west-1.amazonaws.com")),
        ("miss", |at| format!("www{at}.example.com")),
    ];
    println!("{:<10}{:>9}{:>12}{:>9}", "lookup", "names", "ns", "ratio");
    for (kind, name) in kinds {
        let asked: Vec<Vec<u8>> =
            (0..ASKED).map(|at| Name::parse(&name(at)).unwrap().as_wire().to_vec()).collect();
        let mut taken = vec![Vec::new(); tables.len()];
        for _ in 0..ROUNDS {
            for (table, taken) in tables.iter().zip(&mut taken) {
                taken.push(nanoseconds(table, &asked));
            }
        }
        let medians: Vec<f64> = taken.into_iter().map(median).collect();
        for (size, ns) in SIZES.iter().zip(&medians) {
            println!("{kind:<10}{size:>9}{ns:>12.1}{:>9.2}", ns / medians[0]);
        }
    }
}

/// Nanoseconds a lookup of these names takes in the last view.
fn nanoseconds(table: &AnswerTable, asked: &[Vec<u8>]) -> f64 {
    let view = table.views().last().unwrap();
    let started = Instant::now();
    for _ in 0..PASSES {
        for name in asked {
            black_box(view.find(black_box(name)));
        }
    }
    started.elapsed().as_secs_f64() * 1e9 / (PASSES * asked.len()) as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(names: usize) -> AnswerTable {
    let ttl = Ttl::from_secs(60).unwrap();
    let claim = |pattern: String| Claim {
        pattern: Pattern::parse(&pattern).unwrap(),
        origin: Origin::Published,
        source: "hub".into(),
        endpoint: "vpce-1".into(),
        service: "com.amazonaws.eu-west-1.bench".into(),
        ttl,
        negative_ttl: ttl,
        addresses: Arc::from([Address {
            az: Az { name: "eu-west-1a".into(), id: None },
            ip: [10, 0, 0, 1].into(),
            eni: "eni-1".into(),
        }]),
        caveats: Vec::new(),
    };
    let exact = (0..names / 2).map(|at| claim(format!("service{at}.eu-west-1.amazonaws.com")));
    let below = (0..names / 2).map(|at| claim(format!("*.wild{at}.eu-west-1.amazonaws.com")));
    let claims = exact.chain(below).collect();
    let plan =
        Plan { views: vec![ViewPlan { name: "default".into(), claims, declined: Vec::new() }] };
    let config = PolicyConfig {
        allow: Vec::new(),
        ttl,
        negative_ttl: ttl,
        deny: Vec::new(),
        aliases: Vec::new(),
        views: Vec::new(),
        zones: Vec::new(),
    };
    compile(&plan, &config)
}
