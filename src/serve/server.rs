//! All listeners together: start, change on a reload, stop without losing a query in hand.

use std::{
    io, iter,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::{self, Shared, Speaks},
    bind::{BindError, Bound, bind, threads},
    certificate::CertificateError,
    config::{Entry, ServeConfig, Service},
    connections::{Connections, Limits},
    encryption::{Encryption, Prepared},
    inherit::{Inherited, held_name},
    pulse::Pulse,
    tcp,
    udp::{self, Socket, Waiting},
};
use crate::{
    answer::Responder,
    telemetry::{Encrypted, Metrics, Proto},
};

/// How long queries in hand may take when we stop: the forwarder's deadline and a little.
const LINGER: Duration = Duration::from_secs(5);
/// The same when what comes in the meantime waits for the process after us: a round trip to an upstream
/// and back, and the largest part of the 300 ms that a client may wait in a restart.
const LINGER_BETWEEN: Duration = Duration::from_millis(100);
/// For those that are told then that nobody has answered.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// What comes after us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody: what is in hand is all that is left.
    Last,
    /// Another hubdns on the same sockets, which somebody keeps for it. Until it is there everybody
    /// waits.
    Between,
}

/// The listeners in force.
pub struct Server {
    responder: Responder,
    listeners: Vec<Listener>,
    tls: Encryption,
    https: Encryption,
    connections: Arc<Connections>,
    udp_permits: Arc<Semaphore>,
    tcp_permits: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Cancelled when there is no more time for what is in hand.
    giving_up: CancellationToken,
    listening: watch::Sender<Vec<SocketAddr>>,
    pulses: watch::Sender<Vec<Pulse>>,
    broken: CancellationToken,
}

/// One `listen` entry's sockets.
struct Listener {
    entry: Entry,
    addresses: Vec<SocketAddr>,
    /// Of the threads that read its UDP sockets.
    pulses: Vec<Pulse>,
    token: CancellationToken,
}

/// What a configuration needs besides what is there: sockets that wait to be served, and
/// certificates that wait to be shown.
#[must_use = "nothing is served before `Server::listen`"]
pub struct Opened {
    listeners: Vec<(Entry, Vec<Ready>)>,
    certificates: Vec<Prepared>,
}

/// The sockets of one address, with nothing left to be done that can fail.
struct Ready {
    address: SocketAddr,
    /// None where what is spoken is encrypted.
    udp: Vec<Arc<Socket>>,
    tcp: TcpListener,
    is_held: bool,
    is_lasting: bool,
}

/// A part of the configuration that cannot be had on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A `listen` entry.
    #[error("{entry} cannot be opened")]
    Listen {
        /// The entry.
        entry: Entry,
        /// Why.
        source: BindError,
    },
    /// A certificate.
    #[error("the certificate of `{}` cannot be served", Service::Encrypted(*service).table())]
    Certificate {
        /// Whose.
        service: Encrypted,
        /// Why.
        source: CertificateError,
    },
}

// === impl Server ===

impl Server {
    /// A server that listens nowhere yet.
    pub fn new(responder: Responder) -> Self {
        let metrics = Arc::clone(responder.metrics());
        Self {
            responder,
            listeners: Vec::new(),
            tls: Encryption::new(Encrypted::Tls, Arc::clone(&metrics)),
            https: Encryption::new(Encrypted::Https, Arc::clone(&metrics)),
            connections: Arc::new(Connections::new(Limits::in_force(), metrics)),
            udp_permits: Arc::new(Semaphore::new(udp::PENDING_MAX)),
            tcp_permits: Arc::new(Semaphore::new(tcp::PENDING_MAX)),
            tasks: TaskTracker::new(),
            giving_up: CancellationToken::new(),
            listening: watch::Sender::new(Vec::new()),
            pulses: watch::Sender::new(Vec::new()),
            broken: CancellationToken::new(),
        }
    }

    /// The addresses listened on, as they change.
    pub fn listening(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.listening.subscribe()
    }

    /// The threads that read UDP sockets, as they change.
    pub fn pulses(&self) -> watch::Receiver<Vec<Pulse>> {
        self.pulses.subscribe()
    }

    /// Cancelled when a listener ends without having been told to: there is a mistake of ours, and
    /// a daemon that answers on half of its addresses is worse than one that is started again.
    pub fn broken(&self) -> CancellationToken {
        self.broken.clone()
    }

    /// Opens the entries that are not open yet, and reads the certificates. Nothing of it is
    /// served before [`listen`](Self::listen). Sockets that are `inherited` are taken from there. Must
    /// be called within the runtime.
    pub fn open(
        &self,
        wanted: &ServeConfig,
        inherited: &mut Inherited,
    ) -> Result<Opened, Vec<Refused>> {
        let mut listeners = Vec::new();
        let (certificates, refused) = Prepared::read_all(wanted);
        let certificate = |(service, source)| Refused::Certificate { service, source };
        let mut refused: Vec<_> = refused.into_iter().map(certificate).collect();
        for entry in wanted.entries() {
            if self.listeners.iter().any(|listener| listener.entry.is_same(&entry)) {
                continue;
            }
            let bound = bind(entry.service, &entry.listen, inherited);
            let bound = bound.map_err(|error| error.known_as_ours(&self.addresses()));
            let ready = |bound| Ready::new(bound, self.responder.metrics());
            match bound.and_then(|all| all.into_iter().map(ready).collect()) {
                Ok(sockets) => listeners.push((entry, sockets)),
                Err(source) => refused.push(Refused::Listen { entry, source }),
            }
        }
        if refused.is_empty() { Ok(Opened { listeners, certificates }) } else { Err(refused) }
    }

    /// Serves what was opened, and stops what is not among `wanted` any more.
    pub fn listen(&mut self, opened: Opened, wanted: &ServeConfig) {
        self.responder.count_from_zero();
        let Opened { listeners, mut certificates } = opened;
        self.tls.replace(&mut certificates);
        self.https.replace(&mut certificates);
        for (entry, sockets) in listeners {
            let token = CancellationToken::new();
            let addresses = sockets.iter().map(|ready| ready.address).collect();
            let started = sockets.into_iter();
            let pulses = started.flat_map(|ready| self.start(entry.service, ready, &token));
            let pulses = pulses.collect();
            self.listeners.push(Listener { entry, addresses, pulses, token });
        }
        self.listeners.retain(|listener| {
            let stays = wanted.entries().any(|entry| entry.is_same(&listener.entry));
            if !stays {
                listener.token.cancel();
            }
            stays
        });
        self.tell();
    }

    /// Looks whether the files of certificates have changed, and takes what can be served.
    pub fn look_at_certificates(&mut self, now_secs: u64) {
        self.tls.look(now_secs);
        self.https.look(now_secs);
    }

    /// Stops listening, answers what is in hand, and comes back when that is done or its time up.
    pub async fn stop(mut self, end: End) {
        for listener in self.listeners.drain(..) {
            listener.token.cancel();
        }
        self.tell();
        self.tasks.close();
        let linger = match end {
            End::Last => LINGER,
            End::Between => LINGER_BETWEEN,
        };
        if timeout(linger, self.tasks.wait()).await.is_err() {
            let left = self.waiting();
            if 0 < left {
                tracing::warn!(left, "stopped with queries unanswered");
            }
            self.giving_up.cancel();
            let _ = timeout(LAST_WORDS, self.tasks.wait()).await;
        }
    }

    /// The queries that wait for upstreams. Tasks are more: idle connections and the threads that read
    /// are among them.
    fn waiting(&self) -> usize {
        let udp = udp::PENDING_MAX - self.udp_permits.available_permits();
        let connections = tcp::PENDING_MAX - self.tcp_permits.available_permits();
        udp + connections
    }

    fn start(&self, service: Service, ready: Ready, token: &CancellationToken) -> Vec<Pulse> {
        let Ready { address, udp, tcp, .. } = ready;
        let mut pulses = Vec::new();
        // A socket a thread, or more threads than sockets where others made them.
        for socket in udp.iter().cycle().take(threads().max(udp.len())) {
            let session = self.responder.session(Proto::Udp, rand::random());
            let waiting = Waiting {
                permits: Arc::clone(&self.udp_permits),
                tasks: self.tasks.clone(),
                giving_up: self.giving_up.clone(),
            };
            let (socket, watched) = (Arc::clone(socket), self.watched(token));
            let pulse = Pulse::new(address);
            pulses.push(pulse.clone());
            let (runtime, task) = (Handle::current(), self.tasks.token());
            // A thread of its own: the runtime's are for work that ends, and there are only so many.
            let spawned = thread::Builder::new().name("hubdns-udp".to_owned()).spawn(move || {
                let _entered = runtime.enter();
                udp::serve(&socket, session, waiting, &pulse, &watched.token);
                drop(task);
            });
            if let Err(error) = spawned {
                // What it would have held has told that it is broken.
                tracing::error!(%error, "no thread can be had to read a UDP socket");
            }
        }
        let speaks = match service {
            Service::Plain => Speaks::Tcp,
            Service::Encrypted(it @ Encrypted::Tls) => Speaks::Encrypted(it, self.tls.terms()),
            Service::Encrypted(it @ Encrypted::Https) => Speaks::Encrypted(it, self.https.terms()),
        };
        let shared = Shared {
            responder: self.responder.clone(),
            connections: Arc::clone(&self.connections),
            permits: Arc::clone(&self.tcp_permits),
            tasks: self.tasks.clone(),
            giving_up: self.giving_up.clone(),
        };
        let served = accept::serve(tcp, speaks, shared, token.clone());
        self.spawn_listener(served, token);
        pulses
    }

    fn spawn_listener(
        &self,
        served: impl Future<Output = ()> + Send + 'static,
        token: &CancellationToken,
    ) {
        let watched = self.watched(token);
        self.tasks.spawn(async move {
            served.await;
            drop(watched);
        });
    }

    fn watched(&self, token: &CancellationToken) -> Watched {
        Watched { token: token.clone(), broken: self.broken.clone() }
    }

    fn tell(&self) {
        self.listening.send_replace(self.addresses());
        let pulses = self.listeners.iter().flat_map(|listener| listener.pulses.clone());
        self.pulses.send_replace(pulses.collect());
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().flat_map(|listener| listener.addresses.clone()).collect()
    }
}

impl Drop for Server {
    /// Threads that read a socket end when they are told, and else never.
    fn drop(&mut self) {
        self.listeners.iter().for_each(|listener| listener.token.cancel());
    }
}

// === impl Opened ===

impl Opened {
    /// The addresses, with the port that was found if 0 was asked for.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.ready().map(|ready| ready.address)
    }

    /// Whether each of its sockets is somebody's who keeps it, or can be handed over.
    pub fn can_last(&self) -> bool {
        self.ready().all(|ready| ready.is_held || ready.is_lasting)
    }

    /// The sockets that nobody else has, and that a process after us would look for: each with the
    /// name that whoever keeps them should know it by.
    pub fn to_hand_over(&self) -> impl Iterator<Item = (String, BorrowedFd<'_>)> {
        let lasting = self.ready().filter(|ready| ready.is_lasting && !ready.is_held);
        lasting.flat_map(|ready| {
            let udp = ready.udp.iter().map(|socket| socket.as_fd());
            let udp = udp.map(|fd| (held_name("udp", ready.address), fd));
            udp.chain(iter::once((held_name("tcp", ready.address), ready.tcp.as_fd())))
        })
    }

    fn ready(&self) -> impl Iterator<Item = &Ready> {
        self.listeners.iter().flat_map(|(_, sockets)| sockets)
    }
}

// === impl Ready ===

impl Ready {
    fn new(bound: Bound, metrics: &Arc<Metrics>) -> Result<Self, BindError> {
        let Bound { address, udp, tcp, is_held, is_lasting } = bound;
        let other = |protocol| move |source| BindError::Other { protocol, address, source };
        let udp =
            udp.into_iter().map(|it| Socket::new(it, address, Arc::clone(metrics)).map(Arc::new));
        let udp = udp.collect::<io::Result<_>>().map_err(other("UDP"))?;
        let tcp = TcpListener::from_std(tcp).map_err(other("TCP"))?;
        Ok(Self { address, udp, tcp, is_held, is_lasting })
    }
}

/// Notices the end of a listener, by return or by panic.
struct Watched {
    token: CancellationToken,
    broken: CancellationToken,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.token.is_cancelled() {
            self.broken.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
