//! What a lookup in the answer table costs, and a decision, and compiling one, by the number of
//! names: `cargo bench --bench lookup`.
//!
//! Prints the nanoseconds of a hit, of a hit by wildcard and of a miss, and of the decision that a
//! hit is part of, each the median of several interleaved rounds, and how they compare with the
//! smallest table; then the milliseconds of a compilation. It judges nothing.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "it is what a bench is for")]

use std::{hint::black_box, sync::Arc, time::Instant};

use hubdns::{
    answer::{Asked, Vantage, decide},
    base::{Az, Name, Pattern, RecordType, Ttl},
    policy::{Address, Claim, Origin, Plan, PolicyConfig, ViewPlan},
    table::{AnswerTable, compile, compile_beside},
};

/// Names in a table: half exact, half wildcards.
const SIZES: [usize; 3] = [500, 5_000, 50_000];
/// Names of one endpoint, which have their addresses in common.
const NAMES_OF_ONE: usize = 25;
/// Lookups in one round; every table is asked for the same number of different names, so that a
/// large one does not lose by the processor's caches what it does not lose by its shape.
const ASKED: usize = 250;
const PASSES: usize = 400;
const ROUNDS: usize = 9;

/// The name of a number.
type Spell = fn(usize) -> String;
/// What is measured of a table.
type Measure = fn(&AnswerTable, &[Vec<u8>]) -> f64;

fn main() {
    let tables: Vec<AnswerTable> = SIZES.iter().map(|size| table(*size)).collect();
    let service: Spell = |at| format!("service{at}.eu-west-1.amazonaws.com");
    let kinds: [(&str, Spell, Measure); 4] = [
        ("hit", service, nanoseconds),
        ("wildcard", |at| format!("a.b.wild{at}.eu-west-1.amazonaws.com"), nanoseconds),
        ("miss", |at| format!("www{at}.example.com"), nanoseconds),
        ("decision", service, deciding),
    ];
    println!("{:<10}{:>9}{:>12}{:>9}", "lookup", "names", "ns", "ratio");
    for (kind, name, measure) in kinds {
        let asked: Vec<Vec<u8>> =
            (0..ASKED).map(|at| Name::parse(&name(at)).unwrap().as_wire().to_vec()).collect();
        let mut taken = vec![Vec::new(); tables.len()];
        for _ in 0..ROUNDS {
            for (table, taken) in tables.iter().zip(&mut taken) {
                taken.push(measure(table, &asked));
            }
        }
        let medians: Vec<f64> = taken.into_iter().map(median).collect();
        for (size, ns) in SIZES.iter().zip(&medians) {
            println!("{kind:<10}{size:>9}{ns:>12.1}{:>9.2}", ns / medians[0]);
        }
    }
    println!("\n{:<10}{:>9}{:>12}", "compile", "names", "ms");
    for size in SIZES {
        let (plan, config) = planned(size);
        let in_force = compile(plan.clone(), &config);
        println!("first     {size:>9}{:>12.2}", milliseconds(&plan, |plan| compile(plan, &config)));
        let beside = |plan| compile_beside(plan, &config, &in_force);
        println!("unchanged {size:>9}{:>12.2}", milliseconds(&plan, beside));
    }
}

/// Milliseconds that compiling takes.
fn milliseconds(plan: &Plan, compile: impl Fn(Plan) -> AnswerTable) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let plan = plan.clone();
        let started = Instant::now();
        let table = black_box(compile(black_box(plan)));
        let taken = started.elapsed();
        drop(table);
        taken.as_secs_f64() * 1e3
    });
    median(rounds.collect())
}

/// Nanoseconds that deciding on these names takes, as for any question.
fn deciding(table: &AnswerTable, asked: &[Vec<u8>]) -> f64 {
    let client = "10.1.2.3".parse().unwrap();
    let vantage = Vantage::new(client, "10.0.0.10:53".parse().unwrap());
    let started = Instant::now();
    for _ in 0..PASSES {
        for name_wire in asked {
            let rtype = RecordType::A;
            let asked = Asked { name_wire, rtype, class: 1, recursion_desired: true };
            black_box(decide(table, black_box(&asked), &vantage));
        }
    }
    started.elapsed().as_secs_f64() * 1e9 / (PASSES * asked.len()) as f64
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
    let (plan, config) = planned(names);
    compile(plan, &config)
}

fn planned(names: usize) -> (Plan, PolicyConfig) {
    let ttl = Ttl::from_secs(60).unwrap();
    let address = |(zone, net): (&str, u8), endpoint: usize| Address {
        az: Az { name: zone.into(), id: None },
        ip: (u32::from_be_bytes([10, net, 0, 0]) + u32::try_from(endpoint).unwrap())
            .to_be_bytes()
            .into(),
        eni: "eni-1".into(),
    };
    let zones = [("eu-west-1a", 1), ("eu-west-1b", 2), ("eu-west-1c", 3)];
    let endpoints: Vec<Arc<[Address]>> = (0..=names / NAMES_OF_ONE)
        .map(|endpoint| zones.iter().map(|zone| address(*zone, endpoint)).collect())
        .collect();
    let claim = |at: usize, pattern: String| Claim {
        pattern: Pattern::parse(&pattern).unwrap(),
        origin: Origin::Published,
        source: "hub".into(),
        endpoint: "vpce-1".into(),
        service: "com.amazonaws.eu-west-1.bench".into(),
        ttl,
        negative_ttl: ttl,
        addresses: Arc::clone(&endpoints[at / NAMES_OF_ONE]),
        caveats: Vec::new(),
    };
    let exact = (0..names / 2).map(|at| claim(at, format!("service{at}.eu-west-1.amazonaws.com")));
    let below = (0..names / 2).map(|at| claim(at, format!("*.wild{at}.eu-west-1.amazonaws.com")));
    let claims = exact.chain(below).collect();
    let plan = Plan {
        views: vec![ViewPlan {
            name: "default".into(),
            claims,
            cnames: Vec::new(),
            declined: Default::default(),
        }],
        zones: Vec::new(),
    };
    let config = PolicyConfig {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        ttl,
        negative_ttl: ttl,
        deny: Vec::new(),
        allow_rules: Vec::new(),
        overrides: false,
        aliases: Vec::new(),
        alias_sets: Vec::new(),
        views: Vec::new(),
        zones: Vec::new(),
        discover_zones: false,
    };
    (plan, config)
}
