//! Carries a decision out: from a packet to the bytes of its reply.
//!
//! What the table or the cache knows is written at once, without waiting. What has to be asked
//! becomes a [`Pending`], which the transport runs where waiting does no harm.

use std::{net::SocketAddr, sync::Arc, time::Duration};

mod instead;

use tokio::{sync::watch, time::Instant};

use super::{
    chain::Chain,
    decide::{Asked, Decided, Decision, Vantage, decide},
    observe::{Sighting, Verdict},
    pending::Pending,
    respond::Responder,
    rotation::Rotation,
    sender::{self, Suspect},
    settings::Settings,
    tell::{Outcome, Teller, Way},
};
use crate::{
    querylog::{Sampler, Wanted},
    table::{Generation, Published},
    telemetry::{AnswerSource, Dropped, Proto, Tally},
    wire::{Channel, Limit, Packet, Query},
};

/// A responder's state for one listener or connection. Not shared, so it has no lock.
///
/// What it answers from it takes up with the first packet of a batch and keeps until
/// [`settle`](Self::settle).
pub struct Session {
    responder: Responder,
    proto: Proto,
    way: Way,
    rotation: Rotation,
    /// What was in force at the last batch, seen again only when it has changed.
    settings: watch::Receiver<Arc<Settings>>,
    known: Option<Arc<Settings>>,
    in_force: Option<InForce>,
    tally: Tally,
    /// Whose views the tally counts.
    generation: Generation,
    /// What the last reply was written from.
    last: Option<AnswerSource>,
    sampler: Sampler,
}

/// What the questions of one batch are answered from.
struct InForce {
    published: Arc<Published>,
    settings: Arc<Settings>,
}

/// A packet and where it came from.
struct Arrival<'p> {
    packet: &'p [u8],
    client: SocketAddr,
    vantage: Vantage,
    came: Instant,
    /// Who wants to hear what becomes of it.
    wanted: Wanted,
    /// What a reply to it goes through.
    way: Way,
}

/// What became of a packet.
pub enum Step {
    /// The reply stands in the buffer.
    Reply,
    /// No reply: it was not a query.
    Silence,
    /// Somebody has to be asked first.
    Ask(Box<Pending>),
}

// === impl Session ===

impl Session {
    pub(super) fn new(responder: Responder, proto: Proto, seed: u32) -> Self {
        let (limit, padded) = match proto {
            Proto::Udp => (Limit::Datagram, false),
            Proto::Tcp => (Limit::Stream, false),
            Proto::Tls | Proto::Https => (Limit::Stream, true),
        };
        let tally = Tally::new(Arc::default(), &responder.metrics);
        Self {
            settings: responder.settings.clone(),
            responder,
            proto,
            way: Way { limit, channel: Channel { keepalive: None, padded } },
            rotation: Rotation::new(seed),
            known: None,
            in_force: None,
            tally,
            generation: Generation::NONE,
            last: None,
            sampler: Sampler::new(rand::random()),
        }
    }

    /// Lets clients that ask for it know how long an idle connection is kept (RFC 7828).
    pub fn keeping(mut self, idle: Duration) -> Self {
        let tenths = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
        self.way.channel.keepalive = Some(tenths);
        self
    }

    /// Answers `packet` into `out`, or says what has to be done first. `came` is when it was read,
    /// alike for all of a batch.
    pub fn begin(
        &mut self,
        packet: &[u8],
        client: SocketAddr,
        listener: SocketAddr,
        came: Instant,
        out: &mut Vec<u8>,
    ) -> Step {
        let in_force = self.in_force.take().unwrap_or_else(|| self.take_up());
        let step = self.answer(&in_force, packet, client, listener, came, out);
        self.in_force = Some(in_force);
        step
    }

    /// The same for a packet that comes by itself.
    pub fn begin_alone(
        &mut self,
        packet: &[u8],
        client: SocketAddr,
        listener: SocketAddr,
        out: &mut Vec<u8>,
    ) -> Step {
        let came = Instant::now();
        let step = self.begin(packet, client, listener, came, out);
        self.settle(came);
        self.rest();
        step
    }

    /// Ends a batch that came at `came`: adds what was counted, and lets the table go. Of all that
    /// it answered the last has waited the longest, and tells how long that was.
    pub fn settle(&mut self, came: Instant) {
        if let Some(source) = self.last.take() {
            self.responder.metrics.dns.took(source, came.elapsed());
        }
        self.tally.settle();
        self.in_force = None;
    }

    /// Lets go of all that a reload may replace: nothing may come for a while.
    pub fn rest(&mut self) {
        self.in_force = None;
        self.known = None;
    }

    fn take_up(&mut self) -> InForce {
        let published = self.responder.table.hold();
        if self.generation != published.generation() {
            let views = self.responder.views(&published);
            self.tally = Tally::new(views, &self.responder.metrics);
            self.generation = published.generation();
        }
        // Without a sender nothing changes any more.
        let changed = self.settings.has_changed().unwrap_or(false);
        let known = self.known.take().filter(|_| !changed);
        let settings = known.unwrap_or_else(|| Arc::clone(&self.settings.borrow_and_update()));
        self.known = Some(Arc::clone(&settings));
        InForce { published, settings }
    }

    fn answer(
        &mut self,
        in_force: &InForce,
        packet: &[u8],
        client: SocketAddr,
        listener: SocketAddr,
        came: Instant,
        out: &mut Vec<u8>,
    ) -> Step {
        let dns = &self.responder.metrics.dns;
        let suspect = match self.proto {
            Proto::Udp => sender::suspect(client, listener),
            // Who has made a connection has its address and its port.
            Proto::Tcp | Proto::Tls | Proto::Https => None,
        };
        if let Some(Suspect::Dropped(reason)) = suspect {
            dns.dropped(reason);
            return Step::Silence;
        }
        let vantage = Vantage::new(client.ip(), listener);
        let wanted = self.sampler.draw(&in_force.settings.observers);
        let mut arrival = Arrival { packet, client, vantage, came, wanted, way: self.way };
        match Packet::read(packet) {
            Packet::Short => {
                dns.dropped(Dropped::Short);
                Step::Silence
            }
            Packet::Response => {
                dns.dropped(Dropped::Response);
                Step::Silence
            }
            Packet::Reject(reject) if suspect.is_some() && sender::is_unreadable(reject.rcode) => {
                dns.dropped(Dropped::Malformed);
                Step::Silence
            }
            Packet::Reject(reject) => {
                let sender = self.sender(in_force, reject.cookie.as_ref(), &vantage);
                match self.limit(in_force, sender, &arrival) {
                    None => self.reject(in_force, &reject, &arrival, out),
                    // To come by TCP with it would help nobody.
                    Some(_) => Step::Silence,
                }
            }
            Packet::Query(query) => {
                let cookie = query.edns.and_then(|edns| edns.cookie);
                let sender = self.sender(in_force, cookie.as_ref(), &vantage);
                arrival.way = self.way_of(sender, &arrival);
                match self.limit(in_force, sender, &arrival) {
                    None => self.query(in_force, &query, &arrival, out),
                    Some(limited) => self.instead(limited, in_force, &query, &arrival, out),
                }
            }
        }
    }

    fn query(
        &mut self,
        in_force: &InForce,
        query: &Query<'_>,
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let InForce { published, settings } = in_force;
        let Arrival { vantage, came, way, .. } = arrival;
        let table = published.table();
        let decided = decide(table, &Asked::by(query), vantage);
        let view = decided.view_index;
        self.tally.asked(view, self.proto, vantage.client.is_ipv6(), query.rtype);
        let rotation = self.rotation.draw();
        let dns = &self.responder.metrics.dns;
        let teller = Teller { table, settings, dns, vantage, way: *way, rotation };
        let az = decided.az;
        let told = match decided.decision {
            Decision::Answer(entry, told) => {
                self.tally.answered_for(entry.service());
                Ok(Outcome::ours(teller.ours(query, entry, Some(told), az, out)))
            }
            Decision::NoData(entry) => {
                self.tally.answered_for(entry.service());
                Ok(Outcome::ours(teller.ours(query, entry, None, az, out)))
            }
            Decision::Cname(cname) => teller.by_cname(query, cname, *came, out),
            Decision::Server(fact) => Ok(Outcome::local(teller.of_ourselves(query, fact, out))),
            Decision::Refuse(refusal) => Ok(Outcome::local(teller.refused(query, refusal, out))),
            Decision::Forward => teller.forwarded(query, *came, out),
        };
        let told = match told {
            Ok(told) => told,
            Err(chain) => {
                let mut pending =
                    self.pending(in_force, arrival, decided.decision.word(), *chain, rotation);
                pending.view = self.tally.view(view).map(Arc::clone);
                return Step::Ask(pending);
            }
        };
        self.tally.told(view, told.rcode, told.source);
        if let Some(mark) = told.leak {
            self.tally.leaked(mark);
        }
        self.last = Some(told.source);
        if arrival.wanted.anybody() {
            self.observe(in_force, query, arrival, &decided, &told, out);
        }
        Step::Reply
    }

    /// Tells those who want to hear of it what was answered.
    #[cold]
    fn observe(
        &self,
        in_force: &InForce,
        query: &Query<'_>,
        arrival: &Arrival<'_>,
        decided: &Decided<'_>,
        told: &Outcome,
        reply: &[u8],
    ) {
        let asked = Some((query.name_wire(), query.rtype));
        let (observers, view) = (&in_force.settings.observers, decided.view.name());
        let verdict = Verdict::decided(decided, told);
        self.sighting(arrival).tell(observers, asked, view, verdict, [arrival.packet, reply]);
    }

    fn sighting(&self, arrival: &Arrival<'_>) -> Sighting {
        let Arrival { client, vantage, came, wanted, .. } = *arrival;
        Sighting { wanted, client, listener: vantage.listener, proto: self.proto, came }
    }

    fn pending(
        &self,
        in_force: &InForce,
        arrival: &Arrival<'_>,
        decision: &'static str,
        chain: Chain,
        rotation: usize,
    ) -> Box<Pending> {
        Box::new(Pending {
            packet: arrival.packet.to_vec(),
            chain,
            vantage: arrival.vantage,
            published: Arc::clone(&in_force.published),
            settings: Arc::clone(&in_force.settings),
            view: None,
            metrics: Arc::clone(&self.responder.metrics),
            way: arrival.way,
            rotation,
            decision,
            sighting: self.sighting(arrival),
        })
    }

    /// What a query that is forwarded would wait with, whatever the cache has.
    #[cfg(any(test, fuzzing))]
    pub(super) fn wait(
        &mut self,
        packet: &[u8],
        client: SocketAddr,
        listener: SocketAddr,
        came: Instant,
    ) -> Option<Box<Pending>> {
        let Packet::Query(query) = Packet::read(packet) else { return None };
        let in_force = self.take_up();
        let vantage = Vantage::new(client.ip(), listener);
        let table = in_force.published.table();
        let decided = decide(table, &Asked::by(&query), &vantage);
        let (settings, dns) = (&*in_force.settings, &self.responder.metrics.dns);
        let rotation = self.rotation.draw();
        let teller = Teller { table, settings, dns, vantage: &vantage, way: self.way, rotation };
        let question = query.asking().to_question();
        let chain = match decided.decision {
            Decision::Forward => Chain::new(question),
            Decision::Cname(cname) => {
                Chain::begun(question, &teller.lead_abroad(&query, cname)?).ok()?
            }
            Decision::Answer(..)
            | Decision::NoData(_)
            | Decision::Server(_)
            | Decision::Refuse(_) => return None,
        };
        let (wanted, way) = (Wanted::NOBODY, self.way);
        let mut arrival = Arrival { packet, client, vantage, came, wanted, way };
        let cookie = query.edns.and_then(|edns| edns.cookie);
        let sender = self.sender(&in_force, cookie.as_ref(), &vantage);
        arrival.way = self.way_of(sender, &arrival);
        Some(self.pending(&in_force, &arrival, decided.decision.word(), chain, rotation))
    }
}
