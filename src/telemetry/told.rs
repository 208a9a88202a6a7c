//! What was told of queries, to a file, by dnstap or to a collector of traces, and what was not.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::{MetricsError, label, register};

label! {
    /// Where queries are told.
    Output {
        /// The query log.
        Log = "log",
        /// dnstap.
        Dnstap = "dnstap",
        /// A collector of traces, which is also told of discovery and reloads.
        Otlp = "otlp",
    }
}

label! {
    /// Why something was not told.
    Untold {
        /// Too much waits to be written.
        Queue = "queue",
        /// It could not be written.
        Write = "write",
    }
}

/// Metrics of the query log, of dnstap and of spans.
pub struct ToldMetrics {
    records: Vec<IntCounter>,
    dropped: Vec<IntCounter>,
    /// 1 while a receiver of dnstap takes frames.
    pub dnstap_connected: IntGauge,
}

// === impl ToldMetrics ===

impl ToldMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let records: IntCounterVec =
            register!(registry, IntCounterVec, "hubdns_query_log_records_total", &["output"]);
        let dropped: IntCounterVec = register!(
            registry,
            IntCounterVec,
            "hubdns_query_log_dropped_total",
            &["output", "reason"]
        );
        let pairs = Output::ALL.iter().flat_map(|it| Untold::ALL.iter().map(move |why| (it, why)));
        Ok(Self {
            records: Output::ALL.iter().map(|it| records.with_label_values(&[it.word()])).collect(),
            dropped: pairs
                .map(|(it, why)| dropped.with_label_values(&[it.word(), why.word()]))
                .collect(),
            dnstap_connected: register!(registry, IntGauge, "hubdns_dnstap_connected"),
        })
    }

    /// Counts what was written.
    pub fn told(&self, output: Output, records: u64) {
        if let Some(counter) = self.records.get(output as usize) {
            counter.inc_by(records);
        }
    }

    /// Counts what was not.
    pub fn untold(&self, output: Output, why: Untold, records: u64) {
        if let Some(counter) = self.dropped(output, why) {
            counter.inc_by(records);
        }
    }

    /// What counts that.
    pub(super) fn dropped(&self, output: Output, why: Untold) -> Option<&IntCounter> {
        self.dropped.get(output as usize * Untold::ALL.len() + why as usize)
    }
}
