//! One question to one upstream, once.
//!
//! Each transmission has its own socket, so its own random port, and its own random id. A packet
//! that is no answer to it is counted and waited past: the right one may follow.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use nix::errno::Errno;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::Instant,
};

use super::upstream::Upstream;
use crate::{
    base::Rcode,
    telemetry::{ForwardMetrics, UpstreamFailure},
    wire::{Head, Question, Relay, RelayError, plain_query, upstream_query},
};

/// The largest datagram looked at. We announce 1232; a server that sends more is still heard.
const DATAGRAM_MAX: usize = 4_096;

/// What a transmission came to.
pub(super) enum Exchanged {
    /// A response that answers.
    Answer(Relay),
    /// A response that leaves the question to others: SERVFAIL, REFUSED and the like.
    Declined(Relay),
    /// Nothing, and nothing will come.
    Failed(UpstreamFailure),
}

/// How a question is written: with OPT or without.
type Form = fn(&Question, u16) -> Vec<u8>;

/// Sends `question` to `upstream` and waits for its answer, over TCP if it is truncated. Ends only
/// with an answer or an error: the caller drops it at its deadline.
pub(super) async fn exchange(
    upstream: &Upstream,
    question: &Question,
    metrics: &ForwardMetrics,
) -> Exchanged {
    let started = Instant::now();
    let mut exchanged = transmit(upstream, question, upstream_query, metrics).await;
    // It may be our OPT that it cannot read (RFC 6891 section 7). Without one, what it says counts.
    let may_be_opt =
        |relay: &Relay| matches!(relay.rcode(), Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS);
    if exchanged.as_ref().is_ok_and(may_be_opt) {
        exchanged = match transmit(upstream, question, plain_query, metrics).await {
            Ok(relay) if relay.rcode() == Rcode::BADVERS => Err(ExchangeError::Mismatch),
            other => other,
        };
    }
    match exchanged {
        Ok(relay) => {
            upstream.answered(started.elapsed());
            let relay = if upstream.trusted { relay } else { relay.unvalidated() };
            if relay.declines() {
                upstream.metrics.failed(UpstreamFailure::Declined);
                Exchanged::Declined(relay)
            } else {
                Exchanged::Answer(relay)
            }
        }
        Err(error) => {
            tracing::debug!(upstream = %upstream.address, %error, "exchange failed");
            let reason = error.reason();
            match error.blame() {
                Blame::Upstream => upstream.failed(reason, Instant::now()),
                Blame::Name => {
                    upstream.answered(started.elapsed());
                    upstream.metrics.failed(reason);
                }
                Blame::Us => upstream.metrics.failed(reason),
            }
            Exchanged::Failed(reason)
        }
    }
}

/// Why a transmission cannot succeed any more.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the network refused")]
    Network(#[source] io::Error),
    #[error("no socket or memory of ours to ask with")]
    Local(#[source] io::Error),
    #[error("the response cannot be used: {0}")]
    Unusable(RelayError),
    #[error("the response does not fit the question")]
    Mismatch,
}

/// Whose fault it is that an exchange gave nothing.
enum Blame {
    /// The upstream's, or that of the way to it.
    Upstream,
    /// The name's: every upstream would say the same.
    Name,
    /// Our own.
    Us,
}

// === impl ExchangeError ===

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            // Descriptors, memory and ports that we have used up.
            Some(
                Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM | Errno::EADDRINUSE,
            ) => ExchangeError::Local(error),
            Some(_) | None => ExchangeError::Network(error),
        }
    }
}

impl ExchangeError {
    fn reason(&self) -> UpstreamFailure {
        match self {
            ExchangeError::Network(_) => UpstreamFailure::Network,
            ExchangeError::Local(_) => UpstreamFailure::Local,
            ExchangeError::Unusable(_) | ExchangeError::Mismatch => UpstreamFailure::Unusable,
        }
    }

    fn blame(&self) -> Blame {
        match self {
            ExchangeError::Local(_) => Blame::Us,
            ExchangeError::Unusable(RelayError::ChainLoop | RelayError::ChainTooLong) => {
                Blame::Name
            }
            ExchangeError::Unusable(RelayError::Malformed | RelayError::Referral)
            | ExchangeError::Network(_)
            | ExchangeError::Mismatch => Blame::Upstream,
        }
    }
}

/// The answer by UDP, or by TCP when that is truncated.
async fn transmit(
    upstream: &Upstream,
    question: &Question,
    form: Form,
    metrics: &ForwardMetrics,
) -> Result<Relay, ExchangeError> {
    match over_udp(upstream, question, form, metrics).await? {
        Some(relay) => Ok(relay),
        None => over_tcp(upstream, question, form).await,
    }
}

/// The answer by UDP; `None` when it is truncated.
async fn over_udp(
    upstream: &Upstream,
    question: &Question,
    form: Form,
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
    socket.send(&form(question, id)).await?;
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
async fn over_tcp(
    upstream: &Upstream,
    question: &Question,
    form: Form,
) -> Result<Relay, ExchangeError> {
    let asked = async {
        let mut stream = TcpStream::connect(upstream.address).await?;
        stream.set_nodelay(true)?;
        let id = rand::random();
        let query = form(question, id);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_ran_out_of_is_not_held_against_an_upstream() {
        let blame = |code: Errno| {
            let error = ExchangeError::from(io::Error::from_raw_os_error(code as i32));
            (matches!(error.blame(), Blame::Us), error.reason())
        };
        for code in [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS] {
            assert_eq!(blame(code), (true, UpstreamFailure::Local));
        }
        assert_eq!(blame(Errno::ECONNREFUSED), (false, UpstreamFailure::Network));
    }
}
