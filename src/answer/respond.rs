//! Carries a decision out: from a packet to the bytes of its reply.
//!
//! What the table or the cache knows is written at once, without waiting. What has to be asked
//! becomes a [`Pending`], which the transport runs where waiting does no harm.

use std::{
    cmp::Ordering,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    chain::{Chain, Progress},
    decide::{Asked, Decision, Refusal, ServerFact, Vantage, decide},
    pending::Pending,
    records::{write_absence, write_text, write_told},
    rotation::Rotation,
    sender::{self, Suspect},
    settings::Settings,
};
use crate::{
    base::{ExtendedError, Rcode},
    forward::ForwardError,
    table::{Generation, Published, Reader},
    telemetry::{AnswerSource, Dropped, Metrics, Proto, ViewMetrics},
    wire::{
        Channel, CookieState, Limit, Packet, QUESTION_POINTER, Query, Question, Reject, Reply,
        write_reject,
    },
};

/// Answers packets. One a daemon; each listener and connection takes a [`Session`] of it.
#[derive(Clone)]
pub struct Responder {
    table: Reader,
    settings: watch::Receiver<Settings>,
    metrics: Arc<Metrics>,
    /// Made once a generation and shared: a connection must not look a hundred counters up.
    counted: Arc<Mutex<Counted>>,
}

/// A responder's state for one listener or connection. Not shared, so it has no lock.
pub struct Session {
    responder: Responder,
    proto: Proto,
    /// What the connection adds to replies; nothing for datagrams.
    channel: Channel,
    counted: Counted,
    rotation: Rotation,
}

/// The counters of a table's views, in their order, and the table's generation.
type Counted = (Generation, Arc<[Arc<ViewMetrics>]>);

/// What became of a packet.
pub enum Step {
    /// The reply stands in the buffer.
    Reply,
    /// No reply: it was not a query.
    Silence,
    /// Somebody has to be asked first.
    Ask(Box<Pending>),
}

// === impl Responder ===

impl Responder {
    /// A responder for the table in force.
    pub fn new(table: Reader, settings: watch::Receiver<Settings>, metrics: Arc<Metrics>) -> Self {
        let counted = Arc::new(Mutex::new((Generation::NONE, Arc::default())));
        Self { table, settings, metrics, counted }
    }

    /// A session for a listener or a connection. `seed` is where the rotation of addresses begins:
    /// clients that each open one connection should not all get the same address first.
    pub fn session(&self, proto: Proto, seed: u32) -> Session {
        let counted = (Generation::NONE, Arc::default());
        let padded = match proto {
            Proto::Udp | Proto::Tcp => false,
            Proto::Tls | Proto::Https => true,
        };
        let channel = Channel { keepalive: None, padded };
        Session { responder: self.clone(), proto, channel, counted, rotation: Rotation::new(seed) }
    }

    /// Makes the counters of the views in force exist at 0, before anybody has asked.
    pub fn count_from_zero(&self) {
        let published = self.table.hold();
        if published.in_force() {
            self.counted(&published);
        }
    }

    /// The metrics that it counts in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The table in force.
    pub fn table(&self) -> &Reader {
        &self.table
    }

    /// What is in force of what a reload may replace.
    pub fn settings(&self) -> Settings {
        self.settings.borrow().clone()
    }

    /// The counters of this table's views. Those of views that are no more end with it.
    fn counted(&self, published: &Published) -> Arc<[Arc<ViewMetrics>]> {
        let dns = &self.metrics.dns;
        let table = published.table();
        let make = || table.views().map(|view| Arc::new(dns.view(view.name().as_str()))).collect();
        let mut counted = self.counted.lock().unwrap_or_else(|broken| broken.into_inner());
        let (generation, views) = &mut *counted;
        match (*generation).cmp(&published.generation()) {
            Ordering::Equal => (),
            Ordering::Less => {
                let gone = views.iter().filter(|it| table.view(it.name()).is_none());
                gone.for_each(|it| dns.forget_view(it.name()));
                *views = make();
                *generation = published.generation();
            }
            // A query that began before the last change: its counters are not everybody's.
            Ordering::Greater => return make(),
        }
        Arc::clone(views)
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

// === impl Session ===

impl Session {
    /// Lets clients that ask for it know how long an idle connection is kept (RFC 7828).
    pub fn keeping(mut self, idle: Duration) -> Self {
        let tenths = u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX);
        self.channel.keepalive = Some(tenths);
        self
    }

    /// Answers `packet` into `out`, or says what has to be done first.
    pub fn begin(
        &mut self,
        packet: &[u8],
        client: SocketAddr,
        listener: SocketAddr,
        out: &mut Vec<u8>,
    ) -> Step {
        let started = Instant::now();
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
                let published = self.responder.table.hold();
                let vantage = Vantage::new(client.ip(), listener);
                let settings = self.responder.settings.borrow();
                let answered = reject.cookie.map(|cookie| {
                    settings.cookies.answer(&cookie, vantage.client, &self.responder.metrics.dns)
                });
                // Who may not ask learns no more than that, whatever it sends.
                let rcode = match published.table().admits(vantage.client) {
                    true => reject_code(&reject, answered.map(|(state, _)| state)),
                    false => Rcode::REFUSED,
                };
                drop(settings);
                let cookie = answered.map(|(_, cookie)| cookie);
                write_reject(&Reject { rcode, ..reject }, cookie, out);
                let (view_index, _) = published.table().view_for(vantage.client, vantage.listener);
                self.view(&published, view_index).told(rcode, AnswerSource::Local);
                Step::Reply
            }
            Packet::Query(query) => {
                self.answer(packet, &query, &Vantage::new(client.ip(), listener), started, out)
            }
        }
    }

    fn answer(
        &mut self,
        packet: &[u8],
        query: &Query<'_>,
        vantage: &Vantage,
        started: Instant,
        out: &mut Vec<u8>,
    ) -> Step {
        // Loaded once: the query sees one generation throughout.
        let published = self.responder.table.hold();
        let asked = Asked {
            name_wire: query.name_wire(),
            rtype: query.rtype,
            class: query.class,
            recursion_desired: query.recursion_desired,
        };
        let decided = decide(published.table(), &asked, vantage);
        let view = self.view(&published, decided.view_index);
        view.asked(self.proto, vantage.client.is_ipv6(), query.rtype);
        let rotation = self.rotation.draw();
        let (entry, told) = match decided.decision {
            Decision::Answer(entry, told) => (entry, Some(told)),
            Decision::NoData(entry) => (entry, None),
            Decision::Server(fact) => {
                let rcode = self.tell_of_itself(query, vantage, fact, out);
                return self.replied(&view, rcode, AnswerSource::Local, started);
            }
            Decision::Refuse(refusal) => {
                let rcode = self.refuse(query, vantage, refusal, out);
                return self.replied(&view, rcode, AnswerSource::Local, started);
            }
            Decision::Forward => {
                let published = published.clone();
                return self
                    .forward(packet, query, *vantage, published, view, rotation, started, out);
            }
        };
        let mut reply = Reply::start(query, out).through(self.channel);
        match told {
            Some(told) => {
                write_told(&mut reply, entry, told, QUESTION_POINTER, decided.az, rotation);
            }
            None => write_absence(&mut reply, entry, QUESTION_POINTER),
        }
        self.end(query, vantage, reply, Rcode::NOERROR, &[]);
        self.replied(&view, Rcode::NOERROR, AnswerSource::Table, started)
    }

    fn refuse(
        &self,
        query: &Query<'_>,
        vantage: &Vantage,
        refusal: Refusal,
        out: &mut Vec<u8>,
    ) -> Rcode {
        let error = ExtendedError { code: refusal.ede(), text: refusal.text().into() };
        let reply = Reply::start(query, out).through(self.channel);
        self.end(query, vantage, reply, refusal.rcode(), &[error]);
        refusal.rcode()
    }

    /// Tells what it was told to tell; otherwise it is the class that is not served.
    fn tell_of_itself(
        &self,
        query: &Query<'_>,
        vantage: &Vantage,
        fact: ServerFact,
        out: &mut Vec<u8>,
    ) -> Rcode {
        let Some(text) = self.responder.settings.borrow().about.text(fact) else {
            return self.refuse(query, vantage, Refusal::Class, out);
        };
        let mut reply = Reply::start(query, out).through(self.channel);
        reply.answer(1, |out| write_text(&text, out));
        self.end(query, vantage, reply, Rcode::NOERROR, &[]);
        Rcode::NOERROR
    }

    fn end(
        &self,
        query: &Query<'_>,
        vantage: &Vantage,
        mut reply: Reply<'_, '_>,
        rcode: Rcode,
        errors: &[ExtendedError],
    ) {
        let settings = self.responder.settings.borrow();
        reply.cookie(settings.cookie(query, vantage, &self.responder.metrics.dns));
        reply.finish(rcode, false, self.limit(), &settings.identity, errors);
    }

    fn replied(
        &self,
        view: &ViewMetrics,
        rcode: Rcode,
        source: AnswerSource,
        started: Instant,
    ) -> Step {
        view.told(rcode, source);
        self.responder.metrics.dns.took(source, started.elapsed());
        Step::Reply
    }

    #[expect(clippy::too_many_arguments, reason = "what one query knows, handed on once")]
    fn forward(
        &self,
        packet: &[u8],
        query: &Query<'_>,
        vantage: Vantage,
        published: Arc<Published>,
        view: Arc<ViewMetrics>,
        rotation: usize,
        started: Instant,
        out: &mut Vec<u8>,
    ) -> Step {
        let question = Question {
            name: query.name(),
            rtype: query.rtype,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled,
        };
        let settings = self.responder.settings();
        let has_returned = settings.forwarder.has_returned(&question.name);
        let mut pending = Pending {
            packet: packet.to_vec(),
            chain: Chain::new(question),
            vantage,
            published,
            settings,
            view,
            metrics: Arc::clone(&self.responder.metrics),
            limit: self.limit(),
            channel: self.channel,
            rotation,
            started,
        };
        if has_returned {
            pending.write(query, Err(ForwardError::Loop.into()), out);
            return Step::Reply;
        }
        while let Some(answered) = pending.cached() {
            let ended = match pending.take(Ok(answered)) {
                Ok(Progress::Open) => continue,
                Ok(Progress::Ended) => Ok(()),
                Err(failure) => Err(failure),
            };
            pending.write(query, ended, out);
            return Step::Reply;
        }
        Step::Ask(Box::new(pending))
    }

    fn limit(&self) -> Limit {
        match self.proto {
            Proto::Udp => Limit::Datagram,
            Proto::Tcp | Proto::Tls | Proto::Https => Limit::Stream,
        }
    }

    /// The counters of a view of this table, looked up by name once a generation.
    fn view(&mut self, published: &Published, index: usize) -> Arc<ViewMetrics> {
        let (generation, views) = &mut self.counted;
        if *generation != published.generation() {
            *views = self.responder.counted(published);
            *generation = published.generation();
        }
        views
            .get(index)
            .map_or_else(|| Arc::new(self.responder.metrics.dns.view("default")), Arc::clone)
    }
}
