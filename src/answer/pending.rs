//! A query that waits for an upstream, and how its answer is told.
//!
//! A chain of aliases is followed to its end: the table first, then upstreams, in turn.

use std::sync::Arc;

use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    chain::{Chain, Failure, Progress},
    decide::Vantage,
    observe::{Sighting, Verdict},
    settings::Settings,
    tell::{Teller, Way},
};
use crate::{
    forward::{Answered, DEADLINE, ForwardError, Key},
    table::Published,
    telemetry::{Metrics, ViewMetrics},
    wire::{Packet, Query, Question},
};

/// A query to be answered by an upstream, with all it takes to tell the answer.
pub struct Pending {
    pub(super) packet: Vec<u8>,
    pub(super) chain: Chain,
    pub(super) vantage: Vantage,
    /// The table in force when the query came: a chain that lands on us is answered from it.
    pub(super) published: Arc<Published>,
    pub(super) settings: Arc<Settings>,
    pub(super) view: Option<Arc<ViewMetrics>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) way: Way,
    pub(super) rotation: usize,
    /// What was decided, in a word.
    pub(super) decision: &'static str,
    pub(super) sighting: Sighting,
}

// === impl Pending ===

impl Pending {
    /// Waits for the answer and writes the reply into `out`. Takes as long as the forwarder's
    /// deadline at most; what is not answered when `ends` is cancelled is told to be so.
    pub async fn finish(mut self: Box<Self>, ends: &CancellationToken, out: &mut Vec<u8>) {
        let Vantage { client, listener } = self.vantage;
        let asked = self.key(self.chain.question().clone());
        self.settings.forwarder.notice(&asked, client, listener.ip());
        let came = self.sighting.came;
        let asking = self.sighting.wanted.log.map(|id| tracing::info_span!("query", %id));
        let asking = self.ask_along().instrument(asking.unwrap_or_else(Span::none));
        let ended = tokio::select! {
            ended = asking => ended,
            () = ends.cancelled() => Err(ForwardError::TimedOut(came.elapsed()).into()),
        };
        if let Packet::Query(query) = Packet::read(&self.packet) {
            self.write(&query, ended, out);
        }
    }

    /// Asks for one name after the other until the chain has ended, within the time of one.
    async fn ask_along(&mut self) -> Result<(), Failure> {
        let deadline = self.sighting.came + DEADLINE;
        loop {
            let asked = self.settings.forwarder.ask(self.key(self.chain.wanted().clone()));
            let answered = match self.chain.is_begun() {
                // The forwarder's own deadline is the same, and it says more about what it met.
                false => asked.await,
                true => match timeout_at(deadline, asked).await {
                    Ok(answered) => answered,
                    Err(_) => Err(ForwardError::TimedOut(DEADLINE)),
                },
            };
            match self.take(answered)? {
                Progress::Ended => return Ok(()),
                Progress::Open => (),
            }
        }
    }

    /// The question, with whose upstreams are asked for a client of its view.
    fn key(&self, question: Question) -> Key {
        let Vantage { client, listener } = self.vantage;
        let (_, view) = self.published.table().view_for(client, listener);
        let realm = self.settings.forwarder.realm(view.name(), question.name.as_wire());
        Key { realm, question }
    }

    /// Takes what was answered to what the chain wants.
    pub(super) fn take(
        &mut self,
        answered: Result<Answered, ForwardError>,
    ) -> Result<Progress, Failure> {
        let Self { chain, published, settings, metrics, vantage, way, rotation, .. } = self;
        let (table, dns) = (published.table(), &metrics.dns);
        let teller = Teller { table, settings, dns, vantage, way: *way, rotation: *rotation };
        let rtype = chain.question().rtype;
        chain.take(answered, |name| teller.landing(name, rtype))
    }

    /// Writes the reply to a query that there is no room to wait for.
    pub fn shed(self, out: &mut Vec<u8>) {
        self.metrics.forward.refused.inc();
        if let Packet::Query(query) = Packet::read(&self.packet) {
            self.write(&query, Err(ForwardError::Overloaded.into()), out);
        }
    }

    /// Writes what was answered, or that nobody did.
    pub(super) fn write(&self, query: &Query<'_>, ended: Result<(), Failure>, out: &mut Vec<u8>) {
        let teller = Teller {
            table: self.published.table(),
            settings: &self.settings,
            dns: &self.metrics.dns,
            vantage: &self.vantage,
            way: self.way,
            rotation: self.rotation,
        };
        let told = match ended.and(self.chain.answer()) {
            Ok(answered) => teller.answered(query, answered, out),
            Err(failure) => teller.failed(query, &failure, out),
        };
        if let Some(view) = &self.view {
            view.told(told.rcode, told.source);
        }
        if let Some(mark) = told.leak {
            self.metrics.coverage.count(mark, 1);
        }
        self.metrics.dns.took(told.source, self.sighting.came.elapsed());
        if self.sighting.wanted.anybody() {
            let Vantage { client, listener } = self.vantage;
            let (_, view) = teller.table.view_for(client, listener);
            let asked = Some((query.name_wire(), query.rtype));
            let verdict = Verdict::forwarded(self.decision, &told);
            let packets = [&self.packet[..], out];
            let observers = &self.settings.observers;
            self.sighting.tell(observers, asked, view.name(), verdict, packets);
        }
    }
}
