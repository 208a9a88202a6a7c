//! Connections to an upstream by TLS (RFC 7858), each shared by all that is asked at a time.
//!
//! Queries are written as they come and answers taken in any order (RFC 7766 section 6.2.1). A
//! connection stays open while it is used. It never decides what an answer is worth.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::{address::UpstreamAddress, trust::Trust};

mod converse;

/// To be connected, and then to have shaken hands. A question has 3.5 s in all, and may have to go
/// to another upstream in them.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection on which nothing was heard for so long, with a question waiting, may be dead; the
/// next question gets a new one. The old is heard on.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(1);
/// Questions on their way to the connection's task. What is more waits, until its deadline.
const ORDERS_MAX: usize = 64;

/// The way to one upstream by TLS.
pub(super) struct Lines {
    address: SocketAddr,
    name: ServerName<'static>,
    /// None where nobody is believed.
    config: Option<Arc<ClientConfig>>,
    line: Mutex<Option<Line>>,
    tasks: TaskTracker,
}

/// A connection that is open, or being opened.
#[derive(Clone)]
struct Line {
    orders: mpsc::Sender<Order>,
    state: Arc<State>,
}

/// What a connection's task tells of it.
#[derive(Default)]
struct State {
    established: AtomicBool,
    /// Since when questions wait and nothing has been heard.
    unheard_since: Mutex<Option<Instant>>,
    failure: OnceLock<Arc<LineError>>,
}

/// A message to send, and where its answer goes.
struct Order {
    message: Vec<u8>,
    answer: oneshot::Sender<(Vec<u8>, Duration)>,
}

/// Why there is no answer by TLS.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("no certificates to trust")]
    Trust,
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    #[error("the connection ended")]
    Ended,
}

// === impl Lines ===

impl Lines {
    /// No connection yet. `None` for an upstream that is not asked by TLS.
    pub(super) fn new(upstream: &UpstreamAddress, trust: &Trust) -> Option<Lines> {
        let UpstreamAddress::Tls { address, name } = upstream else { return None };
        let by_name = name.as_deref().and_then(|name| ServerName::try_from(name.to_owned()).ok());
        Some(Lines {
            address: *address,
            name: by_name.unwrap_or_else(|| ServerName::from(address.ip())),
            config: trust.client_config().cloned(),
            line: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// The answer to `message`, with its id, and how long it took from being written.
    pub(super) async fn ask(&self, message: &[u8]) -> Result<(Vec<u8>, Duration), Arc<LineError>> {
        let mut asked_again = false;
        loop {
            let line = self.line().map_err(Arc::new)?;
            let was_established = line.state.established.load(Ordering::Acquire);
            let (answer, answered) = oneshot::channel();
            let order = Order { message: message.to_vec(), answer };
            if line.orders.send(order).await.is_ok()
                && let Ok(answer) = answered.await
            {
                return Ok(answer);
            }
            // An upstream closes what has been idle, perhaps while we write to it: once more, on a
            // connection of its own (RFC 7766 section 6.2.4).
            if asked_again || !was_established {
                let failure = line.state.failure.get().cloned();
                return Err(failure.unwrap_or_else(|| Arc::new(LineError::Ended)));
            }
            asked_again = true;
        }
    }

    /// The connection to use, a new one if there is none.
    fn line(&self) -> Result<Line, LineError> {
        let config = self.config.as_ref().ok_or(LineError::Trust)?;
        let mut current = self.line.lock().unwrap_or_else(|broken| broken.into_inner());
        if let Some(line) = current.as_ref()
            && !line.orders.is_closed()
            && !line.state.is_stalled(Instant::now())
        {
            return Ok(line.clone());
        }
        let (orders, taken) = mpsc::channel(ORDERS_MAX);
        let line = Line { orders, state: Arc::default() };
        let (address, name) = (self.address, self.name.clone());
        let (connector, state) = (TlsConnector::from(Arc::clone(config)), Arc::clone(&line.state));
        self.tasks.spawn(async move {
            let ended = match open(address, name, &connector).await {
                Ok(stream) => {
                    state.established.store(true, Ordering::Release);
                    converse::converse(stream, taken, &state).await;
                    LineError::Ended
                }
                Err(error) => error,
            };
            // Before the orders are dropped, whose owners look for it. The first that is set stays.
            let _ = state.failure.set(Arc::new(ended));
        });
        Ok(current.insert(line).clone())
    }
}

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

async fn open(
    address: SocketAddr,
    name: ServerName<'static>,
    connector: &TlsConnector,
) -> Result<Stream, LineError> {
    let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
    let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| timed_out()).flatten().map_err(LineError::Connect)?;
    stream.set_nodelay(true).map_err(LineError::Connect)?;
    let shaken = timeout(CONNECT_TIMEOUT, connector.connect(name, stream)).await;
    shaken.map_err(|_| timed_out()).flatten().map_err(LineError::Handshake)
}

// === impl State ===

impl State {
    fn is_stalled(&self, now: Instant) -> bool {
        self.unheard_since().is_some_and(|since| STALLED_AFTER <= now - since)
    }

    fn unheard_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unheard_since.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
