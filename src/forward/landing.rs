//! How a flight's outcome reaches those who wait for it, and who carries it until then.
//!
//! Whoever asks first carries the flight in its own task, which spares a second one; if it leaves,
//! the flight goes on by itself.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::task::TaskTracker;

use super::error::ForwardError;
use crate::wire::Relay;

/// What a flight brings back.
pub(super) type Outcome = Result<Arc<Relay>, ForwardError>;
/// A flight until its outcome.
pub(super) type Flying = BoxFuture<'static, Outcome>;

/// Where a flight's outcome is told to all who wait for it.
#[derive(Default)]
pub(super) struct Landing {
    outcome: OnceLock<Outcome>,
    landed: Notify,
}

/// A flight that somebody waits for.
pub(super) struct Carried<'t> {
    flying: Option<Flying>,
    tasks: &'t TaskTracker,
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
