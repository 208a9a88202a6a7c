//! A UDP port that an upstream is asked from: a connected socket, and who waits at it for what.
//!
//! Packets are sent and read in batches, and handed to whom they answer, by their ids. What else is
//! in one is no concern of this file.

use std::{
    collections::VecDeque,
    io, mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{setsockopt, sockopt},
};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::Notify,
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::{
    datagrams::{BATCH, Letters, receive, send},
    fault::is_ours,
};
use crate::{
    telemetry::{UpstreamMetrics, UpstreamMismatch},
    wire::{Sent, response_id},
};

/// Queries that leave from one port. Opening one costs about as much as four questions, so with 64
/// it does not show; a stranger who finds a port out has these few to guess at. All of them fit
/// into the socket's buffer: 64 of a kilobyte, where the kernel gives 208.
pub(super) const QUERIES_MAX: usize = 64;
/// And for how long they do.
const LIFETIME: Duration = Duration::from_secs(1);
/// Packets for one query that nobody has looked at yet. After half as many wrong ones its port is
/// heard no longer.
const UNREAD_MAX: usize = 64;
/// A port. When nobody waits at it and nobody will, it is dropped and closed.
pub(super) struct Port {
    shared: Arc<Shared>,
    opened: Instant,
    /// Ends with the port.
    _reader: AbortOnDropHandle<()>,
}

/// The port that the next query leaves from, if there is one.
pub(super) type Current = Mutex<Option<Arc<Port>>>;

/// What a port has in common with its reader.
struct Shared {
    socket: UdpSocket,
    queries: Mutex<Queries>,
    /// Something is to be sent.
    unsent: Notify,
}

/// What was sent from a port, each with its place. Nothing is ever taken out, so that a late answer
/// is known for one, and no id is drawn twice.
#[derive(Default)]
struct Queries {
    ids: Vec<u16>,
    waiting: Vec<Waiting>,
    unsent: Letters,
    /// Nothing more leaves from here.
    is_retired: bool,
}

/// One that waits for an answer.
#[derive(Default)]
struct Waiting {
    is_over: bool,
    unread: VecDeque<Packet>,
    waker: Option<Waker>,
}

/// What came for a query.
#[derive(Clone)]
pub(super) enum Packet {
    /// A datagram with its id.
    Datagram(Vec<u8>),
    /// One that answers nothing that was asked here. It is counted already.
    Stray,
    /// The network refused (ICMP).
    Refused(Errno),
    /// It has not been sent.
    Unsent(Errno),
}

// === impl Port ===

impl Port {
    /// A port to `upstream` that the kernel draws. Who has it for `current` lets it go in time.
    ///
    /// Connected, so that the kernel drops what comes from elsewhere and does not tell it that the
    /// port is open, and a refusal by ICMP becomes an error.
    pub(super) fn open(
        upstream: SocketAddr,
        now: Instant,
        current: &Arc<Current>,
        metrics: &UpstreamMetrics,
        tasks: &TaskTracker,
    ) -> io::Result<Arc<Port>> {
        let socket = Socket::new(Domain::for_address(upstream), Type::DGRAM.nonblocking(), None)?;
        // Also for refusals that a socket is not told of otherwise, as from a router on the way.
        match upstream {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
        }
        socket.connect(&upstream.into())?;
        // Whatever came from elsewhere before it was connected.
        let socket = std::net::UdpSocket::from(socket);
        while socket.recv(&mut []).is_ok() {}
        let shared = Arc::new(Shared {
            socket: UdpSocket::from_std(socket)?,
            queries: Mutex::default(),
            unsent: Notify::new(),
        });
        let read = read(Arc::clone(&shared), now, Arc::downgrade(current), metrics.clone());
        let _reader = AbortOnDropHandle::new(tasks.spawn(read));
        Ok(Arc::new(Port { shared, opened: now, _reader }))
    }

    /// When it was.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Has a query sent that `write` makes with its id, together with others of this moment unless
    /// it has to leave `at_once`; tells its place. `None` when no more may leave from here.
    pub(super) fn send(
        &self,
        now: Instant,
        at_once: bool,
        write: impl FnOnce(u16) -> Sent,
    ) -> Option<(usize, Sent)> {
        let mut queries = self.shared.queries();
        let at = queries.ids.len();
        if queries.is_retired || QUERIES_MAX <= at || self.opened + LIFETIME <= now {
            return None;
        }
        let mut id = rand::random();
        while queries.ids.contains(&id) {
            id = rand::random();
        }
        let sent = write(id);
        queries.ids.push(id);
        queries.waiting.push(Waiting::default());
        queries.unsent.push(at, sent.bytes());
        let unsent = queries.unsent.len();
        drop(queries);
        match unsent {
            _ if at_once => self.shared.send(),
            1 => self.shared.unsent.notify_one(),
            BATCH => self.shared.send(),
            _ => (),
        }
        Some((at, sent))
    }

    /// What has come for the query at `place`.
    pub(super) fn poll_packet(&self, place: usize, context: &mut Context<'_>) -> Poll<Packet> {
        let mut queries = self.shared.queries();
        let Some(waiting) = queries.waiting.get_mut(place) else { return Poll::Pending };
        if let Some(packet) = waiting.unread.pop_front() {
            return Poll::Ready(packet);
        }
        match &mut waiting.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Nobody waits at `place` any more.
    pub(super) fn leave(&self, place: usize) {
        if let Some(waiting) = self.shared.queries().waiting.get_mut(place) {
            *waiting = Waiting { is_over: true, ..Waiting::default() };
        }
    }
}

// === impl Shared ===

impl Shared {
    fn queries(&self) -> MutexGuard<'_, Queries> {
        self.queries.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    /// Tells all who wait that the network refused.
    fn refused(&self, error: &io::Error) {
        let error = Errno::from_raw(error.raw_os_error().unwrap_or_default());
        self.queries().tell_all(&Packet::Refused(error));
    }

    /// Sends what is to be sent.
    fn send(&self) {
        let letters = mem::take(&mut self.queries().unsent);
        let (mut sent, mut was_refused) = (0, false);
        while sent < letters.len() {
            match send(&self.socket, &letters, sent) {
                Ok(count) => sent += count.max(1),
                // It tells of packets that left before.
                Err(error) if !was_refused && !is_ours(&error.into()) => {
                    was_refused = true;
                    self.queries().tell_all(&Packet::Refused(error));
                }
                Err(error) => {
                    if let Some(waiting) = self.queries().waiting.get_mut(letters.place(sent)) {
                        waiting.tell(Packet::Unsent(error));
                    }
                    sent += 1;
                }
            }
        }
    }

    /// Hands out a batch of packets. Whether there may be more.
    fn receive(&self, metrics: &UpstreamMetrics) -> nix::Result<bool> {
        receive(&self.socket, |packets| {
            let mut queries = self.queries();
            packets.for_each(|packet| queries.hand_out(packet, metrics));
        })
    }
}

/// Sends what is to be sent from a port and hands out what comes there, until that is dropped.
async fn read(
    shared: Arc<Shared>,
    opened: Instant,
    current: Weak<Current>,
    metrics: UpstreamMetrics,
) {
    let mut is_old = false;
    let old = sleep_until(opened + LIFETIME);
    tokio::pin!(old);
    loop {
        let ready = tokio::select! {
            ready = shared.socket.ready(Interest::READABLE | Interest::ERROR) => ready,
            () = shared.unsent.notified() => {
                // Others that run now may have something to send as well.
                yield_now().await;
                shared.send();
                continue;
            }
            () = &mut old, if !is_old => {
                is_old = true;
                let_go(&shared, &current);
                continue;
            }
        };
        let Ok(ready) = ready else { return };
        // A refusal makes a socket no more readable, so it is looked for by itself.
        if ready.is_error() {
            if let Ok(Some(error)) = shared.socket.take_error() {
                shared.refused(&error);
            }
            // Nothing to wake up for until the next.
            let _ = shared.socket.try_io(Interest::ERROR, || Err::<(), _>(would_block()));
        }
        if ready.is_readable() {
            let received = shared.socket.try_io(Interest::READABLE, || {
                // If these were all, the call that would find nothing is spared.
                shared.receive(&metrics)?.then_some(()).ok_or_else(would_block)
            });
            match received {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => shared.refused(&error),
                Ok(()) | Err(_) => (),
            }
        }
    }
}

fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

/// Nothing more is to leave from this port.
fn let_go(shared: &Arc<Shared>, current: &Weak<Current>) {
    if let Some(current) = current.upgrade() {
        let mut current = current.lock().unwrap_or_else(|broken| broken.into_inner());
        drop(current.take_if(|port| Arc::ptr_eq(&port.shared, shared)));
    }
}

// === impl Queries ===

impl Queries {
    /// Gives a packet to whom it is for. Whatever is for nobody is everybody's: each of them may
    /// have been meant, and knows when it has heard too much of it.
    fn hand_out(&mut self, packet: &[u8], metrics: &UpstreamMetrics) {
        let stray = match response_id(packet) {
            Ok(id) => match self.ids.iter().position(|it| *it == id) {
                Some(place) => {
                    // Late ones are heard by nobody.
                    if let Some(waiting) = self.waiting.get_mut(place) {
                        waiting.tell(Packet::Datagram(packet.to_vec()));
                    }
                    return;
                }
                None => UpstreamMismatch::Id,
            },
            Err(mismatch) => mismatch.into(),
        };
        metrics.mismatched(stray);
        self.tell_all(&Packet::Stray);
    }

    /// Tells everybody. Whoever asks next does so from another port: this one is known to a
    /// stranger, or leads nowhere.
    fn tell_all(&mut self, packet: &Packet) {
        self.is_retired = true;
        self.waiting.iter_mut().for_each(|waiting| waiting.tell(packet.clone()));
    }
}

// === impl Waiting ===

impl Waiting {
    fn tell(&mut self, packet: Packet) {
        if !self.is_over && self.unread.len() < UNREAD_MAX {
            self.unread.push_back(packet);
            if let Some(waker) = self.waker.take() {
                waker.wake();
            }
        }
    }
}
