//! Work that takes a while, told to a collector of traces where one is configured.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use prometheus::IntCounter;

/// Pieces of work that wait to be told. 200 sources that answer at once are a round each; the
/// collector's thread comes to look 50 times a second.
const WAITING_MAX: usize = 1_024;

/// A piece of work that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What it was, in a few words that are always the same.
    pub name: &'static str,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// More of it: a key, and a text.
    pub attributes: Vec<(&'static str, String)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// What it was made of.
    pub steps: Vec<Step>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it was.
    pub name: &'static str,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
}

/// The way to who tells a collector; nobody does unless one is configured.
#[derive(Debug)]
pub struct Spans {
    sender: Mutex<Option<SyncSender<Span>>>,
    /// Counts what there was no room for.
    dropped: Option<IntCounter>,
}

// === impl Spans ===

impl Spans {
    /// Nobody listens yet.
    pub(super) fn new(dropped: Option<IntCounter>) -> Self {
        Self { sender: Mutex::default(), dropped }
    }

    /// From now on what is told comes here, and to nobody else.
    pub fn open(&self) -> Receiver<Span> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Tells of a piece of work, which is made only if somebody listens. Waits for nobody; what there
    /// is no room for is dropped, and counted. Not for queries: it takes a lock.
    pub fn tell(&self, make: impl FnOnce() -> Span) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = sender.as_ref() else { return };
        match open.try_send(make()) {
            Ok(()) => (),
            Err(TrySendError::Full(_)) => self.dropped.iter().for_each(IntCounter::inc),
            Err(TrySendError::Disconnected(_)) => *sender = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Span, WAITING_MAX};
    use crate::telemetry::Metrics;

    fn span() -> Span {
        Span {
            name: "reload",
            began: Instant::now(),
            took: Duration::from_millis(5),
            attributes: vec![],
            error: None,
            steps: vec![],
        }
    }

    #[test]
    fn work_is_told_to_who_came_last_and_made_for_nobody() {
        let metrics = Metrics::new().unwrap();
        let spans = &metrics.spans;
        spans.tell(|| panic!("nobody listens"));
        let first = spans.open();
        spans.tell(span);
        let second = spans.open();
        spans.tell(span);
        assert_eq!((first.try_iter().count(), second.try_iter().count()), (1, 1));
        for _ in 0..2 * WAITING_MAX {
            spans.tell(span);
        }
        assert_eq!(second.try_iter().count(), WAITING_MAX);
        let dropped = "hubdns_query_log_dropped_total{output=\"otlp\",reason=\"queue\"}";
        let page = metrics.render().unwrap();
        assert!(page.contains(&format!("{dropped} {WAITING_MAX}\n")), "{page}");
        drop(second);
        spans.tell(span);
        spans.tell(|| panic!("nobody listens any more"));
    }
}
