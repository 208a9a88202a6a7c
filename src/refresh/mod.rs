//! The control loop: discover, decide, compile, publish. The one writer of the table.
//!
//! A failure keeps what we have. A start without AWS is the ordinary path with an older input.

mod begin;
mod compiled;
mod config;
mod configuring;
mod drains;
mod history;
mod known;
#[cfg(test)]
mod model;
mod order;
mod probing;
mod refresher;
mod retire;
mod rounds;
mod scout;
mod state;
mod status;
mod step;

pub use config::RefreshConfig;
pub use configuring::{Configurations, Configurer, configuring};
pub use drains::ZoneReport;
pub use history::{Cause, Publication, Publications};
pub use order::{Control, Looks, OrderError, SourceRound};
pub use refresher::{Inputs, Refresher};
pub use retire::retire;
pub use status::{RoundReport, SourceStatus, Status, Unkept};
