//! The control loop: discover, decide, compile, publish. The one writer of the table.

mod config;
mod status;

pub use config::RefreshConfig;
pub use status::{RoundReport, SourceStatus, Status};
