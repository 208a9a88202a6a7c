//! What the control socket asks of the daemon's own task: whatever changes more than one room.
//!
//! Orders wait in one queue and are carried out one after the other, together with signals, so two
//! of them never meet.

use std::time::Duration;

use tokio::sync::oneshot;

use super::json::{DrainDocument, ReloadDocument};
use crate::base::Name;

/// Orders that wait. As many as the control socket has connections, so that none is turned away.
pub const ORDERS_MAX: usize = 32;

/// One order, and where its outcome is told. That nobody waits for it any more is no reason to
/// leave it undone.
#[derive(Debug)]
pub enum Order {
    /// Read the configuration again and put it in force.
    Reload(oneshot::Sender<ReloadDocument>),
    /// Tell what a reload of this text, which stands in that file, would do beside its answers.
    Rehearse(String, String, oneshot::Sender<ReloadDocument>),
    /// Forget what upstreams said of a name and all below it, or everything; how much that was.
    Flush(Option<Name>, oneshot::Sender<u64>),
    /// Be not ready from now on, and end after this time.
    Drain(Duration, oneshot::Sender<DrainDocument>),
    /// Be ready again.
    Undrain(oneshot::Sender<DrainDocument>),
}
