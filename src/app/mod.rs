//! Builds the rooms, owns the tasks, the signals and the order of the end.
//!
//! Nothing is decided here but the order: what is needed first is made first, and what others need
//! ends last.

mod allowance;
mod cookies;
mod daemon;
mod doors;
mod drain;
mod effects;
mod gateways;
mod handover;
mod last_good;
mod loops;
mod offline;
mod reload;
mod requests;
mod runtimes;
mod start;
mod systemd;
mod traffic;
mod watchdog;

/// For commands that ask other hubs, and what is served and answers here.
pub use crate::{
    answer::here,
    forward::{PeerError, ask_peer},
    health::{HandshakeError, covered},
    serve::{Certificate, DESCRIPTORS_WANTED, RECEIVE_BUFFER_BYTES, Service},
};
pub use daemon::{Daemon, StartError, now_secs};
pub use effects::effects;
pub use gateways::{LeftToUpstream, look_at_gateways};
pub use handover::Inheritance;
pub use last_good::state_file_doubt;
pub use offline::{
    Asked, OfflineError, accepts_tcp, ask_sources, ask_upstreams, known_inventory,
    offline_inventory, offline_table, table_asked, table_of, unread_recordings,
};
pub use reload::Loader;
pub use runtimes::Runtimes;
pub use start::{Held, certificate_doubts, host_lookup, try_places, try_with};
pub use systemd::is_below_systemd;
