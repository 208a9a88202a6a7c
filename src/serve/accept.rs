//! Accepts connections, holds them to their limits, and hands each to what is spoken on it.

use std::{io, mem, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connections::{Connections, Place},
    encryption::{Terms, TermsInForce},
    https, tcp,
};
use crate::{
    answer::Responder,
    telemetry::{Encrypted, Handshake, Proto, seldom},
};

/// A connection on which no question has come in full for so long is closed (RFC 7766 section
/// 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// The same for those who may not ask: the time to be told so.
const IDLE_OF_STRANGERS: Duration = Duration::from_secs(2);
/// How long accepting rests when the process has no descriptor left. Without a rest the listener
/// would be ready at once again, and spin.
pub(super) const REST: Duration = Duration::from_millis(100);
/// How long a client may take for its side of a handshake: two round trips, three with a lost
/// packet, which is 3 s on the longest lines there are.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) responder: Responder,
    pub(super) connections: Arc<Connections>,
    /// A permit for each question that waits for an upstream.
    pub(super) permits: Arc<Semaphore>,
    pub(super) tasks: TaskTracker,
    /// Cancelled when there is no more time for what is in hand.
    pub(super) giving_up: CancellationToken,
}

/// What is spoken on a listener.
#[derive(Clone)]
pub(super) enum Speaks {
    /// DNS over TCP.
    Tcp,
    /// Something inside of TLS.
    Encrypted(Encrypted, TermsInForce),
}

/// One connection, as all that is spoken needs it.
pub(super) struct Connection {
    pub(super) client: SocketAddr,
    /// The address that was asked.
    pub(super) listener: SocketAddr,
    pub(super) shared: Shared,
    pub(super) place: Place,
    /// How long it may be without a question.
    pub(super) idle: Duration,
    /// Cancelled when we stop.
    pub(super) token: CancellationToken,
}

/// Accepts connections until `token` is cancelled; each then answers what it has in hand and ends.
pub(super) async fn serve(
    listener: TcpListener,
    speaks: Speaks,
    shared: Shared,
    token: CancellationToken,
) {
    // Told when it begins, and not ten times a second.
    let mut is_short = false;
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                is_short = false;
                begin(stream, client, &speaks, &shared, &token);
            }
            Err(error) => {
                // The peer may have gone before we came; that is its affair. Anything else is
                // ours: no descriptors, no memory.
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    if !mem::replace(&mut is_short, true) {
                        seldom!(warn, %error, "TCP connections cannot be accepted for a moment");
                    }
                    sleep(REST).await;
                }
            }
        }
    }
}

/// Gives a connection its place and its task, unless a limit is reached.
fn begin(
    stream: TcpStream,
    client: SocketAddr,
    speaks: &Speaks,
    shared: &Shared,
    token: &CancellationToken,
) {
    let ip = client.ip().to_canonical();
    let admitted = shared.responder.table().load().table().admits(ip);
    let Some(place) = shared.connections.admit(ip, admitted) else { return };
    let Ok(listener) = stream.local_addr() else { return };
    let connection = Arc::new(Connection {
        client,
        listener,
        shared: shared.clone(),
        place,
        idle: if admitted { IDLE } else { IDLE_OF_STRANGERS },
        token: token.clone(),
    });
    let speaks = speaks.clone();
    shared.tasks.spawn(async move {
        let ended = tokio::select! {
            ended = converse(stream, speaks, &connection) => ended,
            () = connection.place.evicted() => Ok(()),
        };
        if let Err(error) = ended {
            seldom!(debug, %client, %error, "connection ended");
        }
    });
}

async fn converse(
    stream: TcpStream,
    speaks: Speaks,
    connection: &Arc<Connection>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match speaks {
        Speaks::Tcp => {
            let (reader, writer) = stream.into_split();
            tcp::converse(reader, writer, Proto::Tcp, connection).await
        }
        Speaks::Encrypted(service, terms) => {
            // None: a reload has just taken the service away.
            let Some(terms) = terms.borrow().clone() else { return Ok(()) };
            let Some(stream) = handshake(stream, &terms, service, connection).await else {
                return Ok(());
            };
            match service {
                Encrypted::Tls => {
                    let (reader, writer) = tokio::io::split(stream);
                    tcp::converse(reader, writer, Proto::Tls, connection).await
                }
                Encrypted::Https => https::converse(stream, terms.path, connection).await,
            }
        }
    }
}

/// The stream inside of TLS, if client and we come together. Which of us it was that failed is
/// counted and not logged: any scanner fails.
async fn handshake(
    stream: TcpStream,
    terms: &Terms,
    service: Encrypted,
    connection: &Connection,
) -> Option<TlsStream<TcpStream>> {
    let count = |outcome| connection.shared.responder.metrics().tls.handshake(service, outcome);
    let Some(_turn) = connection.place.handshake() else {
        count(Handshake::Refused);
        return None;
    };
    let shaken = TlsAcceptor::from(Arc::clone(&terms.tls)).accept(stream);
    let stopped = async {
        connection.token.cancelled().await;
        sleep(tcp::FIRST_WAIT).await;
    };
    let shaken = tokio::select! {
        () = stopped => return None,
        shaken = timeout(HANDSHAKE_MAX.min(connection.idle), shaken) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => {
            count(Handshake::Done);
            connection.place.heard();
            Some(stream)
        }
        Ok(Err(error)) => {
            count(Handshake::Failed);
            seldom!(debug, client = %connection.client, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            count(Handshake::TimedOut);
            None
        }
    }
}
