//! The control loop: discover, decide, compile, publish. The one writer of the table.
//!
//! A failure keeps what we have. A start without AWS is the ordinary path with an older input.

mod compiled;
mod config;
mod known;
mod refresher;
mod retire;
mod scout;
mod state;
mod status;
mod step;

pub use config::RefreshConfig;
pub use refresher::{Inputs, Reconfigure, Refresher};
pub use retire::retire;
pub use status::{RoundReport, SourceStatus, Status};
