//! What the daemon's task is asked for: signals and orders, one after the other.

use std::time::Duration;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
};

use super::daemon::StartError;
use crate::{
    admin::{
        ORDERS_MAX, Order,
        json::{DrainDocument, ReloadDocument},
    },
    base::Name,
};

/// What is asked for.
pub(super) enum Asked {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP, or orders; to be told to all who wait for it.
    Reload(Vec<oneshot::Sender<ReloadDocument>>),
    /// What a reload of a text would do; its text and its file.
    Rehearse(String, String, oneshot::Sender<ReloadDocument>),
    /// Forget what upstreams said.
    Flush(Option<Name>, oneshot::Sender<u64>),
    /// Be not ready, and end after a time.
    Drain(Duration, oneshot::Sender<DrainDocument>),
    /// Be ready again.
    Undrain(oneshot::Sender<DrainDocument>),
}

/// Where that comes from.
pub(super) struct Requests {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    orders: mpsc::Receiver<Order>,
    /// What came in between reloads that were taken together.
    next: Option<Order>,
}

// === impl Requests ===

impl Requests {
    pub(super) fn new(orders: mpsc::Receiver<Order>) -> Result<Self, StartError> {
        let listen = |kind| {
            signal(kind).map_err(|source| StartError::System {
                what: "signals cannot be listened to",
                source,
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            orders,
            next: None,
        })
    }

    /// The next. The end comes first, whatever waits.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload(Vec::new()),
            order = next_order(&mut self.next, &mut self.orders) => self.taken(order),
        }
    }

    /// Reloads that wait are one: each of them was asked for before the file is read.
    fn taken(&mut self, order: Order) -> Asked {
        let first = match order {
            Order::Reload(done) => done,
            Order::Rehearse(text, file, done) => return Asked::Rehearse(text, file, done),
            Order::Flush(name, done) => return Asked::Flush(name, done),
            Order::Drain(lasts, done) => return Asked::Drain(lasts, done),
            Order::Undrain(done) => return Asked::Undrain(done),
        };
        let mut all = vec![first];
        while all.len() < ORDERS_MAX {
            match self.orders.try_recv() {
                Ok(Order::Reload(done)) => all.push(done),
                Ok(other) => {
                    self.next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        Asked::Reload(all)
    }
}

/// The order that was taken out before, else the next of the queue.
async fn next_order(before: &mut Option<Order>, orders: &mut mpsc::Receiver<Order>) -> Order {
    match before.take() {
        Some(order) => order,
        None => match orders.recv().await {
            Some(order) => order,
            // Nobody is left who could send one: there is neither listener nor control socket.
            None => std::future::pending().await,
        },
    }
}
