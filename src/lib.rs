//! hubdns: an in-VPC DNS resolver that answers AWS interface endpoint names with their private
//! addresses, found by discovery, and forwards everything else.
//!
//! Each module is a room. A room imports only rooms above it in this list; `tests/tidy.rs` holds
//! the order, and `docs/ARCHITECTURE.md` tells what each is for.

pub mod base;
pub mod wire;
pub mod inventory;
pub mod coverage;
pub mod telemetry;
pub mod policy;
pub mod discover;
pub mod forward;
pub mod table;
pub mod querylog;
pub mod answer;
pub mod health;
pub mod refresh;
pub mod serve;
pub mod admin;
pub mod config;
pub mod app;
pub mod preview;
pub mod migrate;
pub mod export;
pub mod cli;
