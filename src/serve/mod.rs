//! Sockets and transports: a packet in, `answer`'s bytes out, within limits.
//!
//! No policy and no answer is made here. A reply always leaves from the address that was asked.

mod batch;
mod bind;
mod config;
mod connections;
mod server;
mod tcp;
mod udp;

pub use bind::{BindError, Bound, bind};
pub use config::{ListenAddress, ServeConfig};
pub use server::{Opened, Refused, Server};
