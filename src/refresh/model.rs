//! The control loop held against a naive statement of its rules, over random histories: sources that
//! change, shrink, vanish and fail, addresses and zones that go and come, restarts, and a person who
//! accepts, and changes what a source is.
//!
//! The rules, as the model has them: what a source told last and was believed stays until it tells
//! something else that is believed. That is believed when it takes no more than the guard's percent of
//! the source's names, and of any view's, or when it is told the third time in a row, or when a person
//! accepts it, or when that person has just changed what the source finds; a table without names is
//! believed only from a person. What lists lack that came late is as it was, and so is an endpoint that
//! somebody changes, also where a person has changed what the source finds. The first table waits until
//! every source has told something, or is late and others have names; what is on disk lacks no source
//! that has yet to tell. A name has the addresses of the first source that tells of it: those that are
//! up and in no drained zone, else those that are up, else those in no drained zone, else all.

mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    ops::Range,
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::{runtime, sync::watch};
use tokio_util::sync::CancellationToken;

use self::rules::Model;
use super::{Inputs, RefreshConfig, Refresher, scout::Found};
use crate::{
    discover::{DiscoverError, SourceConfig, SourceKind},
    health::{HealthConfig, Unhealthy},
    inventory::SourceFacts,
    policy::{PolicyConfig, ViewConfig, facts},
    table::{self, Reader},
    telemetry::Metrics,
};

/// Two that tell of the same names, and a small one with names of its own.
const SOURCES: [&str; 3] = ["one", "two", "small"];
const ZONES: [&str; 2] = ["a", "b"];
/// Of the first two sources; those of the small one follow.
const NAMES: u8 = 8;
const NAMES_OF_SMALL: u8 = 4;
/// Names from this one on are in a second view, too.
const FEW: u8 = 6;
const PERCENT: usize = 30;

/// What is known of a source: numbers of names.
type Facts = BTreeMap<u8, OfName>;
/// Names of a view with their addresses.
type Answers = BTreeMap<(&'static str, String), BTreeSet<IpAddr>>;
/// Something of each source.
type OfEach<T> = [T; SOURCES.len()];

/// What is known of the endpoint that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OfName {
    /// Which of two sets of addresses it has; none where nobody has told of its interfaces.
    variant: Option<u8>,
    /// Whether they lead anywhere: it is not pending, or was not before somebody changed it.
    serves: bool,
}

/// What a source tells.
#[derive(Clone, Debug)]
struct Told {
    names: Vec<u8>,
    variant: u8,
    /// Whether the list of interfaces lacks them.
    late: bool,
    /// Whether all of them are pending.
    pending: bool,
}

#[derive(Clone, Debug)]
enum Event {
    Tell {
        source: usize,
        told: Told,
        accepted: bool,
    },
    /// What it told last, once more.
    Repeat {
        source: usize,
    },
    Fail {
        source: usize,
    },
    /// Its configuration changes: what it finds, or how it is asked alone.
    Change {
        source: usize,
        finds: bool,
    },
    /// These are down, and no others.
    Down(Vec<(u8, usize)>),
    Drain {
        zone: usize,
        drained: bool,
    },
    /// Sources that have told nothing are waited for no longer.
    Late,
    Restart,
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

fn source_facts(source: usize, told: &Told) -> SourceFacts {
    let of = SOURCES[source];
    let lines = told.names.iter().map(|name| {
        let [a, b] = [0, 1].map(|zone| address(source, *name, zone, told.variant));
        let vpc = if *name < FEW { "vpc-1" } else { "vpc-few" };
        let state = if told.pending { "pending" } else { "available" };
        format!(
            "vpce-{source}{name} s.{name} a={a} b={b} names=n{name}.example source={of} vpc={vpc} \
             state={state}\n"
        )
    });
    let inventory = facts::inventory(&lines.collect::<String>());
    let nothing = SourceFacts::new(of.into(), None, vec![], vec![], vec![]);
    let mut facts = inventory.sources.first().map_or(nothing, |facts| SourceFacts::clone(facts));
    if told.late {
        facts.interfaces.clear();
    }
    facts
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
        let few =
            ViewConfig { vpc_ids: vec!["vpc-few".into()], ..facts::view("few", "10.9.0.0/16") };
        let inputs = Inputs {
            sources: SOURCES.iter().map(source).collect(),
            policy: Arc::new(PolicyConfig { views: vec![few], ..facts::config() }),
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

    /// What a reload does with a source that it changes.
    fn change(&mut self, source: usize, finds: bool, at: usize) {
        let before = self.refresher.inputs.sources.clone();
        let config = &mut self.refresher.inputs.sources[source];
        match finds {
            true => config.tags = [("event".to_owned(), at.to_string())].into(),
            false => config.interval = Some(Duration::from_secs(60 + u64::try_from(at).unwrap())),
        }
        self.refresher.known.renew(&before, &self.refresher.inputs.sources);
    }

    fn answers(&self) -> Answers {
        let published = self.reader.load();
        let ips = |entry: &table::Entry| {
            entry.claim().addresses.iter().map(|it| it.ip).collect::<BTreeSet<_>>()
        };
        let of = |view| {
            let entries = published.table().view(view).map_or(&[][..], |view| view.entries());
            entries.iter().map(move |it| ((view, it.claim().pattern.to_string()), ips(it)))
        };
        ["few", PolicyConfig::REST_VIEW].into_iter().flat_map(of).collect()
    }
}

async fn follows_the_rules(history: Vec<Event>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, mut real) = (Model::default(), Real::start(folder.path()).await);
    let mut last: OfEach<Option<Told>> = Default::default();
    for (at, event) in history.iter().enumerate() {
        match event {
            Event::Tell { source, told, accepted } => {
                last[*source] = Some(told.clone());
                model.tell(*source, told, *accepted);
                real.round(*source, Ok(source_facts(*source, told)), *accepted).await;
            }
            Event::Repeat { source } => {
                if let Some(told) = last[*source].clone() {
                    model.tell(*source, &told, false);
                    real.round(*source, Ok(source_facts(*source, &told)), false).await;
                }
            }
            Event::Fail { source } => {
                model.fail(*source);
                real.round(*source, Err(DiscoverError::NoRegion), true).await;
            }
            Event::Change { source, finds } => {
                model.redefined[*source] |= finds;
                real.change(*source, *finds, at);
            }
            Event::Down(down) => {
                let both = |&(name, zone): &(u8, usize)| {
                    let of = move |source| [0, 1].map(|it| address(source, name, zone, it));
                    [of(0), of(1), of(2)].concat()
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
            Event::Late => {
                model.late();
                real.refresher.begin_without_the_late().await;
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
    let every: Vec<(u8, usize)> =
        (0..NAMES + NAMES_OF_SMALL).flat_map(|name| [(name, 0), (name, 1)]).collect();
    let source = 0..SOURCES.len();
    let names = |all: Range<u8>| {
        let (all, most) = (all.clone().collect::<Vec<u8>>(), all.len() * 5 / 8);
        let most = prop::sample::subsequence(all.clone(), most..=all.len());
        let some = prop::sample::subsequence(all.clone(), 0..=all.len());
        prop_oneof![3 => most, 1 => some, 1 => Just(vec![])]
    };
    let told = prop_oneof![
        2 => (0..2usize, names(0..NAMES)),
        1 => (Just(2usize), names(NAMES..NAMES + NAMES_OF_SMALL)),
    ];
    let seldom = prop::bool::weighted(0.1);
    let often = || prop::bool::weighted(0.2);
    let tell = (told, 0..2u8, often(), often(), seldom);
    let tell = tell.prop_map(|((source, names), variant, late, pending, accepted)| Event::Tell {
        source,
        told: Told { names, variant, late, pending },
        accepted,
    });
    let change = (source.clone(), any::<bool>());
    let down = prop::sample::subsequence(every, 0..=24);
    prop_oneof![
        6 => tell,
        6 => source.clone().prop_map(|source| Event::Repeat { source }),
        2 => source.prop_map(|source| Event::Fail { source }),
        1 => change.prop_map(|(source, finds)| Event::Change { source, finds }),
        2 => down.prop_map(Event::Down),
        1 => (0..2usize, any::<bool>()).prop_map(|(zone, drained)| Event::Drain { zone, drained }),
        1 => Just(Event::Late),
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
