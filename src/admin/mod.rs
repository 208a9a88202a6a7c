//! HTTP for people and Prometheus: metrics, live, ready, the JSON API.

mod config;

pub use config::AdminConfig;
