//! Every metric with its labels, and the set-up of the log.

mod config;

pub use config::{LogConfig, LogFormat};
