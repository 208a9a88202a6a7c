//! What hundreds of views cost: `cargo bench --no-default-features --bench views`.
//!
//! Prints the milliseconds to plan and to compile 200 views with 50 endpoints each, once with
//! endpoints of their own and once with the same ones, how much of it they share, and the
//! nanoseconds of a decision beside that of a hub with one view; then those to plan service networks
//! of so many resources with private names. It judges nothing.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "it is what a bench is for")]

use std::{hint::black_box, net::Ipv4Addr, sync::Arc, time::Instant};

use hubdns::{
    answer::{Asked, Vantage, decide},
    base::{Az, Name, RecordType, Ttl},
    inventory::{
        Association, Endpoint, EndpointState, Interface, Inventory, Service, SourceFacts,
        Verification,
    },
    policy::{PolicyConfig, ViewConfig, plan},
    table::{AnswerTable, compile, compile_beside},
};

const VIEWS: usize = 200;
const ENDPOINTS_OF_ONE: usize = 50;
const ROUNDS: usize = 5;
const PASSES: usize = 2_000;

fn main() {
    println!("{:<28}{:>9}{:>9}{:>12}{:>12}", "", "names", "plan ms", "compile ms", "again ms");
    let own = hub(VIEWS, VIEWS);
    let same = hub(VIEWS, 1);
    let one = hub(1, 1);
    let tables = [
        ("200 views, each its own 50", &own),
        ("200 views, all the same 50", &same),
        ("1 view, 50", &one),
    ]
    .map(|(what, hub)| (what, measured(what, hub)));
    println!("\n{:<28}{:>12}{:>9}", "decision", "ns", "ratio");
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, table), taken) in tables.iter().zip(&mut taken) {
            taken.push(deciding(table));
        }
    }
    let medians = taken.map(median);
    for ((what, _), ns) in tables.iter().zip(medians) {
        println!("{what:<28}{ns:>12.1}{:>9.2}", ns / medians[2]);
    }
    println!("\n{:<28}{:>9}", "a service network", "plan ms");
    for resources in [1_250, 2_500, 5_000] {
        let (inventory, config) = network(resources);
        let taken = (0..ROUNDS).map(|_| {
            let started = Instant::now();
            black_box(plan(&inventory, &config));
            started.elapsed().as_secs_f64() * 1e3
        });
        println!("{:<28}{:>9.1}", format!("of {resources} resources"), median(taken.collect()));
    }
}

/// The table, after what it takes is printed.
fn measured(what: &str, (inventory, config): &(Inventory, PolicyConfig)) -> AnswerTable {
    let milliseconds = |started: Instant| started.elapsed().as_secs_f64() * 1e3;
    let mut times = [const { Vec::new() }; 3];
    let mut table = None;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let planned = black_box(plan(inventory, config));
        times[0].push(milliseconds(started));
        let again = planned.clone();
        let started = Instant::now();
        let first = black_box(compile(planned, config));
        times[1].push(milliseconds(started));
        let started = Instant::now();
        black_box(compile_beside(again, config, &first));
        times[2].push(milliseconds(started));
        table = Some(first);
    }
    let table = table.unwrap();
    let [planned, compiled, again] = times.map(median);
    println!("{what:<28}{:>9}{planned:>9.1}{compiled:>12.1}{again:>12.1}", table.len());
    table
}

/// Nanoseconds of a decision, for clients of every view in turn.
fn deciding(table: &AnswerTable) -> f64 {
    let listener = "10.255.0.1:53".parse().unwrap();
    let views = table.views().count() - 1;
    let vantages: Vec<Vantage> =
        (0..VIEWS).map(|at| Vantage::new(client(at % views).into(), listener)).collect();
    let name = Name::parse("service7.eu-west-1.amazonaws.com").unwrap();
    let rtype = RecordType::A;
    let asked = Asked { name_wire: name.as_wire(), rtype, class: 1, recursion_desired: true };
    let started = Instant::now();
    for _ in 0..PASSES {
        for vantage in &vantages {
            black_box(decide(table, black_box(&asked), black_box(vantage)));
        }
    }
    started.elapsed().as_secs_f64() * 1e9 / (PASSES * vantages.len()) as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A client of the view of this number.
fn client(view: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + (u32::try_from(view).unwrap() << 12))
}

/// One view, of an endpoint for a service network with so many resources.
fn network(resources: usize) -> (Inventory, PolicyConfig) {
    let (inventory, config) = hub(1, 1);
    let mut facts = SourceFacts::clone(&inventory.sources[0]);
    let resource = |at: usize| Association {
        id: format!("vpce-rsc-asc-{at:017}").as_str().into(),
        accessibility: "Accessible".into(),
        dns_name: Some(format!("snra-{at}.rcfg-{at}.vpc-lattice-rsc.eu-west-1.on.aws")),
        private_name: Some(format!("db{at}.corp.example")),
        agreed: true,
    };
    facts.endpoints[0].kind = "ServiceNetwork".into();
    facts.endpoints[0].associations = Some((0..resources).map(resource).collect());
    (Inventory { sources: vec![Arc::new(facts)] }, config)
}

/// So many views, each of a /20, that select by a tag of so many values, with 50 endpoints a value.
fn hub(views: usize, tags: usize) -> (Inventory, PolicyConfig) {
    let ttl = Ttl::from_secs(60).unwrap();
    let view = |at: usize| ViewConfig {
        clients: vec![format!("{}/20", client(at)).parse().unwrap()],
        tags: [("spoke".to_owned(), (at % tags).to_string())].into(),
        ..ViewConfig::named(format!("view{at}").into())
    };
    let config = PolicyConfig {
        ttl,
        negative_ttl: ttl,
        ..PolicyConfig::bare(vec!["10.0.0.0/8".parse().unwrap()], (0..views).map(view).collect())
    };
    let service = |at: usize| Service {
        name: format!("com.amazonaws.eu-west-1.service{at}").into(),
        private_names: vec![
            format!("service{at}.eu-west-1.amazonaws.com"),
            format!("*.below{at}.eu-west-1.amazonaws.com"),
        ],
        verification: Verification::Verified,
        owner: Some("amazon".to_owned()),
    };
    let (mut endpoints, mut interfaces) = (Vec::new(), Vec::new());
    for at in 0..tags * ENDPOINTS_OF_ONE {
        let (tag, number) = (at / ENDPOINTS_OF_ONE, at % ENDPOINTS_OF_ONE);
        let enis = [("a", 1), ("b", 2), ("c", 3)].map(|(zone, last)| Interface {
            id: format!("eni-{at}{zone}").into(),
            az: Az { name: format!("eu-west-1{zone}").into(), id: None },
            ipv4: vec![Ipv4Addr::from_bits(0x0B00_0000 + 4 * u32::try_from(at).unwrap() + last)],
            ipv6: vec![],
        });
        endpoints.push(Endpoint {
            id: format!("vpce-{at:017}").into(),
            kind: "Interface".into(),
            state: EndpointState::Available,
            service: format!("com.amazonaws.eu-west-1.service{number}").into(),
            service_region: None,
            vpc: "vpc-1".into(),
            owner: None,
            associations: None,
            ip_type: "ipv4".into(),
            record_ip_type: "ipv4".into(),
            onprem_only: false,
            created: None,
            tags: [("spoke".to_owned(), tag.to_string())].into(),
            dns_entries: ["", "-eu-west-1a", "-eu-west-1b", "-eu-west-1c"]
                .map(|zone| format!("vpce-{at:017}-x{zone}.s{number}.vpce.amazonaws.com"))
                .to_vec(),
            interfaces: enis.iter().map(|eni| eni.id.clone()).collect(),
        });
        interfaces.extend(enis);
    }
    let services = (0..ENDPOINTS_OF_ONE).map(service).collect();
    let facts = SourceFacts::new("hub".into(), None, endpoints, services, interfaces);
    (Inventory { sources: vec![Arc::new(facts)] }, config)
}
