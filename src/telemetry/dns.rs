//! What clients asked and were told.
//!
//! The counters of a view are looked up once and then indexed by small integers. A thread counts for
//! itself, in a [`Tally`], and adds up once a batch.

use std::{sync::Arc, time::Duration};

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::{
    Metrics, MetricsError,
    fates::{CookieKind, Dropped, Limited},
    label, register,
    services::{ServiceMetrics, ServiceTally},
};
use crate::{
    base::{Rcode, RecordType, ServiceName},
    coverage::{Coverage, Mark},
};

label! {
    /// How a query came.
    Proto {
        /// A datagram.
        Udp = "udp",
        /// A TCP connection.
        Tcp = "tcp",
        /// DNS over TLS.
        Tls = "tls",
        /// DNS over HTTPS.
        Https = "https",
    }
}

label! {
    /// Where an answer came from.
    AnswerSource {
        /// Our table: the name is ours.
        Table = "table",
        /// The forwarder's cache, within its TTL.
        Cache = "cache",
        /// The cache past its TTL, since no upstream answered.
        Stale = "stale",
        /// An upstream, just now.
        Upstream = "upstream",
        /// Ourselves: refusals, errors, what could not be forwarded.
        Local = "local",
    }
}

/// The record types counted by name; all others are `other`.
const TYPES: [RecordType; 13] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::DS,
    RecordType::HTTPS,
    RecordType::MX,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::SRV,
    RecordType(64),
    RecordType::TXT,
    RecordType::ANY,
];

/// Labels of a type: those, and `other`.
const TYPE_LABELS: usize = TYPES.len() + 1;
/// Counters of questions that a view has: by protocol, family and type.
const REQUEST_LABELS: usize = Proto::ALL.len() * 2 * TYPE_LABELS;

/// Metrics of the query path.
pub struct DnsMetrics {
    pub(super) requests: IntCounterVec,
    pub(super) responses: IntCounterVec,
    /// Answers by service.
    pub services: ServiceMetrics,
    durations: Vec<Histogram>,
    dropped: Vec<IntCounter>,
    cookies: Vec<IntCounter>,
    limited: Vec<IntCounter>,
    /// Open connections of clients, by TCP, TLS and HTTPS.
    pub tcp_connections: IntGauge,
    receive_buffer: IntGauge,
    /// Connections closed for being over a limit.
    pub tcp_refused: IntCounter,
}

/// One view's counters: its questions, and behind them its answers.
pub struct ViewMetrics {
    name: String,
    counters: Vec<IntCounter>,
}

/// What one thread, or one connection, has counted and not added to the metrics yet. Dropping it
/// adds it.
pub struct Tally {
    views: Arc<[Arc<ViewMetrics>]>,
    /// A batch asks for few kinds of things, so these are few.
    counts: Vec<Count>,
    services: ServiceTally,
    coverage: Arc<Coverage>,
    leaks: Vec<(Mark, u64)>,
}

struct Count {
    view: usize,
    counter: usize,
    times: u64,
}

// === impl DnsMetrics ===

impl DnsMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let requests = register!(
            registry,
            IntCounterVec,
            "hubdns_dns_requests_total",
            &["proto", "family", "type", "view"]
        );
        let responses = register!(
            registry,
            IntCounterVec,
            "hubdns_dns_responses_total",
            &["rcode", "source", "view"]
        );
        let dropped = register!(registry, IntCounterVec, "hubdns_dns_dropped_total", &["reason"]);
        let cookies = register!(registry, IntCounterVec, "hubdns_dns_cookies_total", &["state"]);
        let limited =
            register!(registry, IntCounterVec, "hubdns_dns_rate_limited_total", &["action"]);
        Ok(Self {
            services: ServiceMetrics::new(registry)?,
            durations: durations(registry)?,
            dropped: Dropped::ALL
                .iter()
                .map(|reason| dropped.with_label_values(&[reason.word()]))
                .collect(),
            cookies: CookieKind::ALL
                .iter()
                .map(|kind| cookies.with_label_values(&[kind.word()]))
                .collect(),
            limited: Limited::ALL
                .iter()
                .map(|action| limited.with_label_values(&[action.word()]))
                .collect(),
            tcp_connections: register!(registry, IntGauge, "hubdns_tcp_connections"),
            tcp_refused: register!(registry, IntCounter, "hubdns_tcp_connections_refused_total"),
            receive_buffer: receive_buffer(registry)?,
            requests,
            responses,
        })
    }

    /// The counters of the view of that name, made at 0 the first time.
    pub fn view(&self, name: &str) -> ViewMetrics {
        let requests = request_labels(name)
            .map(|it| self.requests.with_label_values(&it.each_ref().map(String::as_str)));
        let responses = response_labels(name).map(|it| self.responses.with_label_values(&it));
        ViewMetrics { name: name.to_owned(), counters: requests.chain(responses).collect() }
    }

    /// Ends the counters of a view that a reload removed.
    pub fn forget_view(&self, name: &str) {
        for labels in request_labels(name) {
            // One that is not there needs no removal.
            let _ = self.requests.remove_label_values(&labels.each_ref().map(String::as_str));
        }
        for labels in response_labels(name) {
            let _ = self.responses.remove_label_values(&labels);
        }
    }

    /// Notes the receive buffer of one more UDP socket, in octets as the kernel tells it: twice what
    /// was asked for. The gauge has the smallest since the start.
    pub fn receives_into(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let known = self.receive_buffer.get();
        self.receive_buffer.set(if known == 0 { bytes } else { known.min(bytes) });
    }

    /// Counts how long an answer took.
    pub fn took(&self, source: AnswerSource, duration: Duration) {
        if let Some(histogram) = self.durations.get(source as usize) {
            histogram.observe(duration.as_secs_f64());
        }
    }

    /// Counts a client's cookie.
    pub fn cookie(&self, kind: CookieKind) {
        if let Some(counter) = self.cookies.get(kind as usize) {
            counter.inc();
        }
    }

    /// Counts a question of a client above its rate.
    pub fn limited(&self, action: Limited) {
        if let Some(counter) = self.limited.get(action as usize) {
            counter.inc();
        }
    }

    /// Counts a packet that got no answer.
    pub fn dropped(&self, reason: Dropped) {
        if let Some(counter) = self.dropped.get(reason as usize) {
            counter.inc();
        }
    }
}

// === impl ViewMetrics ===

impl ViewMetrics {
    /// The view's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts an answer.
    pub fn told(&self, rcode: Rcode, source: AnswerSource) {
        self.add(response_at(rcode, source), 1);
    }

    fn add(&self, counter: usize, times: u64) {
        if let Some(counter) = self.counters.get(counter) {
            counter.inc_by(times);
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Nothing counted yet, of these views.
    pub fn new(views: Arc<[Arc<ViewMetrics>]>, metrics: &Metrics) -> Self {
        Self {
            views,
            counts: Vec::new(),
            services: ServiceTally::new(metrics.dns.services.clone()),
            coverage: Arc::clone(&metrics.coverage),
            leaks: Vec::new(),
        }
    }

    /// Counts a question in the view at that place.
    pub fn asked(&mut self, view: usize, proto: Proto, ipv6: bool, rtype: RecordType) {
        self.count(view, request_at(proto, ipv6, rtype));
    }

    /// Counts an answer.
    pub fn told(&mut self, view: usize, rcode: Rcode, source: AnswerSource) {
        self.count(view, response_at(rcode, source));
    }

    /// Counts an answer from the table.
    pub fn answered_for(&mut self, service: &ServiceName) {
        self.services.count(service);
    }

    /// Counts a name of AWS of which an upstream's addresses were told.
    pub fn leaked(&mut self, mark: Mark) {
        match self.leaks.iter_mut().find(|(known, _)| *known == mark) {
            Some((_, times)) => *times += 1,
            None => self.leaks.push((mark, 1)),
        }
    }

    /// The counters of the view at that place, for an answer that comes later.
    pub fn view(&self, view: usize) -> Option<&Arc<ViewMetrics>> {
        self.views.get(view)
    }

    /// Adds what was counted to the metrics.
    pub fn settle(&mut self) {
        for Count { view, counter, times } in self.counts.drain(..) {
            if let Some(view) = self.views.get(view) {
                view.add(counter, times);
            }
        }
        self.services.settle();
        for (mark, times) in self.leaks.drain(..) {
            self.coverage.count(mark, times);
        }
    }

    fn count(&mut self, view: usize, counter: usize) {
        let known = |it: &&mut Count| it.view == view && it.counter == counter;
        match self.counts.iter_mut().find(known) {
            Some(count) => count.times += 1,
            None => self.counts.push(Count { view, counter, times: 1 }),
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.settle();
    }
}

fn receive_buffer(registry: &Registry) -> Result<IntGauge, MetricsError> {
    Ok(register!(registry, IntGauge, "hubdns_udp_receive_buffer_bytes"))
}

/// How long answers took, by where they came from.
fn durations(registry: &Registry) -> Result<Vec<Histogram>, MetricsError> {
    let duration = register!(
        registry,
        HistogramVec,
        "hubdns_dns_request_duration_seconds",
        vec![
            0.00001, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 4.0
        ],
        &["source"]
    );
    let word = |source: &AnswerSource| duration.with_label_values(&[source.word()]);
    Ok(AnswerSource::ALL.iter().map(word).collect())
}

/// The place of a counter of questions among its view's.
fn request_at(proto: Proto, ipv6: bool, rtype: RecordType) -> usize {
    let rtype = TYPES.iter().position(|known| *known == rtype).unwrap_or(TYPES.len());
    (proto as usize * 2 + usize::from(ipv6)) * TYPE_LABELS + rtype
}

/// The place of a counter of answers, behind those of questions.
fn response_at(rcode: Rcode, source: AnswerSource) -> usize {
    let known = Rcode::NAMED.iter().position(|(named, _)| *named == rcode);
    let rcode = known.unwrap_or(Rcode::NAMED.len());
    REQUEST_LABELS + rcode * AnswerSource::ALL.len() + source as usize
}

/// The labels of a view's questions, in the order in which [`request_at`] finds them.
fn request_labels(view: &str) -> impl Iterator<Item = [String; 4]> {
    let families = Proto::ALL.iter().flat_map(|proto| ["1", "2"].map(|family| (proto, family)));
    families.flat_map(move |(proto, family)| {
        let types = TYPES.iter().map(RecordType::to_string).chain(["other".to_owned()]);
        types.map(move |rtype| [proto.word().to_owned(), family.to_owned(), rtype, view.to_owned()])
    })
}

/// The labels of a view's answers, in the order in which [`response_at`] finds them.
fn response_labels(view: &str) -> impl Iterator<Item = [&str; 3]> {
    let rcodes = Rcode::NAMED.iter().map(|(_, word)| *word).chain(["other"]);
    rcodes.flat_map(move |rcode| AnswerSource::ALL.iter().map(move |it| [rcode, it.word(), view]))
}
