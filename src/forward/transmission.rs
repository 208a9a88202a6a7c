//! One query on its way by UDP, and what a packet that comes for it is.
//!
//! It weighs packets and believes nothing yet: what follows from one is its exchange's to decide.

use std::{
    io,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{
    port::Packet,
    ports::{Place, Ports},
};
use crate::{
    base::Rcode,
    telemetry::UpstreamMismatch,
    wire::{Mismatch, Question, Relay, RelayError, Sent},
};

/// A query, and where its answer comes to.
pub(super) struct Transmission {
    pub(super) sent: Sent,
    pub(super) sent_at: Instant,
    place: Place,
}

/// What came for a transmission.
pub(super) enum Heard {
    /// No answer to it.
    Wrong(UpstreamMismatch),
    /// No answer to anything that was asked from its port, which is counted already.
    Stray,
    /// An answer but for the spelling of the name.
    Respelled,
    /// An answer that has more than fits. Whatever records it has count for nothing.
    Truncated,
    /// FORMERR, NOTIMP or BADVERS: it may be our OPT that was not understood (RFC 6891 section 7).
    NotUnderstood(Relay),
    /// An answer that says something nobody can use.
    Unusable(RelayError),
    /// An answer.
    Answer(Relay),
    /// The network refused (ICMP).
    Refused(io::Error),
    /// It could not be sent.
    Unsent(io::Error),
}

// === impl Transmission ===

impl Transmission {
    /// Sends what `write` makes with the id that it is given, from a port that was `opened_after`
    /// then.
    pub(super) fn send(
        ports: &Ports,
        opened_after: Option<Instant>,
        write: impl Fn(u16) -> Sent,
    ) -> io::Result<Transmission> {
        let sent_at = Instant::now();
        let (place, sent) = ports.send(sent_at, opened_after, write)?;
        Ok(Transmission { sent, sent_at, place })
    }

    /// The next thing that comes.
    pub(super) fn poll_heard(&self, question: &Question, context: &mut Context<'_>) -> Poll<Heard> {
        let Place { port, at } = &self.place;
        port.poll_packet(*at, context).map(|packet| match packet {
            Packet::Datagram(message) => weigh(&self.sent, question, &message),
            Packet::Stray => Heard::Stray,
            Packet::Refused(error) => Heard::Refused(error.into()),
            Packet::Unsent(error) => Heard::Unsent(error.into()),
        })
    }
}

/// What a message from the upstream is to the query `sent`, by UDP or by a stream.
pub(super) fn weigh(sent: &Sent, question: &Question, message: &[u8]) -> Heard {
    match sent.judge(message) {
        Err(Mismatch::Spelling) => Heard::Respelled,
        Err(mismatch) => Heard::Wrong(mismatch.into()),
        Ok(head) if head.truncated => Heard::Truncated,
        Ok(_) => match Relay::read(question, message) {
            Ok(relay) => match relay.rcode() {
                Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS => Heard::NotUnderstood(relay),
                _ => Heard::Answer(relay),
            },
            // It may be forged as well as broken: the right one may still come.
            Err(RelayError::Malformed) => Heard::Wrong(UpstreamMismatch::Malformed),
            Err(
                error @ (RelayError::Referral | RelayError::ChainLoop | RelayError::ChainTooLong),
            ) => Heard::Unusable(error),
        },
    }
}

// === impl UpstreamMismatch ===

impl From<Mismatch> for UpstreamMismatch {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::Malformed => UpstreamMismatch::Malformed,
            Mismatch::NotResponse => UpstreamMismatch::NotResponse,
            Mismatch::Id => UpstreamMismatch::Id,
            Mismatch::Question => UpstreamMismatch::Question,
            Mismatch::Spelling => UpstreamMismatch::Spelling,
        }
    }
}
