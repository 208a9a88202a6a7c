//! Names of AWS that upstreams answer with public addresses.

use prometheus::{IntCounterVec, Registry};

use super::{MetricsError, register};
use crate::coverage::Coverage;

/// What was counted elsewhere, by service.
pub(super) struct LeakMetrics(IntCounterVec);

// === impl LeakMetrics ===

impl LeakMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self(register!(
            registry,
            IntCounterVec,
            "hubdns_coverage_leaks_total",
            &["aws_service"]
        )))
    }

    /// Takes over what was counted since it was last looked at.
    pub(super) fn measure(&self, coverage: &Coverage) {
        for (service, times) in coverage.by_service() {
            let counter = self.0.with_label_values(&[service]);
            counter.inc_by(times.saturating_sub(counter.get()));
        }
    }
}
