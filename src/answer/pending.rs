//! A query that waits for an upstream, and how its answer is told.
//!
//! A chain of aliases is followed to its end: the table first, then upstreams, in turn.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::{
    chain::{Chain, Failure, Progress},
    decide::{Asked, Decision, Vantage, decide},
    records::{write_absence, write_told},
    settings::Settings,
};
use crate::{
    base::{Ede, ExtendedError, Name, Rcode, RecordType},
    forward::{Answered, DEADLINE, ForwardError},
    table::Published,
    telemetry::{AnswerSource, Metrics, ViewMetrics},
    wire::{Channel, Limit, Packet, Query, Reply},
};

/// A query to be answered by an upstream, with all it takes to tell the answer.
pub struct Pending {
    pub(super) packet: Vec<u8>,
    pub(super) chain: Chain,
    pub(super) vantage: Vantage,
    /// The table in force when the query came: a chain that lands on us is answered from it.
    pub(super) published: Arc<Published>,
    pub(super) settings: Settings,
    pub(super) view: Arc<ViewMetrics>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) limit: Limit,
    pub(super) channel: Channel,
    pub(super) rotation: usize,
    pub(super) started: Instant,
}

/// A pointer's two highest bits (RFC 1035 section 4.1.4).
const POINTER: u16 = 0xC000;

// === impl Pending ===

impl Pending {
    /// Waits for the answer and writes the reply into `out`. Takes as long as the forwarder's
    /// deadline at most.
    pub async fn finish(mut self, out: &mut Vec<u8>) {
        let Vantage { client, listener } = self.vantage;
        self.settings.forwarder.notice(self.chain.question(), client, listener.ip());
        let ended = self.ask_along().await;
        if let Packet::Query(query) = Packet::read(&self.packet) {
            self.write(&query, ended, out);
        }
    }

    /// Asks for one name after the other until the chain has ended, within the time of one.
    async fn ask_along(&mut self) -> Result<(), Failure> {
        let deadline = self.started + DEADLINE;
        loop {
            let asked = self.settings.forwarder.ask(self.chain.wanted().clone());
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

    /// What is in the cache of what the chain wants. Never waits.
    pub(super) fn cached(&self) -> Option<Answered> {
        self.settings.forwarder.cached(self.chain.wanted())
    }

    /// Takes what was answered to what the chain wants.
    pub(super) fn take(
        &mut self,
        answered: Result<Answered, ForwardError>,
    ) -> Result<Progress, Failure> {
        let Self { chain, published, vantage, .. } = self;
        let rtype = chain.question().rtype;
        chain.take(answered, |name| {
            match decide(published.table(), &asked(name, rtype), vantage).decision {
                Decision::Answer(..) | Decision::NoData(_) => true,
                Decision::Forward | Decision::Server(_) | Decision::Refuse(_) => false,
            }
        })
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
        let nsid = &self.settings.identity;
        let mut reply = Reply::start(query, out).through(self.channel);
        reply.cookie(self.settings.cookie(query, &self.vantage, &self.metrics.dns));
        let (rcode, source) = match ended.and(self.chain.answer()) {
            Err(failure) => {
                reply.finish(failure.rcode, false, self.limit, nsid, &failure.errors);
                (failure.rcode, AnswerSource::Local)
            }
            Ok(answered) => {
                let stale = ExtendedError { code: Ede::STALE_ANSWER, text: "".into() };
                let is_stale = answered.source == AnswerSource::Stale;
                // Ours first: where there is no room for all, it is the one that is told.
                let ours = is_stale.then_some(stale).into_iter();
                let errors: Vec<_> = ours.chain(answered.relay.errors().iter().cloned()).collect();
                let (rcode, validated) = match self.continue_chain(&mut reply, answered) {
                    // What we add is not signed, so the whole is not validated.
                    true => (Rcode::NOERROR, false),
                    false => {
                        reply.relay(&answered.relay, answered.age);
                        (answered.relay.rcode(), answered.relay.validated())
                    }
                };
                reply.finish(rcode, validated, self.limit, nsid, &errors);
                (rcode, answered.source)
            }
        };
        self.view.told(rcode, source);
        self.metrics.dns.took(source, self.started.elapsed());
    }

    /// If an alias of the answer leads to a name of ours, tells the aliases up to there and then
    /// what we have, in place of what the upstream says of that name.
    fn continue_chain(&self, reply: &mut Reply<'_, '_>, answered: &Answered) -> bool {
        let rtype = self.chain.question().rtype;
        for hop in answered.relay.hops() {
            let decided = decide(self.published.table(), &asked(&hop.target, rtype), &self.vantage);
            let owner = POINTER | hop.target_at;
            match decided.decision {
                Decision::Answer(entry, told) => {
                    reply.relay_until(&answered.relay, hop, answered.age);
                    write_told(reply, entry, told, owner, decided.az, self.rotation);
                    return true;
                }
                Decision::NoData(entry) => {
                    reply.relay_until(&answered.relay, hop, answered.age);
                    write_absence(reply, entry, owner);
                    return true;
                }
                Decision::Forward | Decision::Server(_) | Decision::Refuse(_) => (),
            }
        }
        false
    }
}

/// The question for what an alias leads to. The DS of a name of ours is not ours, at the end of a
/// chain as at its start; [`decide`] knows.
fn asked(name: &Name, rtype: RecordType) -> Asked<'_> {
    Asked { name_wire: name.as_wire(), rtype, class: 1, recursion_desired: true }
}
