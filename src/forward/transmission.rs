//! One query on its way by UDP, on a socket of its own, and what a packet that comes there is.
//!
//! It weighs packets and believes nothing yet: what follows from one is its exchange's to decide.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use nix::sys::socket::{setsockopt, sockopt};
use tokio::{io::Interest, net::UdpSocket, time::Instant};

use crate::{
    base::Rcode,
    telemetry::UpstreamMismatch,
    wire::{Mismatch, Question, Relay, RelayError, Sent},
};

/// The largest datagram looked at. We announce 1232; a server that sends more is still heard.
const DATAGRAM_MAX: usize = 4_096;

/// A query, and the socket that its answer comes to.
pub(super) struct Transmission {
    pub(super) sent: Sent,
    pub(super) sent_at: Instant,
    socket: UdpSocket,
}

/// What came to a transmission's socket.
pub(super) enum Heard {
    /// No answer to it.
    Wrong(UpstreamMismatch),
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
}

// === impl Transmission ===

impl Transmission {
    /// Sends a query to `upstream`, from a port that the kernel draws.
    ///
    /// The socket is not connected: connected, it would not be told of packets from elsewhere, and
    /// those are to be counted. What a connected one gives besides, that a refusal by ICMP becomes
    /// an error instead of silence, comes by `IP_RECVERR`. What it hides, that the port is open, a
    /// stranger could find out and guess ids; after a few dozen wrong packets UDP is not listened
    /// to any more (see `exchange`).
    pub(super) async fn send(upstream: SocketAddr, sent: Sent) -> io::Result<Transmission> {
        let local: SocketAddr = match upstream {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(local).await?;
        match upstream {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        let sent_at = Instant::now();
        socket.send_to(sent.bytes(), upstream).await?;
        Ok(Transmission { sent, sent_at, socket })
    }

    /// The next thing that comes.
    pub(super) async fn hear(&self, upstream: SocketAddr, question: &Question) -> Heard {
        let mut buffer = vec![0; DATAGRAM_MAX];
        match self.receive(&mut buffer).await {
            Ok((_, source)) if (source.ip(), source.port()) != (upstream.ip(), upstream.port()) => {
                Heard::Wrong(UpstreamMismatch::Source)
            }
            Ok((len, _)) => weigh(&self.sent, question, buffer.get(..len).unwrap_or_default()),
            Err(error) => Heard::Refused(error),
        }
    }

    async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let would_block = || io::Error::from(io::ErrorKind::WouldBlock);
        loop {
            // A refusal makes a socket no more readable, so it has to be waited for by itself.
            let ready = self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
            if ready.is_readable() {
                match self.socket.try_recv_from(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                    received => return received,
                }
            }
            if ready.is_error() {
                if let Some(error) = self.socket.take_error()? {
                    return Err(error);
                }
                // It was taken before: nothing to wake up for until the next.
                let _ = self.socket.try_io(Interest::ERROR, || Err::<(), _>(would_block()));
            }
        }
    }
}

/// What a message from the upstream is to the query `sent`, by UDP or by a stream.
pub(super) fn weigh(sent: &Sent, question: &Question, message: &[u8]) -> Heard {
    match sent.judge(message) {
        Err(Mismatch::Malformed) => Heard::Wrong(UpstreamMismatch::Malformed),
        Err(Mismatch::NotResponse) => Heard::Wrong(UpstreamMismatch::NotResponse),
        Err(Mismatch::Id) => Heard::Wrong(UpstreamMismatch::Id),
        Err(Mismatch::Question) => Heard::Wrong(UpstreamMismatch::Question),
        Err(Mismatch::Spelling) => Heard::Respelled,
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
