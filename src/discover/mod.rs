//! Asks EC2, or reads files, for the inventory; keeps the last good one on disk.

mod config;

pub use config::{SourceConfig, SourceKind};
