//! Accepts connections and holds them to their limits.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Extension, Router, serve::Listener};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Admin, guard::Caller};

/// What one listener grants.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub(super) connections: usize,
    /// For the head of a request, and for the next one to begin.
    pub(super) head: Duration,
    /// For a whole connection, so that one who does not read its answers leaves.
    pub(super) life: Duration,
    /// For the answer under way when a connection or the daemon ends.
    pub(super) grace: Duration,
}

/// A name of three zones is some 1.2 kB of JSON: 6 MB for 5,000 names, which 32 times unread are
/// below 200 MB, and 60 MB for 50,000, which would be 1.9 GB. A hub that large keeps
/// `admin.listen` where only its own people come. A person, three Prometheus servers and a load
/// balancer's probes need fewer than ten connections, and of these only the person asks for names.
/// All 32 taken by clients that send nothing are free again after 5 s, by clients that read
/// nothing after 65 s.
const LIMITS: Limits = Limits {
    connections: 32,
    head: Duration::from_secs(5),
    life: Duration::from_secs(60),
    grace: Duration::from_secs(5),
};

/// Octets of a request's head: a name of 255 octets, each written as `%xx`, is below 1 KiB, and
/// browsers send some 2 KiB of headers. 32 connections hold 512 KiB by it.
const HEAD_LEN_MAX: usize = 16 * 1024;

/// Serves the admin listener until `shutdown`, and then the answers under way.
pub async fn serve(admin: Admin, listener: TcpListener, shutdown: CancellationToken) {
    accept(listener, |peer| Caller::Tcp(*peer), admin.router(), LIMITS, shutdown).await;
}

/// Serves the control socket until `shutdown`, and then the answers under way. Who may connect is
/// for the socket's owner and mode to say.
pub async fn serve_control(admin: Admin, listener: UnixListener, shutdown: CancellationToken) {
    accept(listener, |_| Caller::Control, admin.control_router(), LIMITS, shutdown).await;
}

pub(super) async fn accept<L: Listener>(
    mut listener: L,
    caller: impl Fn(&L::Addr) -> Caller,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    loop {
        let next = async {
            // The semaphore is never closed.
            let slot = slots.clone().acquire_owned().await.ok()?;
            Some((slot, listener.accept().await))
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => None,
            accepted = next => accepted,
        };
        let Some((slot, (stream, peer))) = accepted else { break };
        let router = router.clone().layer(Extension(caller(&peer)));
        let shutdown = shutdown.clone();
        connections.spawn(async move {
            converse(stream, router, limits, shutdown).await;
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// One connection. That a client leaves in the middle is its own affair and not logged.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_LEN_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(limits.life) => (),
        () = shutdown.cancelled() => (),
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.grace, connection).await;
}
