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
mod inherit;
mod pulse;
mod server;
mod tcp;
mod udp;

/// The largest question looked at by UDP and HTTPS: a query with every option there is stays far
/// below. By HTTPS 63 of them on each of 4,096 connections are 1 GB, where 65,535 octets would make
/// 17.
const QUERY_MAX: usize = 4_096;

pub use bind::{BindError, Bound, RECEIVE_BUFFER_BYTES, bind, overlapping};
pub use certificate::{Certificate, CertificateError, Doubt, PemFile, Validity};
pub use config::{Entry, HttpsConfig, ListenAddress, ServeConfig, Service, TlsConfig};
pub use connections::DESCRIPTORS_WANTED;
pub use inherit::{Inherited, Unfit, held_name, sockets};
pub use pulse::Pulse;
pub use server::{End, Opened, Refused, Server};
