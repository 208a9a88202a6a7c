//! From those who answer to those who write: bounded, and never waited for at its entrance.
//!
//! Whoever writes comes to look. Nobody is woken, since that would be a call to the kernel for each
//! query of an idle server, by a thread that answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    time::Duration,
};

use crate::telemetry::{Metrics, Output, Untold};

/// Records on their way to one output. Between two looks, [`LOOK`] apart, 250,000 queries a second
/// are 5,000; the rest is for a disk that takes 40 ms. At some 400 octets each, 6 MB.
pub(super) const QUEUE_MAX: usize = 16_384;
/// Octets that they hold besides, together. 16,384 queries with common answers are 10 MB; it is answers of
/// 60 kB, by TCP, that would be a gigabyte.
pub(super) const OCTETS_MAX: usize = 16 * 1024 * 1024;
/// How long a writer rests when there is nothing to write.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// What waits to be told.
pub(super) trait Record {
    /// Octets that it holds besides itself.
    fn octets(&self) -> usize;
}

/// Where records come in.
pub(super) struct Entrance<T> {
    sender: SyncSender<T>,
    octets: Arc<AtomicUsize>,
    output: Output,
    metrics: Arc<Metrics>,
}

/// Where they are taken out.
pub(super) struct Exit<T> {
    receiver: Receiver<T>,
    octets: Arc<AtomicUsize>,
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
    let octets = Arc::new(AtomicUsize::new(0));
    let (entered, metrics) = (Arc::clone(&octets), Arc::clone(metrics));
    let entrance = Entrance { sender, octets: entered, output, metrics: Arc::clone(&metrics) };
    (entrance, Exit { receiver, octets, output, metrics })
}

// === impl Entrance ===

impl<T: Record> Entrance<T> {
    /// Hands a record over; one for which there is no room is counted, and gone.
    pub(super) fn put(&self, record: T) {
        let octets = record.octets();
        if self.takes(octets) && self.sender.try_send(record).is_ok() {
            return;
        }
        self.octets.fetch_sub(octets, Relaxed);
        self.metrics.told.untold(self.output, Untold::Queue, 1);
    }

    /// Counts them; whether there is room.
    fn takes(&self, octets: usize) -> bool {
        octets == 0 || self.octets.fetch_add(octets, Relaxed) + octets <= OCTETS_MAX
    }
}

// === impl Exit ===

impl<T: Record> Exit<T> {
    /// Looks for the next.
    pub(super) fn next(&self) -> Found<T> {
        match self.receiver.try_recv() {
            Ok(record) => {
                self.octets.fetch_sub(record.octets(), Relaxed);
                Found::One(record)
            }
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
