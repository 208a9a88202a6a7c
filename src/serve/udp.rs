//! Questions by UDP.
//!
//! A thread a core reads an address, in batches and with nothing but the two calls a batch. What can
//! be answered at once is answered in it, so our own names and what is in the cache go on being
//! answered whatever upstreams do; what has to wait becomes a task of the runtime, within a limit.

use std::{
    io, mem,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use nix::sys::socket::MsgFlags;
use socket2::SockRef;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::REST,
    batch::{BATCH, Inbox, Outbox, Path},
    pulse::Pulse,
};
use crate::{
    answer::{Pending, Session, Step},
    telemetry::{Dropped, Metrics, seldom},
};

/// Queries that wait for upstreams, of all UDP listeners. Each keeps its packet and a task: measured,
/// 1.5 to 1.8 kB for a common one that waits with others, so 16,384 are 30 MB, and 5.6 kB for one of
/// 4,000 octets, 92 MB. (One that has a flight of its own takes 3.3 kB, and of these are 2,048 at
/// most.) Past it clients get SERVFAIL at once. More than the forwarder's own limit, since many may
/// wait for one flight.
pub(super) const PENDING_MAX: usize = 16_384;
/// Batches of what the kernel has when we stop: 12,288 packets, where the buffer that we ask for holds
/// 10,900 of the smallest. With no end to it, a busy listener would never stop.
const LAST_BATCHES: usize = 384;
/// How long a thread without questions sleeps before it looks whether it should end. The others of its
/// address have ended by then, and what comes to them waits. Forty wake-ups a second are
/// below 0.1 % of a core for each.
const LOOK_UP: Duration = Duration::from_millis(25);

/// What all queries share that wait for an upstream.
#[derive(Clone)]
pub(super) struct Waiting {
    /// A permit for each.
    pub(super) permits: Arc<Semaphore>,
    pub(super) tasks: TaskTracker,
    /// Cancelled when there is no more time.
    pub(super) giving_up: CancellationToken,
}

/// A UDP socket that knows which of its addresses was asked.
pub(super) struct Socket {
    socket: UdpSocket,
    bound: SocketAddr,
    /// Replies to questions that had to wait, of one moment.
    late: Mutex<Vec<(Vec<u8>, Path)>>,
    metrics: Arc<Metrics>,
}

// === impl Socket ===

impl Socket {
    /// Takes a bound socket.
    pub(super) fn new(
        socket: UdpSocket,
        bound: SocketAddr,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        metrics.dns.receives_into(SockRef::from(&socket).recv_buffer_size()?);
        Ok(Self { socket, bound, late: Mutex::default(), metrics })
    }

    /// The descriptor.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has a reply sent, together with others that are ready by then. What the network does not
    /// take is counted: a client asks again.
    async fn send(&self, reply: Vec<u8>, path: Path) {
        let count = {
            let mut late = self.late();
            late.push((reply, path));
            late.len()
        };
        match count {
            // Whoever is the first sends for all whose turn comes before.
            1 => yield_now().await,
            BATCH => (),
            _ => return,
        }
        let mut outbox = Outbox::new(self.bound);
        // Others may have come in since it was counted, to more than a batch.
        let mut late = mem::take(&mut *self.late()).into_iter().peekable();
        while late.peek().is_some() {
            for (reply, path) in late.by_ref().take(BATCH) {
                *outbox.next() = reply;
                outbox.keep(path);
            }
            for _ in 0..outbox.send(&self.socket, self.bound) {
                self.metrics.dns.dropped(Dropped::Send);
            }
        }
    }

    fn late(&self) -> MutexGuard<'_, Vec<(Vec<u8>, Path)>> {
        self.late.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Answers what comes to `socket` until `token` is cancelled, and then what the kernel has by then.
/// Queries still waiting are tasks, and are answered. Blocks its thread, which must have
/// entered the runtime.
pub(super) fn serve(
    socket: &Arc<Socket>,
    session: Session,
    waiting: Waiting,
    pulse: &Pulse,
    token: &CancellationToken,
) {
    let inbox = Inbox::new(socket.bound);
    let outbox = Outbox::new(socket.bound);
    let mut server = Batches { socket: Arc::clone(socket), session, waiting, inbox, outbox };
    let mut failed_before = false;
    while !token.is_cancelled() {
        pulse.turn();
        let failed = matches!(server.answer_batch(MsgFlags::empty()), Batch::Failed);
        // One error is an event. Two in a row may be a state, and without a rest we would spin.
        if failed && failed_before {
            thread::sleep(REST);
        }
        failed_before = failed;
    }
    for _ in 0..LAST_BATCHES {
        if let Batch::Empty = server.answer_batch(MsgFlags::MSG_DONTWAIT) {
            return;
        }
    }
}

/// What one thread needs.
struct Batches {
    socket: Arc<Socket>,
    session: Session,
    waiting: Waiting,
    inbox: Inbox,
    outbox: Outbox,
}

/// What came.
enum Batch {
    /// Questions, which have been answered.
    Some,
    /// Nothing in the time there was.
    Empty,
    /// An error of the socket.
    Failed,
}

// === impl Batches ===

impl Batches {
    /// Answers what is there, after waiting for the first unless `flags` forbid it.
    fn answer_batch(&mut self, flags: MsgFlags) -> Batch {
        let Socket { socket, bound, metrics, .. } = &*self.socket;
        let count = match self.inbox.receive(socket, *bound, flags) {
            Ok(count) => count,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {
                    self.session.rest();
                    return Batch::Empty;
                }
                _ => {
                    seldom!(debug, listener = %bound, %error, "packets not received");
                    return Batch::Failed;
                }
            },
        };
        let came = Instant::now();
        for _ in 0..self.inbox.cut(count) {
            metrics.dns.dropped(Dropped::Long);
        }
        for (packet, path) in self.inbox.questions(count) {
            let out = self.outbox.next();
            match self.session.begin(packet, path.client, path.listener, came, out) {
                Step::Silence => (),
                Step::Reply => self.outbox.keep(path),
                Step::Ask(query) => match Arc::clone(&self.waiting.permits).try_acquire_owned() {
                    Ok(permit) => {
                        // In a box, since a task is moved several times before it runs.
                        let (socket, ends) =
                            (Arc::clone(&self.socket), self.waiting.giving_up.clone());
                        let finished = finish(query, socket, path, permit, ends);
                        self.waiting.tasks.spawn(Box::pin(finished));
                    }
                    Err(_) => {
                        query.shed(out);
                        self.outbox.keep(path);
                    }
                },
            }
        }
        for _ in 0..self.outbox.send(socket, *bound) {
            metrics.dns.dropped(Dropped::Send);
        }
        self.session.settle(came);
        Batch::Some
    }
}

/// Waits for the answer and sends it.
async fn finish(
    query: Box<Pending>,
    socket: Arc<Socket>,
    path: Path,
    permit: OwnedSemaphorePermit,
    giving_up: CancellationToken,
) {
    let mut out = Vec::with_capacity(512);
    query.finish(&giving_up, &mut out).await;
    socket.send(out, path).await;
    drop(permit);
}
