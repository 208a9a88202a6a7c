//! From those who answer to those who write: bounded, and never waited for at its entrance.
//!
//! Whoever writes comes to look. Nobody is woken, since that would be a call to the kernel for each
//! query of an idle server, by a thread that answers.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

use crate::telemetry::{Metrics, Output, Untold};

/// Records on their way to one output. Between two looks, [`LOOK`] apart, 250,000 queries a second
/// are 5,000; the rest is for a disk that takes 40 ms. At some 400 octets each, 6 MB.
pub(super) const QUEUE_MAX: usize = 16_384;
/// How long a writer rests when there is nothing to write.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// Where records come in.
pub(super) struct Entrance<T> {
    sender: SyncSender<T>,
    output: Output,
    metrics: Arc<Metrics>,
}

/// Where they are taken out.
pub(super) struct Exit<T> {
    receiver: Receiver<T>,
    output: Output,
    metrics: Arc<Metrics>,
}

/// What a look has found.
pub(super) enum Found<T> {
    /// A record.
    One(T),
    /// None at the moment.
    Nothing,
    /// None, and none will come.
    Closed,
}

/// Both ends of a queue.
pub(super) fn queue<T>(output: Output, metrics: &Arc<Metrics>) -> (Entrance<T>, Exit<T>) {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    let entrance = Entrance { sender, output, metrics: Arc::clone(metrics) };
    (entrance, Exit { receiver, output, metrics: Arc::clone(metrics) })
}

// === impl Entrance ===

impl<T> Entrance<T> {
    /// Hands a record over; one for which there is no room is counted, and gone.
    pub(super) fn put(&self, record: T) {
        if self.sender.try_send(record).is_err() {
            self.metrics.told.untold(self.output, Untold::Queue, 1);
        }
    }
}

// === impl Exit ===

impl<T> Exit<T> {
    /// Looks for the next.
    pub(super) fn next(&self) -> Found<T> {
        match self.receiver.try_recv() {
            Ok(record) => Found::One(record),
            Err(TryRecvError::Empty) => Found::Nothing,
            Err(TryRecvError::Disconnected) => Found::Closed,
        }
    }

    /// Counts what was written.
    pub(super) fn told(&self, records: u64) {
        self.metrics.told.told(self.output, records);
    }

    /// Counts what was not.
    pub(super) fn untold(&self, why: Untold, records: u64) {
        self.metrics.told.untold(self.output, why, records);
    }
}
