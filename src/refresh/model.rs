//! The control loop held against a naive statement of its rules, over random histories: sources that
//! change, shrink, vanish and fail, addresses and zones that go and come, restarts, and a person who
//! accepts.
//!
//! The rules, as the model has them: what a source told last and was believed stays until it tells
//! something else that is believed. That is believed when it takes no more of the names than the
//! guard's percent, or when it is told the third time in a row, or when a person accepts it; a table
//! without names is believed only from a person. A name has the addresses of the first source that
//! tells of it: those that are up and in no drained zone, else those that are up, else those in no
//! drained zone, else all.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::{runtime, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{Inputs, RefreshConfig, Refresher, scout::Found};
use crate::{
    discover::{DiscoverError, SourceConfig, SourceKind},
    health::{HealthConfig, Unhealthy},
    inventory::SourceFacts,
    policy::facts,
    table::{self, Reader},
    telemetry::Metrics,
};

const SOURCES: [&str; 2] = ["one", "two"];
const ZONES: [&str; 2] = ["a", "b"];
const NAMES: u8 = 8;
const PERCENT: usize = 30;

/// What a source tells: numbers of names, and which of two sets of addresses they have.
type Facts = (Vec<u8>, u8);
/// Names with their addresses.
type Answers = BTreeMap<String, BTreeSet<IpAddr>>;

#[derive(Clone, Debug)]
enum Event {
    Tell {
        source: usize,
        facts: Facts,
        accepted: bool,
    },
    /// What it told last, once more.
    Repeat {
        source: usize,
    },
    Fail {
        source: usize,
    },
    /// These are down, and no others.
    Down(Vec<(u8, usize)>),
    Drain {
        zone: usize,
        drained: bool,
    },
    Restart,
}

/// The rules, said as simply as they can be.
#[derive(Default)]
struct Model {
    believed: [Option<Facts>; 2],
    held: [Option<(Facts, u8)>; 2],
    reported: [bool; 2],
    on_disk: [Option<Facts>; 2],
    in_force: bool,
    down: BTreeSet<IpAddr>,
    drained: BTreeSet<usize>,
}

/// The loop itself, and what was told it last.
struct Real {
    refresher: Refresher,
    reader: Reader,
}

fn address(source: usize, name: u8, zone: usize, variant: u8) -> IpAddr {
    let [source, zone] = [source, zone].map(|number| u8::try_from(number).unwrap());
    IpAddr::from([10, source + 1, zone * 10 + variant, name + 1])
}

fn source_facts(source: usize, (names, variant): &Facts) -> SourceFacts {
    let of = SOURCES[source];
    let lines = names.iter().map(|name| {
        let [a, b] = [0, 1].map(|zone| address(source, *name, zone, *variant));
        format!("vpce-{source}{name} s.{name} a={a} b={b} names=n{name}.example source={of}\n")
    });
    let inventory = facts::inventory(&lines.collect::<String>());
    let nothing = SourceFacts::new(of.into(), None, vec![], vec![], vec![]);
    inventory.sources.first().map_or(nothing, |facts| SourceFacts::clone(facts))
}

// === impl Model ===

impl Model {
    fn names(believed: &[Option<Facts>; 2]) -> BTreeSet<u8> {
        believed.iter().flatten().flat_map(|(names, _)| names.iter().copied()).collect()
    }

    fn tell(&mut self, source: usize, facts: &Facts, accepted: bool) {
        self.reported[source] = true;
        let mut believed = self.believed.clone();
        believed[source] = Some(facts.clone());
        let (now, then) = (Self::names(&self.believed), Self::names(&believed));
        let lost = now.difference(&then).count();
        let known = self.believed[source].as_ref() == Some(facts);
        let vanishes = then.is_empty() && !now.is_empty();
        let seen = match &self.held[source] {
            Some((held, seen)) if held == facts => seen + 1,
            _ => 1,
        };
        let small = lost * 100 <= PERCENT * now.len();
        if !self.in_force || known || accepted || (!vanishes && (small || 3 <= seen)) {
            self.believed = believed;
            self.held[source] = None;
        } else {
            self.held[source] = (!vanishes).then(|| (facts.clone(), seen));
        }
        self.begin();
        if self.in_force {
            self.on_disk = self.believed.clone();
        }
    }

    fn fail(&mut self, source: usize) {
        self.reported[source] = true;
        let before = self.in_force;
        self.begin();
        if !before && self.in_force {
            self.on_disk = self.believed.clone();
        }
    }

    /// The first table waits until every source has told something.
    fn begin(&mut self) {
        let any = self.believed.iter().any(Option::is_some);
        self.in_force |= any && self.reported == [true; 2];
    }

    fn restart(&mut self) {
        self.believed = self.on_disk.clone();
        self.in_force = self.believed.iter().any(Option::is_some);
        self.held = [None, None];
        self.reported = [false; 2];
        self.down.clear();
    }

    fn answers(&self) -> Answers {
        let mut answers = Answers::new();
        if !self.in_force {
            return answers;
        }
        for name in Self::names(&self.believed) {
            let tells = |source: &usize| {
                self.believed[*source].as_ref().is_some_and(|(names, _)| names.contains(&name))
            };
            let source = (0..2).find(tells).unwrap();
            let variant = self.believed[source].as_ref().unwrap().1;
            let all = [0, 1].map(|zone| (zone, address(source, name, zone, variant)));
            let up = |(_, ip): &(usize, IpAddr)| !self.down.contains(ip);
            let open = |(zone, _): &(usize, IpAddr)| !self.drained.contains(zone);
            let choices: [Vec<_>; 4] = [
                all.into_iter().filter(|it| up(it) && open(it)).collect(),
                all.into_iter().filter(up).collect(),
                all.into_iter().filter(open).collect(),
                all.to_vec(),
            ];
            let given = choices.into_iter().find(|choice| !choice.is_empty()).unwrap();
            let name = format!("n{name}.example");
            answers.insert(name, given.into_iter().map(|(_, ip)| ip).collect());
        }
        answers
    }
}

// === impl Real ===

impl Real {
    async fn start(folder: &Path) -> Real {
        let source = |name: &&str| SourceConfig {
            name: (*name).into(),
            kind: SourceKind::Files { path: folder.to_owned() },
            vpc_ids: vec![],
            tags: BTreeMap::new(),
            subnets: false,
            interval: None,
        };
        let inputs = Inputs {
            sources: SOURCES.iter().map(source).collect(),
            policy: Arc::new(facts::config()),
            refresh: RefreshConfig {
                interval: Duration::from_secs(30),
                services_interval: Duration::from_secs(3_600),
                state_file: Some(folder.join("inventory.json")),
                shrink_guard_percent: u8::try_from(PERCENT).unwrap(),
            },
            health: HealthConfig { tcp_port: None, interval: Duration::from_secs(5) },
            lookup: Arc::new(|host| async move { Err(io::Error::other(host)) }.boxed()),
        };
        let (publisher, reader) = table::channel();
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut refresher = Refresher::new(inputs, publisher, metrics, || 1_700_000_000);
        refresher.restore().await;
        Real { refresher, reader }
    }

    async fn round(
        &mut self,
        source: usize,
        facts: Result<SourceFacts, DiscoverError>,
        accept: bool,
    ) {
        let name = SOURCES[source];
        let rounds = self.refresher.awaited.add(1, accept, vec![name.into()]);
        let found = Found {
            source: name.into(),
            facts,
            lacks: vec![],
            took: Duration::ZERO,
            ticket: 1,
            token: CancellationToken::new(),
        };
        self.refresher.round(found).await;
        drop(rounds);
    }

    fn answers(&self) -> Answers {
        let published = self.reader.load();
        let views: Vec<_> = published.table().views().collect();
        let entries = views.iter().flat_map(|view| view.entries());
        let ips = |entry: &table::Entry| {
            entry.claim().addresses.iter().map(|it| it.ip).collect::<BTreeSet<_>>()
        };
        let answers = entries.map(|entry| (entry.claim().pattern.to_string(), ips(entry)));
        answers.collect()
    }
}

async fn follows_the_rules(history: Vec<Event>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, mut real) = (Model::default(), Real::start(folder.path()).await);
    let mut last: [Option<Facts>; 2] = [None, None];
    for (at, event) in history.iter().enumerate() {
        match event {
            Event::Tell { source, facts, accepted } => {
                last[*source] = Some(facts.clone());
                model.tell(*source, facts, *accepted);
                real.round(*source, Ok(source_facts(*source, facts)), *accepted).await;
            }
            Event::Repeat { source } => {
                if let Some(facts) = last[*source].clone() {
                    model.tell(*source, &facts, false);
                    real.round(*source, Ok(source_facts(*source, &facts)), false).await;
                }
            }
            Event::Fail { source } => {
                model.fail(*source);
                real.round(*source, Err(DiscoverError::NoRegion), true).await;
            }
            Event::Down(down) => {
                let both = |&(name, zone): &(u8, usize)| {
                    let of = move |source| [0, 1].map(|it| address(source, name, zone, it));
                    [of(0), of(1)].concat()
                };
                model.down = down.iter().flat_map(both).collect();
                let unhealthy: Unhealthy = model.down.iter().copied().collect();
                real.refresher.unhealthy = watch::channel(unhealthy).1;
                real.refresher.follow_health().await;
            }
            Event::Drain { zone, drained } => {
                // A zone that nothing is known of cannot be drained.
                if real.refresher.drain(ZONES[*zone], *drained).await.is_ok() {
                    match drained {
                        true => model.drained.insert(*zone),
                        false => model.drained.remove(zone),
                    };
                }
            }
            Event::Restart => {
                model.restart();
                real.refresher.state.close().await;
                real = Real::start(folder.path()).await;
            }
        }
        let in_force = real.reader.load().in_force();
        prop_assert_eq!(in_force, model.in_force, "after event {} of {:?}", at, history);
        prop_assert_eq!(real.answers(), model.answers(), "after event {} of {:?}", at, history);
    }
    Ok(())
}

fn any_event() -> impl Strategy<Value = Event> {
    let all: Vec<u8> = (0..NAMES).collect();
    let every: Vec<(u8, usize)> = all.iter().flat_map(|name| [(*name, 0), (*name, 1)]).collect();
    let source = 0..SOURCES.len();
    let most = prop::sample::subsequence(all.clone(), 5..=8);
    let some = prop::sample::subsequence(all, 0..=8);
    let names = prop_oneof![3 => most, 1 => some, 1 => Just(vec![])];
    let tell = (source.clone(), names, 0..2u8, prop::bool::weighted(0.1));
    let tell = tell.prop_map(|(source, names, variant, accepted)| Event::Tell {
        source,
        // Without names nothing tells one set of addresses from the other.
        facts: if names.is_empty() { (names, 0) } else { (names, variant) },
        accepted,
    });
    let down = prop::sample::subsequence(every, 0..=16);
    prop_oneof![
        6 => tell,
        6 => source.clone().prop_map(|source| Event::Repeat { source }),
        2 => source.prop_map(|source| Event::Fail { source }),
        2 => down.prop_map(Event::Down),
        1 => (0..2usize, any::<bool>()).prop_map(|(zone, drained)| Event::Drain { zone, drained }),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #[test]
    fn no_history_removes_an_answer_that_the_rules_keep(
        history in prop::collection::vec(any_event(), 1..40),
    ) {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follows_the_rules(history))?;
    }
}
