//! What others need to send names to us: Route 53 rules, forwarders, a zone file, permissions.
//!
//! Pure: from a table or a configuration to text, and never asks or writes anything.

mod domains;
mod forwarders;
mod iam;
mod rules;
mod spelled;
mod templates;
mod zone;
#[cfg(test)]
mod tests;

pub use domains::{Routes, Scope, domains, routes};
pub use forwarders::{ForwarderError, Software, forwarders};
pub use iam::{NoPolicy, guessed, iam_policy};
pub use rules::{Rules, RulesError};
pub use spelled::Strange;
pub use templates::{cloudformation, json, terraform};
pub use zone::zone_file;
