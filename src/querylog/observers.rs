//! Who is told of queries: handed a few values by who answers, and never in the way.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(feature = "otlp")]
use super::collector::Spans;
use super::{
    config::{DnstapConfig, Filter, ObserversConfig, Rate},
    dnstap::{Exchange, Sender},
    line::Entry,
    queue::{Entrance, queue},
    sampling::Wanted,
    stream::Frames,
    writer::{OpenError, Outlet, try_open},
};
use crate::{
    base::{EndpointId, Rcode, RecordType, ViewName},
    telemetry::{AnswerSource, Metrics, Output, Proto},
};

/// What dnstap is told that we are.
const VERSION: &str = concat!("hubdns ", env!("CARGO_PKG_VERSION"));

/// What became of a query. Borrowed throughout: nothing is copied of one that is not told.
#[derive(Clone, Copy)]
pub struct Observed<'q> {
    /// When it was read, and how long its answer took from then.
    pub came: Instant,
    /// That time.
    pub took: Duration,
    /// Who asked.
    pub client: SocketAddr,
    /// Which address of ours.
    pub listener: SocketAddr,
    /// How it came.
    pub proto: Proto,
    /// What was asked: the name in wire form and lower case, and the type. `None` for a packet in
    /// which no question could be read.
    pub asked: Option<(&'q [u8], RecordType)>,
    /// The client's view.
    pub view: &'q ViewName,
    /// What was decided, in a word.
    pub decision: &'static str,
    /// Why, in a word.
    pub reason: &'static str,
    /// The endpoint whose addresses were told.
    pub endpoint: Option<&'q EndpointId>,
    /// Where the answer came from; `None` where there was none.
    pub source: Option<AnswerSource>,
    /// The upstream that answered just now.
    pub upstream: Option<SocketAddr>,
    /// What the client was told; `None` for nothing.
    pub rcode: Option<Rcode>,
    /// The question as it came.
    pub packet: &'q [u8],
    /// The answer as it leaves; empty where there is none.
    pub reply: &'q [u8],
}

/// Who is told. Once all of these are gone, so are the writers.
pub struct Observers {
    config: ObserversConfig,
    log: Option<Log>,
    dnstap: Option<Tap>,
    #[cfg(feature = "otlp")]
    otlp: Option<Traces>,
}

/// A collector's.
#[cfg(feature = "otlp")]
struct Traces {
    rate: Rate,
    entrance: Entrance<Entry>,
}

/// The query log's end of it.
struct Log {
    rate: Rate,
    filter: Filter,
    entrance: Entrance<Entry>,
}

/// dnstap's.
struct Tap {
    rate: Rate,
    entrance: Entrance<Exchange>,
}

// === impl Observers ===

impl Observers {
    /// Nobody.
    pub fn nobody() -> Self {
        Self::of(&ObserversConfig::NOBODY)
    }

    /// Those of a configuration, of whom none is there yet.
    fn of(config: &ObserversConfig) -> Self {
        Self {
            config: config.clone(),
            log: None,
            dnstap: None,
            #[cfg(feature = "otlp")]
            otlp: None,
        }
    }

    /// Those that are configured, and who writes for them: each wants a thread of its own. dnstap and
    /// spans tell the `identity`.
    pub fn open(
        config: &ObserversConfig,
        identity: &[u8],
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, Vec<Outlet>), OpenError> {
        let mut observers = Self::of(config);
        let mut outlets = Vec::new();
        let log = &config.log;
        if let rate @ Rate::OneIn(_) = log.rate {
            let (entrance, outlet) = Outlet::lines(log.file.as_deref(), metrics)?;
            observers.log = Some(Log { rate, filter: log.filter.clone(), entrance });
            outlets.push(outlet);
        }
        if let Some(DnstapConfig { socket, rate: rate @ Rate::OneIn(_) }) = &config.dnstap {
            let (entrance, exit) = queue(Output::Dnstap, metrics);
            observers.dnstap = Some(Tap { rate: *rate, entrance });
            let sender = Sender { identity: identity.into(), version: VERSION.as_bytes() };
            let (socket, metrics) = (socket.clone(), Arc::clone(metrics));
            outlets.push(Outlet::Frames(Frames { exit, socket, sender, metrics }));
        }
        #[cfg(feature = "otlp")]
        if let Some(otlp) = &config.otlp {
            // Also where no query is told: discovery and reloads are.
            let (entrance, exit) = queue(Output::Otlp, metrics);
            observers.otlp = Some(Traces { rate: otlp.rate, entrance });
            let (identity, metrics) = (identity.into(), Arc::clone(metrics));
            let spans = Spans { exit, config: otlp.clone(), identity, metrics };
            outlets.push(Outlet::Spans(spans));
        }
        Ok((observers, outlets))
    }

    /// Whether `open` would have the file of the query log. Nothing is made.
    pub fn try_file(config: &ObserversConfig) -> Result<(), OpenError> {
        match (config.log.rate, &config.log.file) {
            (Rate::OneIn(_), Some(path)) => try_open(path),
            (Rate::OneIn(_), None) | (Rate::Off, _) => Ok(()),
        }
    }

    /// What they were made from.
    pub fn config(&self) -> &ObserversConfig {
        &self.config
    }

    /// How many queries the query log wants.
    pub(super) fn log_rate(&self) -> Rate {
        self.log.as_ref().map_or(Rate::Off, |log| log.rate)
    }

    /// How many dnstap wants.
    pub(super) fn dnstap_rate(&self) -> Rate {
        self.dnstap.as_ref().map_or(Rate::Off, |tap| tap.rate)
    }

    /// How many a collector of traces wants.
    pub(super) fn otlp_rate(&self) -> Rate {
        #[cfg(feature = "otlp")]
        let rate = self.otlp.as_ref().map_or(Rate::Off, |otlp| otlp.rate);
        #[cfg(not(feature = "otlp"))]
        let rate = Rate::Off;
        rate
    }

    /// Tells those who wanted it what became of a query.
    pub fn tell(&self, wanted: Wanted, query: &Observed<'_>) {
        if let (Some(log), Some(id)) = (&self.log, wanted.log) {
            let name_wire = query.asked.map_or(&[][..], |(name_wire, _)| name_wire);
            if log.filter.lets(query.view, query.decision, query.rcode, name_wire) {
                log.entrance.put(Entry::new(id, query));
            }
        }
        if let Some(tap) = self.dnstap.as_ref().filter(|_| wanted.dnstap) {
            tap.entrance.put(Exchange::new(query));
        }
        #[cfg(feature = "otlp")]
        if let (Some(otlp), Some(id)) = (&self.otlp, wanted.otlp) {
            otlp.entrance.put(Entry::new(id, query));
        }
    }
}
