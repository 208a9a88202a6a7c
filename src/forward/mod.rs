//! Asks upstreams for what is not ours: cache, one flight a question, stale answers, limits.
//!
//! What comes back is an upstream's response whole, or an error that says in the field's own codes
//! why there is none. It never decides what is ours and never answers NXDOMAIN of its own.

mod address;
mod allowance;
mod answered;
mod budget;
mod cache;
mod choice;
mod config;
mod datagrams;
mod error;
mod exchange;
mod fault;
mod flight;
#[cfg(fuzzing)]
pub mod fuzzing;
mod forwarder;
mod habit;
mod key;
mod landing;
mod latency;
mod line;
mod lookup;
mod loops;
mod peers;
mod port;
mod ports;
mod probing;
mod realms;
mod report;
mod routes;
mod stream;
mod transmission;
mod trust;
mod upstream;

pub use address::{AddressError, UpstreamAddress};
pub use allowance::Allowance;
pub use answered::Answered;
pub use budget::BudgetStanding;
pub use cache::Remembered;
pub use config::{
    BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig, ForwardZone, LookupConfig,
    LookupFrom, ViewForward, Way, every_upstream,
};
pub use error::ForwardError;
pub use flight::DEADLINE;
pub use forwarder::Forwarder;
pub use key::{Key, Realm, Sought};
pub use lookup::HostLookup;
pub use loops::Loop;
pub use peers::{PeerError, ask_peer};
pub use probing::Look;
pub use report::{AskedFor, UpstreamReport};
pub use trust::{Trust, TrustError};
