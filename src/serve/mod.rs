//! Sockets and transports: a packet in, `answer`'s bytes out, within limits.
//!
//! No policy and no answer is made here. A reply always leaves from the address that was asked.

mod accept;
mod batch;
mod bind;
mod certificate;
mod config;
mod connections;
mod encryption;
mod https;
mod server;
mod tcp;
mod udp;

pub use bind::{BindError, Bound, bind};
pub use certificate::{Certificate, CertificateError, Doubt, PemFile, Validity};
pub use config::{Entry, HttpsConfig, ListenAddress, ServeConfig, Service, TlsConfig};
pub use server::{Opened, Refused, Server};
