//! Answers for commands that run beside or without a daemon: the sources asked once.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::start::host_lookup;
use crate::{
    base::{Az, Chain, Rcode, SourceName},
    config::{Config, Problem},
    discover::{
        CallPace, DiscoverError, Drains, HostLookup, Lack, Source, SourceConfig, SourceKind,
        drains_path, read_drains, read_state,
    },
    forward::{ForwardConfig, ForwardError, Forwarder, Trust, UpstreamAddress},
    inventory::{Inventory, SourceFacts},
    policy,
    table::{AnswerTable, compile},
    telemetry::Metrics,
};

/// For an upstream to accept a TCP connection: as long as the forwarder gives it.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What one source told when it was asked once.
pub struct Asked {
    /// Its name.
    pub source: SourceName,
    /// Its facts, or why there are none.
    pub facts: Result<Arc<SourceFacts>, DiscoverError>,
    /// What it went without, which is no failure.
    pub lacks: Vec<Lack>,
}

/// Why there is nothing to answer from.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// No source told anything, and there is no last good inventory.
    #[error("no source could be asked and there is no state file: {0}")]
    Nothing(String),
}

/// Why recordings that are there could not be taken. A folder that is not there yet is no problem, but
/// a warning of the file's own.
pub async fn unread_recordings(config: &Config) -> Vec<Problem> {
    let is_there = |source: &&SourceConfig| matches!(&source.kind, SourceKind::Files { path } if path.is_dir());
    let recordings = config.sources.iter().filter(is_there);
    let asked = ask(recordings, &host_lookup(config)).await;
    let problem = |Asked { source, facts, .. }: Asked| {
        let what = Chain(&facts.err()?).to_string();
        let why = "a look would take nothing of this folder";
        let help = "`hubdns discover --save DIR` writes all of its files; until they can be taken a \
                    start has what the state file holds, if there is one";
        Some(config.places.recording_problem(source.as_str(), &what, why, help))
    };
    asked.into_iter().filter_map(problem).collect()
}

/// Asks every source of the configuration once.
pub async fn ask_sources(config: &Config, lookup: &HostLookup) -> Vec<Asked> {
    ask(config.sources.iter(), lookup).await
}

async fn ask(sources: impl Iterator<Item = &SourceConfig>, lookup: &HostLookup) -> Vec<Asked> {
    let pace = CallPace::new();
    let asks = sources.map(|source| {
        let mut source = Source::new(source.clone(), lookup.clone(), pace.clone());
        async move {
            let facts = source.fetch(true).await.map(Arc::new);
            Asked { source: source.name().clone(), facts, lacks: source.lacks() }
        }
    });
    futures_util::future::join_all(asks).await
}

/// The table that this configuration leads to now, and what should be known of it: sources that
/// could not be asked are taken from the state file where it has them.
pub async fn offline_table(
    config: &Config,
    lookup: &HostLookup,
) -> Result<(AnswerTable, Vec<String>), OfflineError> {
    table_asked(config, &ask_sources(config, lookup).await).await
}

/// The same of what the sources told already.
pub async fn table_asked(
    config: &Config,
    asked: &[Asked],
) -> Result<(AnswerTable, Vec<String>), OfflineError> {
    let (inventory, mut notes) = inventory_asked(config, asked).await?;
    let drained = drained(config, &mut notes).await;
    let is_drained = |az: &Az| drained.keys().any(|zone| az.is_called(zone));
    Ok((table_of(&inventory, config, &|_| false, &is_drained), notes))
}

/// What the sources tell now, in the order of the configuration, and the same of what is amiss.
pub async fn offline_inventory(
    config: &Config,
    lookup: &HostLookup,
) -> Result<(Inventory, Vec<String>), OfflineError> {
    inventory_asked(config, &ask_sources(config, lookup).await).await
}

/// The same, where to know nothing is no error.
pub async fn known_inventory(config: &Config, lookup: &HostLookup) -> (Inventory, Vec<String>) {
    known(config, &ask_sources(config, lookup).await).await
}

/// The same of what they told already.
async fn inventory_asked(
    config: &Config,
    asked: &[Asked],
) -> Result<(Inventory, Vec<String>), OfflineError> {
    let (inventory, notes) = known(config, asked).await;
    match inventory.sources.is_empty() {
        true => Err(OfflineError::Nothing(notes.join("; "))),
        false => Ok((inventory, notes)),
    }
}

async fn known(config: &Config, asked: &[Asked]) -> (Inventory, Vec<String>) {
    let mut notes = Vec::new();
    let last_good = match &config.refresh.state_file {
        Some(path) if asked.iter().any(|it| it.facts.is_err()) => {
            let read = read_state(path).await.unwrap_or_else(|error| {
                notes.push(format!("{}; no last good facts are known", Chain(&error)));
                None
            });
            read.map(|state| state.inventory).unwrap_or_default()
        }
        Some(_) | None => Inventory::default(),
    };
    let mut inventory = Inventory::default();
    for Asked { source, facts, .. } in asked {
        match facts {
            Ok(facts) => inventory.sources.push(Arc::clone(facts)),
            Err(error) => {
                let kept = last_good.sources.iter().find(|facts| facts.source == *source);
                let instead =
                    if kept.is_some() { "its last good facts are used" } else { "left out" };
                notes.push(format!("source {source}: {}; {instead}", Chain(error)));
                inventory.sources.extend(kept.cloned());
            }
        }
    }
    (inventory, notes)
}

/// The table of an inventory under a configuration, without the addresses that are down and those of
/// drained zones.
pub fn table_of(
    inventory: &Inventory,
    config: &Config,
    down: &dyn Fn(&IpAddr) -> bool,
    drained: &dyn Fn(&Az) -> bool,
) -> AnswerTable {
    let plan = policy::plan(inventory, &config.policy);
    compile(policy::without(plan, down, drained), &config.policy)
}

/// The zones that a person has drained, as the file has them for the next start.
async fn drained(config: &Config, notes: &mut Vec<String>) -> Drains {
    let Some(state_file) = &config.refresh.state_file else { return Drains::new() };
    read_drains(&drains_path(state_file)).await.unwrap_or_else(|error| {
        notes.push(format!("drained zones: {}; none is taken for drained", Chain(&error)));
        Drains::new()
    })
}

/// Whether an upstream takes TCP connections, by which long answers go.
pub async fn accepts_tcp(upstream: SocketAddr) -> io::Result<()> {
    let connected = timeout(CONNECT_WITHIN, TcpStream::connect(upstream)).await;
    connected.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))??;
    Ok(())
}

/// Asks every upstream of the configuration one question, each by itself.
pub async fn ask_upstreams(config: &Config) -> Vec<(UpstreamAddress, Result<Rcode, ForwardError>)> {
    let upstreams: BTreeSet<&UpstreamAddress> = config.forward.all_upstreams().collect();
    let Ok(metrics) = Metrics::new().map(Arc::new) else { return Vec::new() };
    // Why nobody is believed `try_places` tells.
    let trust = Trust::read(config.forward.all_upstreams(), config.forward.ca_file.as_deref());
    let trust = trust.unwrap_or_default();
    let asks = upstreams.into_iter().map(|upstream| {
        let alone = ForwardConfig {
            upstreams: vec![upstream.clone()],
            zones: Vec::new(),
            views: Vec::new(),
            ..config.forward.clone()
        };
        let forwarder = Forwarder::new(alone, trust.clone(), Arc::clone(&metrics));
        async move { (upstream.clone(), forwarder.probe().await) }
    });
    futures_util::future::join_all(asks).await
}
