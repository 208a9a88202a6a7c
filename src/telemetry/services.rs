//! Answers by the service whose endpoint they name: who leans on which endpoint is seen by it.
//!
//! There are as many services as the table names, so the labels are AWS's and never a client's.

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::{MetricsError, register};
use crate::base::ServiceName;

/// Services that a thread counts by itself: most clients of a moment want few. One more takes the
/// place of another, which costs a look at the counters and loses nothing.
const SLOTS: usize = 16;

/// The counters of all services. Cheap to clone.
#[derive(Clone)]
pub struct ServiceMetrics(IntCounterVec);

/// What one thread has counted. Empty until it counts.
pub(super) struct ServiceTally {
    metrics: ServiceMetrics,
    slots: Vec<Option<Slot>>,
}

struct Slot {
    /// Held, so that nothing else comes to stand where its text does.
    name: ServiceName,
    counter: IntCounter,
    times: u64,
}

// === impl ServiceMetrics ===

impl ServiceMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self(register!(
            registry,
            IntCounterVec,
            "hubdns_service_answers_total",
            &["aws_service"]
        )))
    }

    /// Makes the counter of a service exist at 0.
    pub fn begin(&self, name: &ServiceName) {
        self.0.with_label_values(&[name.as_str()]);
    }

    /// Ends the counter of a service that no name is of any more.
    pub fn forget(&self, name: &ServiceName) {
        // One that is not there needs no removal.
        let _ = self.0.remove_label_values(&[name.as_str()]);
    }
}

// === impl ServiceTally ===

impl ServiceTally {
    pub(super) fn new(metrics: ServiceMetrics) -> Self {
        Self { metrics, slots: Vec::new() }
    }

    /// Counts an answer.
    pub(super) fn count(&mut self, name: &ServiceName) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        // By where the text stands, which is the same for all names of an endpoint.
        let place = name.as_str().as_ptr().addr();
        let Some(slot) = self.slots.get_mut((place >> 4) % SLOTS) else { return };
        match slot {
            Some(slot) if slot.name.as_str().as_ptr().addr() == place => slot.times += 1,
            _ => {
                if let Some(other) = slot {
                    other.settle();
                }
                let counter = self.metrics.0.with_label_values(&[name.as_str()]);
                *slot = Some(Slot { name: name.clone(), counter, times: 1 });
            }
        }
    }

    /// Adds what was counted to the metrics.
    pub(super) fn settle(&mut self) {
        self.slots.iter_mut().flatten().for_each(Slot::settle);
    }
}

// === impl Slot ===

impl Slot {
    fn settle(&mut self) {
        if 0 < self.times {
            self.counter.inc_by(self.times);
            self.times = 0;
        }
    }
}
