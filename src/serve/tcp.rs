//! Questions by TCP (RFC 7766): pipelined, answered as they finish.
//!
//! Framing and idle time are hickory's; accepting, limits and the order of answers are ours, since
//! hickory-server answers one question of a connection after the other and knows no limit.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use hickory_server::{
    net::{
        BufDnsStreamHandle, DnsStreamHandle, runtime::iocompat::AsyncIoTokioAsStd, tcp::TcpStream,
    },
    proto::op::SerialMessage,
    server::TimeoutStream,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    answer::{Responder, Step},
    telemetry::{Metrics, Proto},
};

/// Connections at once, of all listeners. Each keeps about 10 kB, so 4,096 are 40 MB, and as many
/// descriptors of the 524,288 that systemd grants; past it a new one is closed at once.
const CONNECTIONS_MAX: usize = 4_096;
/// Connections of one client at once: an eighth of all, so that no client alone can keep the
/// others out. A forwarder in front of a large site opens some dozens.
const CONNECTIONS_PER_CLIENT_MAX: usize = 512;
/// A connection that asks nothing for so long is closed (RFC 7766 section 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// Questions of one connection in hand at once. Past it nothing more is read from it, and TCP
/// makes the client wait.
const PIPELINE_MAX: usize = 64;
/// How long accepting rests when the process has no descriptor left. Without a rest the listener
/// would be ready at once again, and spin.
const REST: Duration = Duration::from_millis(100);

/// Counts connections. One for all listeners.
pub(super) struct Connections {
    open: Mutex<HashMap<IpAddr, usize>>,
    metrics: Arc<Metrics>,
}

/// A connection that was counted; uncounted when dropped.
struct Counted {
    connections: Arc<Connections>,
    client: IpAddr,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { open: Mutex::new(HashMap::new()), metrics }
    }

    /// Counts a connection of `client`, unless a limit is reached.
    fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Counted> {
        let mut open = self.open.lock().unwrap_or_else(|broken| broken.into_inner());
        let all: usize = open.values().sum();
        let of_client = open.entry(client).or_default();
        if CONNECTIONS_MAX <= all || CONNECTIONS_PER_CLIENT_MAX <= *of_client {
            self.metrics.dns.tcp_refused.inc();
            return None;
        }
        *of_client += 1;
        self.metrics.dns.tcp_connections.inc();
        Some(Counted { connections: Arc::clone(self), client })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(|broken| broken.into_inner());
        if let Some(of_client) = open.get_mut(&self.client) {
            *of_client = of_client.saturating_sub(1);
        }
        open.retain(|_, connections| 0 < *connections);
        self.connections.metrics.dns.tcp_connections.dec();
    }
}

/// Accepts connections until `token` is cancelled; each then answers what it has in hand and ends.
pub(super) async fn serve(
    listener: TcpListener,
    responder: Responder,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    token: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let Some(counted) = connections.admit(client.ip().to_canonical()) else { continue };
                let (responder, token) = (responder.clone(), token.clone());
                tasks.spawn(async move {
                    if let Err(error) = converse(stream, client, &responder, token).await {
                        tracing::debug!(%client, %error, "TCP connection ended");
                    }
                    drop(counted);
                });
            }
            Err(error) => {
                // The peer may have gone before we came; that is its affair. Anything else is
                // ours: no descriptors, no memory.
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    tracing::warn!(%error, "TCP connections cannot be accepted for a moment");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Answers one connection's questions until it ends, falls idle, or we stop.
async fn converse(
    stream: tokio::net::TcpStream,
    client: SocketAddr,
    responder: &Responder,
    token: CancellationToken,
) -> io::Result<()> {
    let listener = stream.local_addr()?;
    stream.set_nodelay(true)?;
    // Room for every question in hand and the one being read.
    let (stream, answers) = TcpStream::from_stream_with_buffer_size(
        AsyncIoTokioAsStd(stream),
        client,
        PIPELINE_MAX + 1,
    );
    let mut stream = TimeoutStream::new(stream, IDLE);
    let mut session = responder.session(Proto::Tcp, rand::random());
    let in_hand = Arc::new(Semaphore::new(PIPELINE_MAX));
    let pending = TaskTracker::new();
    let mut out = Vec::with_capacity(512);
    loop {
        let read = tokio::select! {
            () = token.cancelled() => break,
            read = stream.next() => read,
        };
        // The end may be the client's, which may still want its answers (half closed).
        let Some(message) = read else { break };
        let (packet, _) = message?.into_parts();
        match session.begin(&packet, client, listener, &mut out) {
            Step::Silence => (),
            Step::Reply => send(&answers, &out, client)?,
            Step::Ask(query) => {
                let Ok(permit) = Arc::clone(&in_hand).acquire_owned().await else { break };
                let answers = answers.clone();
                pending.spawn(async move {
                    let mut out = Vec::with_capacity(512);
                    query.finish(&mut out).await;
                    // A connection that has ended has nobody to tell.
                    let _ = send(&answers, &out, client);
                    drop(permit);
                });
            }
        }
    }
    pending.close();
    // Answers leave while the stream is polled, and the last of them when it is polled once more.
    loop {
        tokio::select! {
            () = pending.wait() => break,
            read = stream.next() => if !matches!(read, Some(Ok(_))) {
                pending.wait().await;
                break;
            },
        }
    }
    let last = tokio::time::timeout(Duration::from_millis(100), stream.next()).await;
    drop(last);
    Ok(())
}

fn send(answers: &BufDnsStreamHandle, reply: &[u8], client: SocketAddr) -> io::Result<()> {
    answers.clone().send(SerialMessage::new(reply.to_vec(), client)).map_err(io::Error::other)
}
