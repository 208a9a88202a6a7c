//! One question to an upstream by TCP (RFC 7766), on a connection for it alone.
//!
//! What comes there and is no answer is counted and read past, as by UDP.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::transmission::{Heard, weigh};
use crate::{
    telemetry::{UpstreamMetrics, UpstreamMismatch},
    wire::{Question, Sent},
};

/// How long an upstream may take to accept a connection and answer on it.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages that are no answer, after which it is not heard any more: nobody but the upstream can
/// write here, and one that says so much else is broken.
const WRONG_MAX: u32 = 8;

/// What the upstream says by TCP; the last wrong thing if it says nothing else.
pub(super) async fn over_tcp(
    upstream: SocketAddr,
    sent: &Sent,
    question: &Question,
    metrics: &UpstreamMetrics,
) -> io::Result<Heard> {
    let asked = async {
        let mut stream = TcpStream::connect(upstream).await?;
        stream.set_nodelay(true)?;
        let len = u16::try_from(sent.bytes().len()).map_err(io::Error::other)?;
        // Length and query leave in one segment (RFC 7766 section 8).
        stream.write_all(&[&len.to_be_bytes(), sent.bytes()].concat()).await?;
        metrics.sent_tcp.inc();
        let mut message = Vec::new();
        for _ in 0..WRONG_MAX {
            message.resize(usize::from(stream.read_u16().await?), 0);
            stream.read_exact(&mut message).await?;
            match weigh(sent, question, &message) {
                Heard::Wrong(reason) => metrics.mismatched(reason),
                Heard::Respelled => metrics.mismatched(UpstreamMismatch::Spelling),
                // Nothing is too long for TCP.
                Heard::Truncated => metrics.mismatched(UpstreamMismatch::Malformed),
                heard => return Ok(heard),
            }
        }
        Ok(Heard::Wrong(UpstreamMismatch::Malformed))
    };
    match tokio::time::timeout(TCP_TIMEOUT, asked).await {
        Ok(asked) => asked,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
