//! Queries and answers as dnstap has them: a protobuf message for each, encoded by hand.
//!
//! The schema is that of <https://dnstap.info>; a generator and its runtime would be a hundred times
//! the few fields that a resolver's clients need.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    line::Clocks,
    observers::Observed,
    proto::{put_address, put_fixed, put_number, put_octets},
    queue::Record,
};
use crate::telemetry::Proto;

/// `Dnstap`: its fields, and the type of its only payload.
mod envelope {
    pub(super) const IDENTITY: u64 = 1;
    pub(super) const VERSION: u64 = 2;
    pub(super) const MESSAGE: u64 = 14;
    pub(super) const TYPE: u64 = 15;
    pub(super) const TYPE_MESSAGE: u64 = 1;
}

/// `Message`: its fields, and the values that we have.
mod message {
    pub(super) const TYPE: u64 = 1;
    pub(super) const SOCKET_FAMILY: u64 = 2;
    pub(super) const SOCKET_PROTOCOL: u64 = 3;
    pub(super) const QUERY_ADDRESS: u64 = 4;
    pub(super) const RESPONSE_ADDRESS: u64 = 5;
    pub(super) const QUERY_PORT: u64 = 6;
    pub(super) const RESPONSE_PORT: u64 = 7;
    pub(super) const QUERY_TIME_SEC: u64 = 8;
    pub(super) const QUERY_TIME_NSEC: u64 = 9;
    pub(super) const QUERY_MESSAGE: u64 = 10;
    pub(super) const RESPONSE_TIME_SEC: u64 = 12;
    pub(super) const RESPONSE_TIME_NSEC: u64 = 13;
    pub(super) const RESPONSE_MESSAGE: u64 = 14;
    pub(super) const CLIENT_QUERY: u64 = 5;
    pub(super) const CLIENT_RESPONSE: u64 = 6;
    pub(super) const INET: u64 = 1;
    pub(super) const INET6: u64 = 2;
}

/// A query and its answer as they wait to be sent. They are copied once, into memory of their own.
pub(super) struct Exchange {
    came: Instant,
    took: Duration,
    client: SocketAddr,
    listener: SocketAddr,
    proto: Proto,
    /// The query, and behind it the answer.
    octets: Box<[u8]>,
    query_len: usize,
}

/// Who sends.
pub(super) struct Sender {
    pub(super) identity: Box<[u8]>,
    pub(super) version: &'static [u8],
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn new(query: &Observed<'_>) -> Self {
        Self {
            came: query.came,
            took: query.took,
            client: query.client,
            listener: query.listener,
            proto: query.proto,
            octets: [query.packet, query.reply].concat().into(),
            query_len: query.packet.len(),
        }
    }

    /// Adds a frame for the query, and one for the answer if there was one. Tells how many.
    pub(super) fn write(&self, sender: &Sender, clocks: Clocks, out: &mut Vec<u8>) -> u64 {
        let (query, reply) = self.octets.split_at(self.query_len);
        frame(out, &sender.wrapped(&self.message(message::CLIENT_QUERY, query, &[], clocks)));
        if reply.is_empty() {
            return 1;
        }
        frame(out, &sender.wrapped(&self.message(message::CLIENT_RESPONSE, &[], reply, clocks)));
        2
    }

    /// The `Message` of one of the two.
    fn message(&self, kind: u64, query: &[u8], reply: &[u8], clocks: Clocks) -> Vec<u8> {
        let (client, listener) =
            (self.client.ip().to_canonical(), self.listener.ip().to_canonical());
        let protocol = match self.proto {
            Proto::Udp => 1,
            Proto::Tcp => 2,
            Proto::Tls => 3,
            Proto::Https => 4,
        };
        let family = if client.is_ipv4() { message::INET } else { message::INET6 };
        let mut out = Vec::with_capacity(96 + query.len() + reply.len());
        put_number(&mut out, message::TYPE, kind);
        put_number(&mut out, message::SOCKET_FAMILY, family);
        put_number(&mut out, message::SOCKET_PROTOCOL, protocol);
        put_address(&mut out, message::QUERY_ADDRESS, client);
        put_address(&mut out, message::RESPONSE_ADDRESS, listener);
        put_number(&mut out, message::QUERY_PORT, self.client.port().into());
        put_number(&mut out, message::RESPONSE_PORT, self.listener.port().into());
        let asked = clocks.wall_at(self.came);
        put_number(&mut out, message::QUERY_TIME_SEC, asked.as_secs());
        put_fixed(&mut out, message::QUERY_TIME_NSEC, asked.subsec_nanos());
        if !query.is_empty() {
            put_octets(&mut out, message::QUERY_MESSAGE, query);
        }
        if !reply.is_empty() {
            let answered = asked.saturating_add(self.took);
            put_number(&mut out, message::RESPONSE_TIME_SEC, answered.as_secs());
            put_fixed(&mut out, message::RESPONSE_TIME_NSEC, answered.subsec_nanos());
            put_octets(&mut out, message::RESPONSE_MESSAGE, reply);
        }
        out
    }
}

impl Record for Exchange {
    fn octets(&self) -> usize {
        self.octets.len()
    }
}

// === impl Sender ===

impl Sender {
    /// The `Dnstap` around a `Message`.
    fn wrapped(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.identity.len() + message.len());
        put_octets(&mut out, envelope::IDENTITY, &self.identity);
        put_octets(&mut out, envelope::VERSION, self.version);
        put_octets(&mut out, envelope::MESSAGE, message);
        put_number(&mut out, envelope::TYPE, envelope::TYPE_MESSAGE);
        out
    }
}

/// Adds a data frame of a frame stream: its length, and itself. Two packets and little else, so
/// its length fits.
fn frame(out: &mut Vec<u8>, content: &[u8]) {
    out.extend_from_slice(&u32::try_from(content.len()).unwrap_or_default().to_be_bytes());
    out.extend_from_slice(content);
}
