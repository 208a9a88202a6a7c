//! Tells of queries, as lines of JSON, by dnstap and as spans of traces, what became of each.
//!
//! It never waits for a file or a socket where answers are made: what they do not take is dropped,
//! and counted. Nothing is written, and nothing is formatted, by who answers.

#[cfg(feature = "otlp")]
mod collector;
mod config;
mod dnstap;
mod line;
mod observers;
#[cfg(feature = "otlp")]
mod otlp;
mod proto;
mod queue;
mod sampling;
mod stream;
mod writer;
#[cfg(test)]
mod tests;

pub use config::{
    DECISIONS, DnstapConfig, Filter, ObserversConfig, OtlpConfig, QueryLogConfig, Rate,
};
pub use observers::{Observed, Observers};
pub use sampling::{QueryId, Sampler, Wanted};
pub use writer::{OpenError, Outlet, Writes};
