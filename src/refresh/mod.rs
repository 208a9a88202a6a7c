//! The control loop: discover, decide, compile, publish. The one writer of the table.

mod config;

pub use config::RefreshConfig;
