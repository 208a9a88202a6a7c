//! A UDP port that an upstream is asked from: a connected socket, and who waits at it for what.
//!
//! Packets are read in batches and handed to whom they answer, by their ids. What is in one is no
//! concern of this file.

use std::{
    array,
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, recvmmsg, send, setsockopt, sockopt},
};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::Interest,
    net::UdpSocket,
    time::{Instant, sleep_until},
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{
    telemetry::{UpstreamMetrics, UpstreamMismatch},
    wire::response_id,
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
/// Packets a call: half of what a port may ever be told.
const BATCH: usize = 32;
/// The largest datagram looked at. We announce 1232; a server that sends more is still heard.
const DATAGRAM_MAX: usize = 4_096;

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
}

/// What was sent from a port, each with its place. Nothing is ever taken out, so that a late answer
/// is known for one, and no id is drawn twice.
#[derive(Default)]
struct Queries {
    ids: Vec<u16>,
    waiting: Vec<Waiting>,
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
        let socket = std::net::UdpSocket::from(socket);
        // Whatever came from elsewhere before it was connected.
        while socket.recv(&mut [0]).is_ok() {}
        let shared =
            Arc::new(Shared { socket: UdpSocket::from_std(socket)?, queries: Mutex::default() });
        let read = read(Arc::clone(&shared), now, Arc::downgrade(current), metrics.clone());
        let _reader = AbortOnDropHandle::new(tasks.spawn(read));
        Ok(Arc::new(Port { shared, opened: now, _reader }))
    }

    /// When it was.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// A place for one more query, and its id; `None` when no more may leave from here.
    pub(super) fn take_place(&self, now: Instant) -> Option<(usize, u16)> {
        let mut queries = self.shared.queries();
        let place = queries.ids.len();
        if queries.is_retired || QUERIES_MAX <= place || self.opened + LIFETIME <= now {
            return None;
        }
        let mut id = rand::random();
        while queries.ids.contains(&id) {
            id = rand::random();
        }
        queries.ids.push(id);
        queries.waiting.push(Waiting::default());
        Some((place, id))
    }

    /// Sends a query.
    pub(super) fn send(&self, message: &[u8]) -> nix::Result<()> {
        send(self.shared.socket.as_raw_fd(), message, MsgFlags::MSG_DONTWAIT).map(|_| ())
    }

    /// Tells everybody who waits here that the network refused.
    pub(super) fn refuse(&self, error: Errno) {
        self.shared.queries().tell_all(&Packet::Refused(error));
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

    /// Hands out a batch of packets.
    fn receive(&self, metrics: &UpstreamMetrics) -> io::Result<()> {
        INBOX.with_borrow_mut(|inbox| {
            let count = inbox.receive(&self.socket)?;
            let mut queries = self.queries();
            for packet in inbox.packets(count) {
                queries.hand_out(packet, metrics);
            }
            match count < BATCH {
                // That was all: the call that would find nothing is spared.
                true => Err(io::ErrorKind::WouldBlock.into()),
                false => Ok(()),
            }
        })
    }
}

/// Hands out what comes to a port, until that is dropped.
async fn read(
    shared: Arc<Shared>,
    opened: Instant,
    current: Weak<Current>,
    metrics: UpstreamMetrics,
) {
    let socket = &shared.socket;
    let mut is_old = false;
    let old = sleep_until(opened + LIFETIME);
    tokio::pin!(old);
    loop {
        // A refusal makes a socket no more readable, so it has to be waited for by itself.
        let ready = tokio::select! {
            ready = socket.ready(Interest::READABLE | Interest::ERROR) => ready,
            () = &mut old, if !is_old => {
                is_old = true;
                let_go(&shared, &current);
                continue;
            }
        };
        let Ok(ready) = ready else { return };
        let mut received = Ok(());
        if ready.is_readable() {
            received = socket.try_io(Interest::READABLE, || shared.receive(&metrics));
        }
        if ready.is_error() {
            if let Ok(Some(error)) = socket.take_error() {
                received = Err(error);
            }
            // Nothing to wake up for until the next.
            let would_block = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = socket.try_io(Interest::ERROR, would_block);
        }
        if let Err(error) = received
            && let Some(code) = error.raw_os_error()
        {
            shared.queries().tell_all(&Packet::Refused(Errno::from_raw(code)));
        }
    }
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

thread_local! {
    /// One for all ports that a thread reads: 128 KiB.
    static INBOX: RefCell<Inbox> = RefCell::new(Inbox::new());
}

/// Packets as they were received.
struct Inbox {
    buffer: Vec<u8>,
    lens: [usize; BATCH],
    headers: MultiHeaders<()>,
}

// === impl Inbox ===

impl Inbox {
    fn new() -> Self {
        Self {
            buffer: vec![0; BATCH * DATAGRAM_MAX],
            lens: [0; BATCH],
            headers: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Takes what is there, and tells how many came.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut rooms = self.buffer.chunks_exact_mut(DATAGRAM_MAX);
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let messages = recvmmsg(fd, &mut self.headers, parts.iter_mut(), flags, None)?;
        let mut count = 0;
        for (message, len) in messages.zip(&mut self.lens) {
            *len = message.bytes;
            count += 1;
        }
        Ok(count)
    }

    fn packets(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        let rooms = self.buffer.chunks_exact(DATAGRAM_MAX);
        rooms.zip(&self.lens).take(count).filter_map(|(room, len)| room.get(..*len))
    }
}
