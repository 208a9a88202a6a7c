//! What a person may order of the control loop while it runs, and what comes of it.
//!
//! The loop is asked by a short queue and answers when it has done what was asked. Nobody here waits
//! without end: whoever orders says for how long.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{drains::ZoneReport, history::Publication};
use crate::{base::SourceName, telemetry::RoundOutcome};

/// Orders that the loop has not looked at yet. More make their askers wait, each of whom has a
/// connection to the control socket.
pub(super) const ORDERS_MAX: usize = 8;

/// The way to the control loop for people's orders. Cheap to clone.
#[derive(Clone)]
pub struct Control(mpsc::Sender<Order>);

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The daemon is about to end.
    #[error("the control loop has ended")]
    Ended,
    /// No such source.
    #[error("there is no source {name:?}; there are: {known}")]
    UnknownSource {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// No interface is in such a zone.
    #[error("no endpoint has an interface in a zone {zone:?}; they are in: {known}")]
    UnknownZone {
        /// What was asked for.
        zone: String,
        /// Where there are some.
        known: String,
    },
    /// Accounts call different zones by one name.
    #[error("{zone:?} is another zone in another account; name its id: {ids}")]
    AmbiguousZone {
        /// What was asked for.
        zone: String,
        /// What it can mean.
        ids: String,
    },
}

/// Looks that have been asked for.
pub struct Looks {
    /// At these sources.
    pub sources: Vec<SourceName>,
    /// What comes of each, as it ends; closed after the last. Dropped, nothing is accepted any more.
    pub rounds: mpsc::Receiver<SourceRound>,
}

/// What came of a look at one source.
#[derive(Clone, Debug)]
pub struct SourceRound {
    /// The source.
    pub source: SourceName,
    /// How it ended.
    pub outcome: RoundOutcome,
    /// Why what was in force was kept.
    pub reason: Option<String>,
    /// The table that it led to.
    pub publication: Option<Arc<Publication>>,
}

/// One order, with the way back.
pub(super) enum Order {
    /// Look at one source, or at all, now.
    Look {
        source: Option<String>,
        /// Whether the guard is overruled.
        accept: bool,
        told: oneshot::Sender<Result<Looks, OrderError>>,
    },
    /// Take a zone out of the answers, or put it back.
    Zone { zone: String, drain: bool, told: oneshot::Sender<Result<ZoneReport, OrderError>> },
}

/// The looks that somebody waits for.
#[derive(Default)]
pub(super) struct Awaited(Vec<Wait>);

/// What one asker waits for.
struct Wait {
    /// Looks that began with this ticket or a later one count.
    ticket: u64,
    accept: bool,
    open: Vec<SourceName>,
    told: mpsc::Sender<SourceRound>,
}

// === impl Control ===

impl Control {
    /// One with its other end.
    pub(super) fn new() -> (Control, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        (Control(orders), received)
    }

    /// One that reaches nobody.
    #[cfg(test)]
    pub(crate) fn unheard() -> Control {
        Control::new().0
    }

    /// Has the source of this name, or all, looked at now. With `accept` what is found is believed
    /// whatever goes by it, as long as the answer is waited for.
    pub async fn look(&self, source: Option<String>, accept: bool) -> Result<Looks, OrderError> {
        self.order(|told| Order::Look { source, accept, told }).await?
    }

    /// Takes a zone, by its name or its id, out of the answers, or puts it back.
    pub async fn drain(&self, zone: String, drain: bool) -> Result<ZoneReport, OrderError> {
        self.order(|told| Order::Zone { zone, drain, told }).await?
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<T>) -> Order,
    ) -> Result<T, OrderError> {
        let (told, answer) = oneshot::channel();
        self.0.send(order(told)).await.map_err(|_| OrderError::Ended)?;
        answer.await.map_err(|_| OrderError::Ended)
    }
}

// === impl Awaited ===

impl Awaited {
    /// Somebody waits for these sources' looks from `ticket` on.
    pub(super) fn add(
        &mut self,
        ticket: u64,
        accept: bool,
        sources: Vec<SourceName>,
    ) -> mpsc::Receiver<SourceRound> {
        self.leave();
        let (told, rounds) = mpsc::channel(sources.len().max(1));
        self.0.push(Wait { ticket, accept, open: sources, told });
        rounds
    }

    /// Whether somebody who waits for this look wants it believed.
    pub(super) fn accepts(&mut self, source: &SourceName, ticket: u64) -> bool {
        self.leave();
        self.0.iter().any(|wait| wait.accept && wait.is_for(source, ticket))
    }

    /// A look has ended.
    pub(super) fn ended(&mut self, ticket: u64, round: &SourceRound) {
        for wait in self.0.iter_mut().filter(|wait| wait.is_for(&round.source, ticket)) {
            wait.open.retain(|source| *source != round.source);
            // There is room for each of its sources; and who has gone need not be told.
            let _ = wait.told.try_send(round.clone());
        }
        self.leave();
    }

    /// Sources that a reload has removed are waited for no longer.
    pub(super) fn keep(&mut self, stays: &dyn Fn(&SourceName) -> bool) {
        for wait in &mut self.0 {
            wait.open.retain(stays);
        }
        self.leave();
    }

    /// Forgets who has been told everything, or has gone.
    fn leave(&mut self) {
        self.0.retain(|wait| !wait.open.is_empty() && !wait.told.is_closed());
    }
}

// === impl Wait ===

impl Wait {
    fn is_for(&self, source: &SourceName, ticket: u64) -> bool {
        self.ticket <= ticket && self.open.contains(source)
    }
}

#[cfg(test)]
mod tests {
    use super::{Awaited, SourceRound};
    use crate::telemetry::RoundOutcome;

    fn round(source: &str) -> SourceRound {
        SourceRound {
            source: source.into(),
            outcome: RoundOutcome::Unchanged,
            reason: None,
            publication: None,
        }
    }

    #[test]
    fn a_look_that_began_before_the_order_is_neither_told_nor_accepted() {
        let mut awaited = Awaited::default();
        let mut rounds = awaited.add(7, true, vec!["hub".into(), "other".into()]);
        assert!(!awaited.accepts(&"hub".into(), 6));
        awaited.ended(6, &round("hub"));
        assert!(rounds.try_recv().is_err());
        assert!(awaited.accepts(&"hub".into(), 7));
        awaited.ended(7, &round("hub"));
        assert_eq!(rounds.try_recv().unwrap().source, "hub".into());
        // Once, and not for good.
        assert!(!awaited.accepts(&"hub".into(), 8));
        assert!(awaited.accepts(&"other".into(), 8));
        awaited.keep(&|source| source.as_str() != "other");
        assert!(rounds.try_recv().is_err() && rounds.is_closed(), "nothing more will come");
    }

    #[test]
    fn who_has_gone_accepts_nothing() {
        let mut awaited = Awaited::default();
        let rounds = awaited.add(1, true, vec!["hub".into()]);
        drop(rounds);
        assert!(!awaited.accepts(&"hub".into(), 1));
        assert!(awaited.0.is_empty());
    }
}
