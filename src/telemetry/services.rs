//! Answers by the service whose endpoint they name: who leans on which endpoint is seen by it.
//!
//! There are as many services as the table names, so the labels are AWS's and never a client's.

use std::{collections::HashMap, mem};

use foldhash::quality::FixedState;
use prometheus::{IntCounter, IntCounterVec, Registry};

use super::{MetricsError, register};
use crate::base::ServiceName;

/// Services that a thread counts by itself, so that a look at the counters, by the text of a label,
/// is made once for each of a table. AWS has some 200 in a region. Past it all begin anew.
const KNOWN_MAX: usize = 4_096;

/// The counters of all services. Cheap to clone.
#[derive(Clone)]
pub struct ServiceMetrics(IntCounterVec);

/// What one thread has counted. Empty until it counts.
pub(super) struct ServiceTally {
    metrics: ServiceMetrics,
    /// By where the text of the name stands, which a table has once for all names of a service.
    known: HashMap<usize, usize, FixedState>,
    slots: Vec<Slot>,
    /// Those that have something to add.
    counted: Vec<usize>,
}

struct Slot {
    /// Held, so that nothing else comes to stand where its text does.
    _name: ServiceName,
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
        Self { metrics, known: HashMap::default(), slots: Vec::new(), counted: Vec::new() }
    }

    /// Counts an answer.
    pub(super) fn count(&mut self, name: &ServiceName) {
        let place = name.as_str().as_ptr().addr();
        let at = match self.known.get(&place) {
            Some(at) => *at,
            None => self.learn(place, name),
        };
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.times == 0 {
            self.counted.push(at);
        }
        slot.times += 1;
    }

    #[cold]
    fn learn(&mut self, place: usize, name: &ServiceName) -> usize {
        if KNOWN_MAX <= self.slots.len() {
            self.settle();
            self.known.clear();
            self.slots.clear();
        }
        let counter = self.metrics.0.with_label_values(&[name.as_str()]);
        let at = self.slots.len();
        self.slots.push(Slot { _name: name.clone(), counter, times: 0 });
        self.known.insert(place, at);
        at
    }

    /// Adds what was counted to the metrics.
    pub(super) fn settle(&mut self) {
        for at in self.counted.drain(..) {
            if let Some(slot) = self.slots.get_mut(at) {
                slot.counter.inc_by(mem::take(&mut slot.times));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::{KNOWN_MAX, ServiceMetrics, ServiceTally};
    use crate::base::ServiceName;

    #[test]
    fn what_a_thread_forgets_of_too_many_services_is_counted_all_the_same() {
        let metrics = ServiceMetrics::new(&Registry::new()).unwrap();
        let names: Vec<ServiceName> =
            (0..KNOWN_MAX + 100).map(|at| format!("service{at}").as_str().into()).collect();
        let mut tally = ServiceTally::new(metrics.clone());
        for _ in 0..2 {
            names.iter().for_each(|name| tally.count(name));
            assert!(tally.slots.len() <= KNOWN_MAX && tally.known.len() == tally.slots.len());
        }
        tally.settle();
        for name in &names {
            assert_eq!(metrics.0.with_label_values(&[name.as_str()]).get(), 2, "{name:?}");
        }
    }
}
