//! Decides what to do with a question, does it, and explains it.
//!
//! [`decide`] is the one place where that is decided; every transport and [`explain`] come through
//! it, so what `explain` prints is what clients get.

mod chain;
mod cookies;
mod decide;
mod exempt;
mod explain;
mod follow;
mod observe;
mod octets;
#[cfg(any(test, fuzzing))]
pub mod parity;
mod pending;
mod rates;
mod records;
mod respond;
mod rotation;
mod sender;
mod session;
mod settings;
mod tell;
mod trial;
mod uncovered;

pub use cookies::Cookies;
pub use decide::{Asked, Decided, Decision, Refusal, ServerFact, Told, Vantage, decide};
pub use exempt::Exempt;
pub use explain::{Explanation, Given, LineKind, explain};
pub use pending::Pending;
pub use rates::Rates;
pub use respond::Responder;
pub use session::{Session, Step};
pub use settings::{About, Settings};
pub use trial::{Trial, TrialError, ask_as_client, here};
pub use uncovered::{Objection, Standing, Uncovered, uncovered};

#[cfg(test)]
mod tests;
