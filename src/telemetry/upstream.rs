//! Upstreams and the forwarder's cache.

use std::{fmt::Display, time::Duration};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry,
};

use super::{BudgetMetrics, MetricsError, label, register};

label! {
    /// What the cache had.
    CacheResult {
        /// An answer within its TTL.
        Hit = "hit",
        /// Nothing usable.
        Miss = "miss",
        /// An answer past its TTL that was given since no upstream answered.
        Stale = "stale",
    }
}

label! {
    /// Why an exchange with an upstream gave nothing.
    UpstreamFailure {
        /// Silence.
        Timeout = "timeout",
        /// The network said no: refused, unreachable.
        Network = "network",
        /// An answer that cannot be used: not to be parsed, a referral, nothing that fits.
        Unusable = "unusable",
        /// It answered SERVFAIL, REFUSED or another code that leaves the question to others.
        Declined = "declined",
        /// Its TLS handshake failed, or its certificate is not of the one configured.
        Tls = "tls",
        /// We had no socket or no memory to ask with; the upstream has no part in it.
        Local = "local",
        /// The network would have dropped the question: too many in this second.
        Budget = "budget",
    }
}

label! {
    /// Why a packet that came to an upstream socket was no answer.
    UpstreamMismatch {
        /// Another id.
        Id = "id",
        /// Another name, type or class, or not one question.
        Question = "question",
        /// The name in another case than it was asked in (0x20).
        Spelling = "spelling",
        /// A query, or of another opcode.
        NotResponse = "not_response",
        /// Cut, or with records that cannot be parsed.
        Malformed = "malformed",
    }
}

label! {
    /// What an upstream is asked without, since it has shown that it cannot.
    UpstreamLack {
        /// EDNS: it cannot read an OPT, or what has one is lost on the way.
        Edns = "edns",
        /// 0x20: it does not repeat the case of the question.
        Case = "case",
    }
}

label! {
    /// What became of a probe for loops.
    LoopProbe {
        /// It came back to us, or to a hub that knows of the loop.
        Returned = "returned",
        /// It was answered without coming back.
        Answered = "answered",
        /// Neither.
        Unclear = "unclear",
    }
}

/// Metrics of the forwarder.
pub struct ForwardMetrics {
    requests: IntCounterVec,
    failures: IntCounterVec,
    durations: HistogramVec,
    up: IntGaugeVec,
    smoothed: GaugeVec,
    lacks: IntGaugeVec,
    loops: IntGaugeVec,
    loop_probes: Vec<IntCounter>,
    /// Packets to upstreams that AWS limits.
    pub budget: BudgetMetrics,
    cache: Vec<IntCounter>,
    /// Answers in the cache.
    pub cache_entries: IntGauge,
    /// Octets the cached answers take.
    pub cache_bytes: IntGauge,
    /// Questions asked upstream for which nobody waited.
    pub renewals: IntCounter,
    /// Questions waiting for an upstream now.
    pub in_flight: IntGauge,
    /// Questions answered SERVFAIL at once since too many were waiting.
    pub refused: IntCounter,
    mismatched: Vec<IntCounter>,
    floods: IntCounter,
    /// Questions answered SERVFAIL at once since they would have come back to us.
    pub looping: IntCounter,
}

/// One upstream's part.
#[derive(Clone)]
pub struct UpstreamMetrics {
    /// Packets sent by UDP, retransmissions counted.
    pub sent_udp: IntCounter,
    /// Questions sent by TCP.
    pub sent_tcp: IntCounter,
    /// Questions sent by TLS.
    pub sent_tls: IntCounter,
    /// 1 while it is asked first, 0 while it is avoided.
    pub up: IntGauge,
    /// Questions asked by TCP since too many wrong packets came, of all upstreams.
    pub floods: IntCounter,
    smoothed: Gauge,
    lacks: Vec<IntGauge>,
    mismatched: Vec<IntCounter>,
    duration: Histogram,
    failures: Vec<IntCounter>,
}

// === impl ForwardMetrics ===

impl ForwardMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let cache = register!(registry, IntCounterVec, "hubdns_cache_requests_total", &["result"]);
        let mismatched =
            register!(registry, IntCounterVec, "hubdns_upstream_mismatched_total", &["reason"]);
        let loop_probes =
            register!(registry, IntCounterVec, "hubdns_loop_probes_total", &["result"]);
        Ok(Self {
            requests: register!(
                registry,
                IntCounterVec,
                "hubdns_upstream_requests_total",
                &["upstream", "proto"]
            ),
            failures: register!(
                registry,
                IntCounterVec,
                "hubdns_upstream_failures_total",
                &["upstream", "reason"]
            ),
            durations: register!(
                registry,
                HistogramVec,
                "hubdns_upstream_request_duration_seconds",
                vec![0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0],
                &["upstream"]
            ),
            up: register!(registry, IntGaugeVec, "hubdns_upstream_up", &["upstream"]),
            loops: register!(registry, IntGaugeVec, "hubdns_forwarding_loop", &["upstream"]),
            loop_probes: LoopProbe::ALL
                .iter()
                .map(|result| loop_probes.with_label_values(&[result.word()]))
                .collect(),
            budget: BudgetMetrics::new(registry)?,
            cache: CacheResult::ALL
                .iter()
                .map(|result| cache.with_label_values(&[result.word()]))
                .collect(),
            cache_entries: register!(registry, IntGauge, "hubdns_cache_entries"),
            cache_bytes: register!(registry, IntGauge, "hubdns_cache_bytes"),
            renewals: register!(registry, IntCounter, "hubdns_cache_renewals_total"),
            in_flight: register!(registry, IntGauge, "hubdns_forwards_in_flight"),
            refused: register!(registry, IntCounter, "hubdns_forwards_refused_total"),
            smoothed: register!(registry, GaugeVec, "hubdns_upstream_rtt_seconds", &["upstream"]),
            lacks: register!(
                registry,
                IntGaugeVec,
                "hubdns_upstream_asked_without",
                &["upstream", "feature"]
            ),
            mismatched: UpstreamMismatch::ALL
                .iter()
                .map(|reason| mismatched.with_label_values(&[reason.word()]))
                .collect(),
            looping: register!(registry, IntCounter, "hubdns_forwards_looping_total"),
            floods: register!(registry, IntCounter, "hubdns_upstream_floods_total"),
        })
    }

    /// The counters of one upstream, made at 0 the first time.
    pub fn upstream(&self, address: &impl Display) -> UpstreamMetrics {
        let label = address.to_string();
        let failure = |reason: &UpstreamFailure| {
            self.failures.with_label_values(&[label.as_str(), reason.word()])
        };
        let up = self.up.with_label_values(&[label.as_str()]);
        up.set(1);
        self.loops(address, 0);
        UpstreamMetrics {
            sent_udp: self.requests.with_label_values(&[label.as_str(), "udp"]),
            sent_tcp: self.requests.with_label_values(&[label.as_str(), "tcp"]),
            sent_tls: self.requests.with_label_values(&[label.as_str(), "tls"]),
            up,
            floods: self.floods.clone(),
            smoothed: self.smoothed.with_label_values(&[label.as_str()]),
            lacks: UpstreamLack::ALL
                .iter()
                .map(|lack| self.lacks.with_label_values(&[label.as_str(), lack.word()]))
                .collect(),
            mismatched: self.mismatched.clone(),
            duration: self.durations.with_label_values(&[label.as_str()]),
            failures: UpstreamFailure::ALL.iter().map(failure).collect(),
        }
    }

    /// Ends the series of an upstream that a reload removed: one that was down would be told as
    /// down for ever. Whoever still counts in them does so unseen.
    pub fn forget_upstream(&self, address: &impl Display) {
        let label = address.to_string();
        let label = label.as_str();
        // What was never made needs no removal.
        for proto in ["udp", "tcp", "tls"] {
            let _ = self.requests.remove_label_values(&[label, proto]);
        }
        for reason in UpstreamFailure::ALL {
            let _ = self.failures.remove_label_values(&[label, reason.word()]);
        }
        let _ = self.durations.remove_label_values(&[label]);
        for lack in UpstreamLack::ALL {
            let _ = self.lacks.remove_label_values(&[label, lack.word()]);
        }
        let _ = self.up.remove_label_values(&[label]);
        let _ = self.smoothed.remove_label_values(&[label]);
        let _ = self.loops.remove_label_values(&[label]);
    }

    /// Sets in how many domains an upstream's questions come back.
    pub fn loops(&self, address: &impl Display, domains: usize) {
        let count = i64::try_from(domains).unwrap_or(i64::MAX);
        self.loops.with_label_values(&[address.to_string().as_str()]).set(count);
    }

    /// Counts a probe for loops.
    pub fn loop_probe(&self, result: LoopProbe) {
        if let Some(counter) = self.loop_probes.get(result as usize) {
            counter.inc();
        }
    }

    /// Counts a question to the cache.
    pub fn cache(&self, result: CacheResult) {
        if let Some(counter) = self.cache.get(result as usize) {
            counter.inc();
        }
    }
}

// === impl UpstreamMetrics ===

impl UpstreamMetrics {
    /// Counts an exchange that gave nothing.
    pub fn failed(&self, reason: UpstreamFailure) {
        if let Some(counter) = self.failures.get(reason as usize) {
            counter.inc();
        }
    }

    /// Counts a packet that was no answer.
    pub fn mismatched(&self, reason: UpstreamMismatch) {
        if let Some(counter) = self.mismatched.get(reason as usize) {
            counter.inc();
        }
    }

    /// Tells how soon it answers, smoothed.
    pub fn smoothed(&self, time: Duration) {
        self.smoothed.set(time.as_secs_f64());
    }

    /// What it is asked without.
    pub fn lacking(&self) -> impl Iterator<Item = UpstreamLack> {
        let lacks = UpstreamLack::ALL.iter().zip(&self.lacks);
        lacks.filter(|(_, gauge)| gauge.get() != 0).map(|(lack, _)| *lack)
    }

    /// Tells whether it is asked without a feature.
    pub fn lacks(&self, lack: UpstreamLack, without: bool) {
        if let Some(gauge) = self.lacks.get(lack as usize) {
            gauge.set(without.into());
        }
    }

    /// Counts an answer and how long it took.
    pub fn answered(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }
}
