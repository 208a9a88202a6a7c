//! What we choose to say, and what we decline to say and why.
//!
//! A pure step from [`Inventory`](crate::inventory::Inventory) to [`Plan`]: no clock, no I/O.
//! Every (endpoint, name) pair of the inventory ends here, in each view, as one [`Claim`] or one
//! [`Declined`].

mod config;
mod plan;

pub use config::{Alias, AliasTarget, PolicyConfig, ServiceRule, ViewConfig};
pub use plan::{Address, Caveat, Claim, Declined, Origin, Plan, Precedence, Reason, ViewPlan};
