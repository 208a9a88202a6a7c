//! Packets to upstreams that AWS limits.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::{MetricsError, label, register};

label! {
    /// What was done in place of sending a packet.
    Spared {
        /// An older answer was given at once.
        Stale = "stale",
        /// A question that nobody waits for was not asked.
        Renewal = "renewal",
        /// A question was not asked again, or of one more upstream, while its answer may come.
        Retransmission = "retransmission",
        /// A packet was refused: the second had all it may have.
        Refused = "refused",
    }
}

/// The budget's figures.
#[derive(Clone)]
pub struct BudgetMetrics {
    packets: IntCounter,
    second: IntGauge,
    peak: IntGauge,
    soft: IntGauge,
    hard: IntGauge,
    spared: Vec<IntCounter>,
    dropped: IntCounterVec,
}

// === impl BudgetMetrics ===

impl BudgetMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let limits = register!(registry, IntGaugeVec, "hubdns_linklocal_packets_limit", &["limit"]);
        let spared = register!(registry, IntCounterVec, "hubdns_linklocal_spared_total", &["by"]);
        Ok(Self {
            packets: register!(registry, IntCounter, "hubdns_linklocal_packets_total"),
            second: register!(registry, IntGauge, "hubdns_linklocal_packets_per_second"),
            peak: register!(registry, IntGauge, "hubdns_linklocal_packets_per_second_peak"),
            soft: limits.with_label_values(&["soft"]),
            hard: limits.with_label_values(&["hard"]),
            spared: Spared::ALL.iter().map(|by| spared.with_label_values(&[by.word()])).collect(),
            dropped: register!(
                registry,
                IntCounterVec,
                "hubdns_linklocal_allowance_exceeded_total",
                &["interface"]
            ),
        })
    }

    /// Tells the limits.
    pub fn limits(&self, soft: u32, hard: u32) {
        self.soft.set(soft.into());
        self.hard.set(hard.into());
    }

    /// Counts packets.
    pub fn sent(&self, packets: u32) {
        self.packets.inc_by(packets.into());
    }

    /// Counts what was done in place of a packet.
    pub fn spared(&self, by: Spared) {
        if let Some(counter) = self.spared.get(by as usize) {
            counter.inc();
        }
    }

    /// Tells the last second and the greatest lately.
    pub fn measure(&self, second: u32, peak: u32) {
        self.second.set(second.into());
        self.peak.set(peak.into());
    }

    /// Counts packets of an interface that the network dropped.
    pub fn dropped(&self, interface: &str, packets: u64) {
        self.dropped.with_label_values(&[interface]).inc_by(packets);
    }
}
