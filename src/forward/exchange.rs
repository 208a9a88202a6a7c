//! One question to one upstream, once.
//!
//! Each transmission has its own socket, so its own random port, and its own random id. A packet
//! that is no answer to it is counted and waited past: the right one may follow.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::Instant,
};

use super::upstream::Upstream;
use crate::{
    base::Rcode,
    telemetry::{ForwardMetrics, UpstreamFailure},
    wire::{Head, Question, Relay, RelayError, upstream_query},
};

/// The largest datagram looked at. We announce 1232; a server that sends more is still heard.
const DATAGRAM_MAX: usize = 4_096;

/// What a transmission came to.
pub(super) enum Exchanged {
    /// A response that answers.
    Answer(Relay),
    /// A response that leaves the question to others: SERVFAIL, REFUSED, NOTIMP, FORMERR.
    Declined(Relay),
    /// Nothing, and nothing will come.
    Failed(UpstreamFailure),
}

/// Sends `question` to `upstream` and waits for its answer, over TCP if it is truncated. Ends only
/// with an answer or an error: the caller drops it at its deadline.
pub(super) async fn exchange(
    upstream: &Upstream,
    question: &Question,
    metrics: &ForwardMetrics,
) -> Exchanged {
    let started = Instant::now();
    let exchanged = match over_udp(upstream, question, metrics).await {
        Ok(Some(relay)) => Ok(relay),
        Ok(None) => over_tcp(upstream, question).await,
        Err(error) => Err(error),
    };
    match exchanged {
        Ok(relay) => {
            upstream.answered(started.elapsed());
            let relay = if upstream.trusted { relay } else { relay.unvalidated() };
            match relay.rcode() {
                Rcode::SERVFAIL | Rcode::REFUSED | Rcode::NOTIMP | Rcode::FORMERR => {
                    upstream.metrics.failed(UpstreamFailure::Declined);
                    Exchanged::Declined(relay)
                }
                _ => Exchanged::Answer(relay),
            }
        }
        Err(error) => {
            tracing::debug!(upstream = %upstream.address, %error, "exchange failed");
            let reason = error.reason();
            upstream.failed(reason, Instant::now());
            Exchanged::Failed(reason)
        }
    }
}

/// Why a transmission cannot succeed any more.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the network refused")]
    Network(#[from] io::Error),
    #[error("the response cannot be used: {0}")]
    Unusable(RelayError),
    #[error("the response over TCP does not fit the question")]
    Mismatch,
}

// === impl ExchangeError ===

impl ExchangeError {
    fn reason(&self) -> UpstreamFailure {
        match self {
            ExchangeError::Network(_) => UpstreamFailure::Network,
            ExchangeError::Unusable(_) | ExchangeError::Mismatch => UpstreamFailure::Unusable,
        }
    }
}

/// The answer by UDP; `None` when it is truncated.
async fn over_udp(
    upstream: &Upstream,
    question: &Question,
    metrics: &ForwardMetrics,
) -> Result<Option<Relay>, ExchangeError> {
    // Port 0 lets the kernel choose, which it does at random. Connected, the socket hears nobody
    // else, and a refusal by ICMP becomes an error instead of silence.
    let local: SocketAddr = match upstream.address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(upstream.address).await?;
    let id = rand::random();
    socket.send(&upstream_query(question, id)).await?;
    upstream.metrics.sent_udp.inc();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let packet = buffer.get(..len).unwrap_or_default();
        match Head::read(question, id, packet) {
            None => metrics.mismatched.inc(),
            Some(head) if head.truncated => return Ok(None),
            Some(_) => match Relay::read(question, packet) {
                Ok(relay) => return Ok(Some(relay)),
                // It may be forged as well as broken: the right one may still come.
                Err(RelayError::Malformed) => metrics.mismatched.inc(),
                Err(error) => return Err(ExchangeError::Unusable(error)),
            },
        }
    }
}

/// How long an upstream may take to accept a connection and answer on it.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);

/// The answer by TCP (RFC 7766), on a connection for this question alone.
async fn over_tcp(upstream: &Upstream, question: &Question) -> Result<Relay, ExchangeError> {
    let asked = async {
        let mut stream = TcpStream::connect(upstream.address).await?;
        stream.set_nodelay(true)?;
        let id = rand::random();
        let query = upstream_query(question, id);
        let len = u16::try_from(query.len()).map_err(io::Error::other)?;
        // Length and query leave in one segment (RFC 7766 section 8).
        stream.write_all(&[&len.to_be_bytes(), query.as_slice()].concat()).await?;
        upstream.metrics.sent_tcp.inc();
        let mut response = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut response).await?;
        match Head::read(question, id, &response) {
            Some(head) if !head.truncated => {
                Relay::read(question, &response).map_err(ExchangeError::Unusable)
            }
            Some(_) | None => Err(ExchangeError::Mismatch),
        }
    };
    match tokio::time::timeout(TCP_TIMEOUT, asked).await {
        Ok(asked) => asked,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
