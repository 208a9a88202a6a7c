//! Asks upstreams for what is not ours: cache, one flight a question, stale answers, limits.

mod config;

pub use config::{ForwardConfig, ForwardZone};
