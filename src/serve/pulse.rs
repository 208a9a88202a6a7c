//! Whether a thread that reads a socket still comes round.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Of one thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulse {
    address: SocketAddr,
    turned: Arc<AtomicBool>,
}

// === impl Pulse ===

impl Pulse {
    /// Of a thread that reads this address.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, turned: Arc::default() }
    }

    /// The address that it reads.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The thread has come round.
    pub fn turn(&self) {
        // Mostly it has been said already, and then nothing is written.
        if !self.turned.load(Ordering::Relaxed) {
            self.turned.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it has since this was last asked.
    pub fn has_turned(&self) -> bool {
        self.turned.swap(false, Ordering::Relaxed)
    }
}
