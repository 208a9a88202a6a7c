//! What all sessions answer from.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{session::Session, settings::Settings};
use crate::{
    base::ServiceName,
    table::{Generation, Published, Reader},
    telemetry::{Metrics, Proto, ViewMetrics},
};

/// Answers packets. One a daemon; each listener and connection takes a [`Session`] of it.
#[derive(Clone)]
pub struct Responder {
    pub(super) table: Reader,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) metrics: Arc<Metrics>,
    /// Made when views change and shared: a connection must not look a hundred counters up.
    counted: Arc<Mutex<Counted>>,
}

/// What is counted of a table.
struct Counted {
    generation: Generation,
    /// The counters of its views, in their order.
    views: Arc<[Arc<ViewMetrics>]>,
    services: Arc<[ServiceName]>,
}

// === impl Responder ===

impl Responder {
    /// A responder for the table in force.
    pub fn new(
        table: Reader,
        settings: watch::Receiver<Arc<Settings>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let counted = Counted {
            generation: Generation::NONE,
            views: Arc::default(),
            services: Arc::default(),
        };
        let counted = Arc::new(Mutex::new(counted));
        Self { table, settings, metrics, counted }
    }

    /// A session for a listener or a connection. `seed` is where the rotation of addresses begins:
    /// clients that each open one connection should not all get the same address first.
    pub fn session(&self, proto: Proto, seed: u32) -> Session {
        Session::new(self.clone(), proto, seed)
    }

    /// Makes the counters of the views in force exist at 0, before anybody has asked.
    pub fn count_from_zero(&self) {
        let published = self.table.hold();
        if published.in_force() {
            self.views(&published);
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

    /// The counters of this table's views. Those of views that are no more end with it.
    pub(super) fn views(&self, published: &Published) -> Arc<[Arc<ViewMetrics>]> {
        let dns = &self.metrics.dns;
        let table = published.table();
        let mut counted = self.counted.lock().unwrap_or_else(|broken| broken.into_inner());
        let Counted { generation, views, services } = &mut *counted;
        // Most tables have the views of the one before, and their counters are found already.
        let before = views.iter().map(|it| it.name());
        if !table.views().map(|view| view.name().as_str()).eq(before) {
            let make = |name: &str| {
                let known = views.iter().find(|it| it.name() == name).map(Arc::clone);
                known.unwrap_or_else(|| Arc::new(dns.view(name)))
            };
            let now: Arc<[_]> = table.views().map(|view| make(view.name().as_str())).collect();
            if published.generation() < *generation {
                // A query that began before the last change: its counters are not everybody's.
                return now;
            }
            let gone = views.iter().filter(|it| table.view(it.name()).is_none());
            gone.for_each(|it| dns.forget_view(it.name()));
            *views = now;
        }
        if *services != *table.services() && *generation <= published.generation() {
            let gone = services.iter().filter(|it| table.services().binary_search(it).is_err());
            gone.for_each(|it| dns.services.forget(it));
            table.services().iter().for_each(|it| dns.services.begin(it));
            *services = Arc::clone(table.services());
        }
        *generation = published.generation().max(*generation);
        Arc::clone(views)
    }
}
