//! Whether all is well, in a word and in as many lines as there are reasons.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use maud::{Markup, html};

use super::parts::{Shape, count, fact, grouped};
use crate::{
    admin::json::StatusDocument,
    base::{RecordType, age},
    policy::Caveat,
    table::Published,
};

/// Endpoints, or addresses, told in one reason; the list of names has all.
const TOLD_MAX: usize = 5;

/// What a person should know before all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    level: Level,
    reasons: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Ready,
    /// Ready, and something is wrong.
    Doubtful,
    NotReady,
}

// === impl Verdict ===

impl Verdict {
    pub(super) fn of(status: &StatusDocument, silence: Silence<'_>) -> Self {
        let mut doubts = Vec::new();
        doubts.extend(status.sources.iter().filter_map(|source| {
            let error = source.error.as_deref()?;
            // No age: who listens to the page is told of a reason once.
            let facts = match source.age_secs {
                Some(_) => "its last facts stay in force",
                None => "it has told nothing yet, so its names are not answered",
            };
            Some(format!("Discovery fails: source {}: {error}; {facts}", source.name))
        }));
        let stale = status.sources.iter().filter(|it| it.error.is_none() && it.from_state_file);
        doubts.extend(stale.map(|source| {
            format!("Source {} has not been heard yet; its facts are of the last run", source.name)
        }));
        // Before the first table all are waited for.
        let late = status.sources.iter().filter(|it| it.error.is_none() && it.age_secs.is_none());
        doubts.extend(late.filter(|_| status.generation != 0).map(|source| {
            format!("Source {} has told nothing yet, so its names are not answered", source.name)
        }));
        let held_back = status.sources.iter().filter_map(|it| it.held_back.as_ref().zip(Some(it)));
        doubts.extend(
            held_back.map(|(why, source)| {
                format!("What source {} found is held back: {why}", source.name)
            }),
        );
        let failing = status.failing_upstreams.iter();
        doubts.extend(failing.map(|it| format!("Upstream {} does not answer", it.address)));
        doubts.extend(status.unkept.as_ref().map(|unkept| {
            let what = "What is known is not on disk for a start without AWS";
            format!("{what}: {}", unkept.error)
        }));
        let Silence { endpoints, left_out } = silence;
        if !endpoints.is_empty() {
            let endpoints = some(endpoints.into_iter().map(str::to_owned));
            doubts.push(format!("No address answers probes, so all are given: {endpoints}"));
        }
        if !left_out.is_empty() {
            let addresses =
                some(left_out.iter().map(|(ip, endpoint)| format!("{ip} of {endpoint}")));
            doubts.push(format!("Left out, for not answering probes: {addresses}"));
        }
        let zones = status.drained_zones.iter();
        doubts.extend(zones.map(|it| format!("Zone {} is drained since {}", it.zone, it.since)));
        if !status.flapping.is_empty() {
            let addresses = count(status.flapping.len(), "address", "addresses");
            doubts.push(format!("Going up and down again and again: {addresses}"));
        }
        let level = match (status.ready, doubts.is_empty()) {
            (false, _) => Level::NotReady,
            (true, true) => Level::Ready,
            (true, false) => Level::Doubtful,
        };
        let mut reasons = status.reasons.clone();
        reasons.extend(doubts);
        Self { level, reasons }
    }

    pub(super) fn word(&self) -> &'static str {
        match self.level {
            Level::Ready => "Ready",
            Level::Doubtful => "Ready, with problems",
            Level::NotReady => "Not ready",
        }
    }

    fn class(&self) -> &'static str {
        match self.level {
            Level::Ready => "verdict v-ok",
            Level::Doubtful => "verdict v-warn",
            Level::NotReady => "verdict v-bad",
        }
    }

    fn shape(&self) -> Shape {
        match self.level {
            Level::Ready => Shape::Good,
            Level::Doubtful => Shape::Doubtful,
            Level::NotReady => Shape::Bad,
        }
    }

    /// The verdict's shape for the tab, without an asset of its own.
    pub(super) fn icon(&self) -> &'static str {
        match self.level {
            Level::Ready => {
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 12 12'\
                 %3E%3Ccircle cx='6' cy='6' r='5' fill='%23208a4f'/%3E%3C/svg%3E"
            }
            Level::Doubtful => {
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 12 12'\
                 %3E%3Cpath d='M6 1l6 10H0z' fill='%23c08a1e'/%3E%3C/svg%3E"
            }
            Level::NotReady => {
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 12 12'\
                 %3E%3Cpath d='M1 1h10v10H1z' fill='%23c0392b'/%3E%3C/svg%3E"
            }
        }
    }

    pub(super) fn section(
        &self,
        status: &StatusDocument,
        config_hash: &str,
        ends_in: Option<u64>,
    ) -> Markup {
        let views = status.views.iter();
        let names = views.map(|view| view.names).max().unwrap_or_default();
        let endpoints: usize = status.sources.iter().map(|source| source.endpoints).sum();
        let oldest = status.sources.iter().map(|source| source.age_secs).max().flatten();
        let unheard = status.sources.iter().any(|source| source.age_secs.is_none());
        let listeners: Vec<String> = status.listeners.iter().map(ToString::to_string).collect();
        html! {
            section #verdict class=(self.class()) aria-label="Verdict" {
                div role="status" {
                    strong { (self.shape().with(self.word())) }
                    @if !self.reasons.is_empty() {
                        ul { @for reason in &self.reasons { li { (reason) } } }
                    }
                }
                dl {
                    @if let Some(secs) = ends_in { (fact("Ends in", &age(secs))) }
                    (fact("Names", &grouped(names)))
                    (fact("Endpoints", &grouped(endpoints)))
                    (fact("Discovery", &match (oldest, unheard) {
                        (Some(secs), false) => format!("{} ago", age(secs)),
                        (Some(secs), true) => format!("{} ago; not all have told", age(secs)),
                        (None, _) => "nothing told yet".to_owned(),
                    }))
                    (fact("Generation", &status.generation.to_string()))
                    (fact("Table", status.table_hash.as_deref().unwrap_or("none")))
                    (fact("Configuration", config_hash))
                    (fact("Listens", &match listeners.is_empty() {
                        true => "nowhere yet".to_owned(),
                        false => listeners.join(", "),
                    }))
                }
            }
        }
    }
}

/// What does not answer probes.
#[derive(Default)]
pub(super) struct Silence<'t> {
    /// Endpoints none of whose addresses of a family does.
    endpoints: BTreeSet<&'t str>,
    /// Addresses that are left out for it, and of which endpoint they are.
    left_out: BTreeMap<IpAddr, &'t str>,
}

// === impl Silence ===

impl<'t> Silence<'t> {
    pub(super) fn of(published: &'t Published) -> Self {
        let mut left_out = BTreeMap::new();
        // A zonal name has the one address; its endpoint has others.
        let mut all_are_silent: BTreeMap<(&str, RecordType), bool> = BTreeMap::new();
        let entries = published.table().views().flat_map(|view| view.entries());
        for claim in entries.map(|entry| entry.claim()) {
            let endpoint = claim.endpoint.as_str();
            for caveat in &claim.caveats {
                if let Caveat::LeftOut(addresses) = caveat {
                    left_out.extend(addresses.iter().map(|address| (address.ip, endpoint)));
                }
            }
            for address in claim.addresses.iter() {
                let family = if address.ip.is_ipv6() { RecordType::AAAA } else { RecordType::A };
                let is_silent = claim.caveats.contains(&Caveat::FailingOpen(family));
                *all_are_silent.entry((endpoint, family)).or_insert(true) &= is_silent;
            }
        }
        let silent = all_are_silent.into_iter().filter(|(_, all)| *all);
        Self { endpoints: silent.map(|((endpoint, _), _)| endpoint).collect(), left_out }
    }
}

/// As many of them as a person reads.
fn some(mut all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(TOLD_MAX);
    let mut told: Vec<String> = all.by_ref().take(TOLD_MAX).collect();
    if 0 < more {
        told.push(format!("{} more", grouped(more)));
    }
    told.join(", ")
}
