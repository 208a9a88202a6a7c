//! Carries a decision out: from a packet to the bytes of its reply.
//!
//! What the table or the cache knows is written at once, without waiting. What has to be asked
//! becomes a [`Pending`], which the transport runs where waiting does no harm.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    chain::Chain,
    decide::{Asked, Decision, Vantage, decide},
    pending::Pending,
    rates::Sender,
    respond::Responder,
    rotation::Rotation,
    sender::{self, Suspect},
    settings::Settings,
    tell::{Teller, Way},
};
use crate::{
    base::Rcode,
    table::{Generation, Published},
    telemetry::{AnswerSource, Dropped, Limited, Proto, Tally},
    wire::{Channel, Cookie, CookieState, Limit, Packet, Query, Reject, write_reject},
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
}

/// What the questions of one batch are answered from.
struct InForce {
    published: Arc<Published>,
    settings: Arc<Settings>,
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
        Self {
            settings: responder.settings.clone(),
            responder,
            proto,
            way: Way { limit, channel: Channel { keepalive: None, padded } },
            rotation: Rotation::new(seed),
            known: None,
            in_force: None,
            tally: Tally::new(Arc::default()),
            generation: Generation::NONE,
            last: None,
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
            self.tally = Tally::new(self.responder.views(&published));
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
                match self.limit(in_force, reject.cookie.as_ref(), &vantage, came) {
                    None => self.reject(in_force, &reject, &vantage, out),
                    // To come by TCP with it would help nobody.
                    Some(_) => Step::Silence,
                }
            }
            Packet::Query(query) => {
                let cookie = query.edns.and_then(|edns| edns.cookie);
                match self.limit(in_force, cookie.as_ref(), &vantage, came) {
                    None => self.query(in_force, packet, &query, &vantage, came, out),
                    Some(limited) => self.instead(limited, in_force, &query, &vantage, out),
                }
            }
        }
    }

    /// What is done in place of an answer to a client above its rate.
    fn limit(
        &self,
        in_force: &InForce,
        cookie: Option<&Cookie>,
        vantage: &Vantage,
        came: Instant,
    ) -> Option<Limited> {
        let settings = &in_force.settings;
        let rates = settings.rates.as_ref()?;
        let is_told = |cookie| settings.cookies.proves(cookie, vantage.client);
        let sender = match self.proto {
            Proto::Udp if !cookie.is_some_and(is_told) => Sender::Anybody,
            Proto::Udp | Proto::Tcp | Proto::Tls | Proto::Https => Sender::Proven,
        };
        let limited = rates.limit(vantage, sender, came)?;
        self.responder.metrics.dns.limited(limited);
        Some(limited)
    }

    fn instead(
        &self,
        limited: Limited,
        in_force: &InForce,
        query: &Query<'_>,
        vantage: &Vantage,
        out: &mut Vec<u8>,
    ) -> Step {
        let InForce { published, settings } = in_force;
        let (table, dns) = (published.table(), &self.responder.metrics.dns);
        let teller = Teller { table, settings, dns, vantage, way: self.way, rotation: 0 };
        match limited {
            Limited::Dropped => return Step::Silence,
            Limited::Truncated => teller.truncated(query, out),
            Limited::Refused => teller.over_its_rate(query, out),
        }
        Step::Reply
    }

    fn reject(
        &mut self,
        in_force: &InForce,
        reject: &Reject<'_>,
        vantage: &Vantage,
        out: &mut Vec<u8>,
    ) -> Step {
        let table = in_force.published.table();
        let answered = reject.cookie.map(|cookie| {
            let dns = &self.responder.metrics.dns;
            in_force.settings.cookies.answer(&cookie, vantage.client, dns)
        });
        // Who may not ask learns no more than that, whatever it sends.
        let rcode = match table.admits(vantage.client) {
            true => reject_code(reject, answered.map(|(state, _)| state)),
            false => Rcode::REFUSED,
        };
        let cookie = answered.map(|(_, cookie)| cookie);
        write_reject(&Reject { rcode, ..*reject }, cookie, out);
        let (view, _) = table.view_for(vantage.client, vantage.listener);
        self.tally.told(view, rcode, AnswerSource::Local);
        Step::Reply
    }

    fn query(
        &mut self,
        in_force: &InForce,
        packet: &[u8],
        query: &Query<'_>,
        vantage: &Vantage,
        came: Instant,
        out: &mut Vec<u8>,
    ) -> Step {
        let InForce { published, settings } = in_force;
        let table = published.table();
        let decided = decide(table, &Asked::by(query), vantage);
        let view = decided.view_index;
        self.tally.asked(view, self.proto, vantage.client.is_ipv6(), query.rtype);
        let rotation = self.rotation.draw();
        let dns = &self.responder.metrics.dns;
        let teller = Teller { table, settings, dns, vantage, way: self.way, rotation };
        let az = decided.az;
        let told = match decided.decision {
            Decision::Answer(entry, told) => {
                Ok((teller.ours(query, entry, Some(told), az, out), AnswerSource::Table))
            }
            Decision::NoData(entry) => {
                Ok((teller.ours(query, entry, None, az, out), AnswerSource::Table))
            }
            Decision::Cname(cname) => teller.by_cname(query, cname, came, out),
            Decision::Server(fact) => {
                Ok((teller.of_ourselves(query, fact, out), AnswerSource::Local))
            }
            Decision::Refuse(refusal) => {
                Ok((teller.refused(query, refusal, out), AnswerSource::Local))
            }
            Decision::Forward => teller.forwarded(query, came, out),
        };
        let (rcode, source) = match told {
            Ok(told) => told,
            Err(chain) => {
                let mut pending = self.pending(in_force, packet, chain, *vantage, came, rotation);
                pending.view = self.tally.view(view).map(Arc::clone);
                return Step::Ask(pending);
            }
        };
        self.tally.told(view, rcode, source);
        self.last = Some(source);
        Step::Reply
    }

    fn pending(
        &self,
        in_force: &InForce,
        packet: &[u8],
        chain: Chain,
        vantage: Vantage,
        came: Instant,
        rotation: usize,
    ) -> Box<Pending> {
        Box::new(Pending {
            packet: packet.to_vec(),
            chain,
            vantage,
            published: Arc::clone(&in_force.published),
            settings: Arc::clone(&in_force.settings),
            view: None,
            metrics: Arc::clone(&self.responder.metrics),
            way: self.way,
            rotation,
            started: came,
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
        Some(self.pending(&in_force, packet, chain, vantage, came, rotation))
    }
}

/// The code for a query that has none but that. One without a question asks whether its cookie is
/// good (RFC 7873 section 5.4).
fn reject_code(reject: &Reject<'_>, cookie: Option<CookieState>) -> Rcode {
    match (reject.rcode, cookie) {
        (Rcode::NOERROR, Some(CookieState::Bad)) => Rcode::BADCOOKIE,
        (rcode, _) => rcode,
    }
}
