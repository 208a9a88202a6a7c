//! The flights under way: how an outcome reaches those who wait for it, and who carries it so long.
//!
//! Whoever asks first carries the flight in its own task, which spares a second one; if it leaves,
//! the flight goes on by itself.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use foldhash::quality::RandomState;
use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::task::TaskTracker;

use super::{error::ForwardError, key::Key};
use crate::wire::{Question, Relay};

/// What a flight brings back.
pub(super) type Outcome = Result<Heard, ForwardError>;
/// A flight until its outcome.
pub(super) type Flying = BoxFuture<'static, Outcome>;

/// A response, and whose.
#[derive(Clone)]
pub(super) struct Heard {
    pub(super) relay: Arc<Relay>,
    pub(super) upstream: SocketAddr,
}

/// Where a flight's outcome is told to all who wait for it.
#[derive(Default)]
pub(super) struct Landing {
    outcome: OnceLock<Outcome>,
    landed: Notify,
}

/// The questions that upstreams are being asked.
#[derive(Default)]
pub(super) struct Flights {
    /// A flight knows by its own whether it is still wanted. Clients choose the names: the seed of
    /// the hash is another in each process.
    pub(super) landings: HashMap<Key, Arc<Landing>, RandomState>,
}

/// A flight that somebody waits for.
pub(super) struct Carried<'t> {
    flying: Option<Flying>,
    tasks: &'t TaskTracker,
}

// === impl Flights ===

impl Flights {
    /// Whether the flight with this landing is in the list: a flush takes it out, and then what it
    /// brings is too old to be kept.
    pub(super) fn has(&self, key: &Key, landing: &Arc<Landing>) -> bool {
        self.landings.get(key).is_some_and(|it| Arc::ptr_eq(it, landing))
    }

    /// How many flights there are for this name and type, with and without DO and CD: whoever
    /// passes a question on may set these anew.
    pub(super) fn variants(&self, key: &Key) -> usize {
        let variant = |(dnssec_ok, checking_disabled)| {
            let question = Question { dnssec_ok, checking_disabled, ..key.question.clone() };
            Key { question, ..*key }
        };
        let all = [(false, false), (false, true), (true, false), (true, true)];
        all.map(variant).iter().filter(|it| self.landings.contains_key(it)).count()
    }
}

// === impl Landing ===

impl Landing {
    /// Tells the outcome, once.
    pub(super) fn tell(&self, outcome: Outcome) {
        let _ = self.outcome.set(outcome);
        self.landed.notify_waiters();
    }

    /// Waits for the outcome.
    pub(super) async fn outcome(&self) -> Outcome {
        let landed = self.landed.notified();
        if self.outcome.get().is_none() {
            landed.await;
        }
        self.outcome.get().cloned().unwrap_or(Err(ForwardError::Unusable))
    }
}

// === impl Carried ===

impl<'t> Carried<'t> {
    /// `tasks` take it over when it is not waited for any more.
    pub(super) fn new(flying: Flying, tasks: &'t TaskTracker) -> Self {
        Self { flying: Some(flying), tasks }
    }
}

impl Future for Carried<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        // One that panics is not put back.
        let Some(mut flying) = self.flying.take() else { return Poll::Pending };
        let polled = flying.as_mut().poll(context);
        if polled.is_pending() {
            self.flying = Some(flying);
        }
        polled
    }
}

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        // At the end of the runtime there is nobody to go on for.
        if let (Some(flying), Ok(runtime)) = (self.flying.take(), Handle::try_current()) {
            self.tasks.spawn_on(flying, &runtime);
        }
    }
}
