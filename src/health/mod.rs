//! Probes of endpoint interfaces. Read by `refresh`, never by the query path.

mod config;

pub use config::HealthConfig;
