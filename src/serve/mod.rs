//! Sockets and transports: a packet in, `answer`'s bytes out, within limits.

mod config;

pub use config::{ListenAddress, ServeConfig};
