//! Which names AWS's SDKs call, and how often public addresses of them were told.
//!
//! Knows names and counts; whether an endpoint has one of them, and why it is not answered, is for
//! others to say. It asks nobody, and holds no name that a client chose unless it is told to.

mod counts;
mod kept;
mod names;

pub use counts::{Coverage, CoverageConfig, Leak, Mark};
pub use kept::NAMES_MAX;
pub use names::{Covering, Host, Known};
