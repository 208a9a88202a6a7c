//! Questions by UDP.
//!
//! One task reads a socket. What can be answered at once is answered in it, so our own names go on
//! being answered whatever upstreams do; what has to wait becomes a task of its own, within a limit.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
};

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
        setsockopt, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::tcp::REST;
use crate::{
    answer::{Session, Step},
    telemetry::{Dropped, Metrics},
};

/// Queries that wait for upstreams, of all UDP listeners. Each keeps its packet and a task: about
/// 2 kB for a common one, so 16,384 are 32 MB, and below 6 kB for one of [`QUERY_MAX`], 98 MB. Past
/// it clients get SERVFAIL at once. More than the forwarder's own limit, since many may wait for
/// one flight.
pub(super) const PENDING_MAX: usize = 16_384;
/// The largest question looked at. A query with every option there is stays far below.
const QUERY_MAX: usize = 4_096;
/// Packets read before other tasks get their turn.
const TURN: usize = 64;
/// Turns for what the kernel has when we stop: 8,192 packets, where its buffer holds some 4,800.
/// With no end to it, a busy listener would never stop.
const LAST_TURNS: usize = 128;

/// A UDP socket that knows which of its addresses was asked.
pub(super) struct Socket {
    socket: UdpSocket,
    bound: SocketAddr,
    metrics: Arc<Metrics>,
}

/// Where a question came from and which address it was sent to.
#[derive(Clone, Copy)]
struct Path {
    client: SocketAddr,
    listener: SocketAddr,
    /// The interface, where an address means nothing without it (IPv6 link-local).
    scope: u32,
}

// === impl Socket ===

impl Socket {
    /// Takes a bound, non-blocking socket. Must be called within the runtime.
    pub(super) fn new(
        socket: std::net::UdpSocket,
        bound: SocketAddr,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        match bound {
            SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
            SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
        }
        Ok(Self { socket: UdpSocket::from_std(socket)?, bound, metrics })
    }

    /// One packet, if one is there. `None` for what cannot be answered: no sender's address.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<Path>)> {
        self.socket.try_io(Interest::READABLE, || self.receive_from_kernel(buffer))
    }

    /// The same, whether or not the runtime has heard of the packet yet.
    fn receive_from_kernel(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<Path>)> {
        let mut control = cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let fd = self.socket.as_raw_fd();
        let received =
            recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let len = received.bytes;
        let mut asked = self.bound.ip();
        let mut scope = 0;
        for message in received.cmsgs()? {
            match message {
                // The address that a reply to this packet has to leave from.
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    asked = IpAddr::V4(u32::from_be(info.ipi_spec_dst.s_addr).into());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    asked = IpAddr::V6(info.ipi6_addr.s6_addr.into());
                    scope = info.ipi6_ifindex;
                }
                _ => (),
            }
        }
        let path = received.address.as_ref().and_then(socket_addr).map(|client| Path {
            client,
            listener: SocketAddr::new(asked, self.bound.port()),
            scope,
        });
        Ok((len, path))
    }

    /// Sends a reply from the address that was asked. What the network does not take is counted:
    /// a client asks again.
    fn send(&self, reply: &[u8], path: &Path) {
        let parts = [IoSlice::new(reply)];
        let fd = self.socket.as_raw_fd();
        let client = SockaddrStorage::from(path.client);
        let sent = match path.listener.ip() {
            IpAddr::V4(ip) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(fd, &parts, &control, MsgFlags::empty(), Some(&client))
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                    ipi6_ifindex: if ip.is_unicast_link_local() { path.scope } else { 0 },
                };
                let control = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(fd, &parts, &control, MsgFlags::empty(), Some(&client))
            }
        };
        if let Err(error) = sent {
            tracing::debug!(client = %path.client, %error, "reply not sent");
            self.metrics.dns.dropped(Dropped::Send);
        }
    }
}

/// Answers what comes to `socket` until `token` is cancelled, and then what the kernel has by then.
/// Queries still waiting are `pending`'s, and are answered.
pub(super) async fn serve(
    socket: Arc<Socket>,
    session: Session,
    permits: Arc<Semaphore>,
    pending: TaskTracker,
    token: CancellationToken,
) {
    let mut server =
        Turns { socket, session, permits, pending, out: Vec::with_capacity(QUERY_MAX) };
    let mut packet = vec![0; QUERY_MAX];
    let mut failed_before = false;
    loop {
        tokio::select! {
            () = token.cancelled() => break,
            ready = server.socket.socket.readable() => if let Err(error) = ready {
                tracing::error!(listener = %server.socket.bound, %error, "socket cannot be waited for");
                return;
            },
        }
        let turn = server.turn(&mut packet, Socket::receive);
        let failed = matches!(turn, Turn::Failed);
        // One error is an event, such as a client's refusal of an earlier reply. Two in a row may
        // be a state, and without a rest we would spin.
        if failed && failed_before {
            tokio::time::sleep(REST).await;
        }
        failed_before = failed;
        tokio::task::yield_now().await;
    }
    for _ in 0..LAST_TURNS {
        match server.turn(&mut packet, Socket::receive_from_kernel) {
            Turn::Empty => return,
            Turn::Full | Turn::Failed => tokio::task::yield_now().await,
        }
    }
}

/// What one listener's turns need.
struct Turns {
    socket: Arc<Socket>,
    session: Session,
    permits: Arc<Semaphore>,
    pending: TaskTracker,
    out: Vec<u8>,
}

/// How a turn ended.
enum Turn {
    /// There may be more packets.
    Full,
    /// There are no more.
    Empty,
    /// The socket has an error.
    Failed,
}

// === impl Turns ===

impl Turns {
    /// Answers up to [`TURN`] packets.
    fn turn(
        &mut self,
        packet: &mut [u8],
        receive: impl Fn(&Socket, &mut [u8]) -> io::Result<(usize, Option<Path>)>,
    ) -> Turn {
        for _ in 0..TURN {
            match receive(&self.socket, packet) {
                Ok((len, Some(path))) => self.answer(packet.get(..len).unwrap_or_default(), path),
                Ok((_, None)) => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Empty,
                Err(error) => {
                    tracing::debug!(listener = %self.socket.bound, %error, "packet not received");
                    return Turn::Failed;
                }
            }
        }
        Turn::Full
    }

    fn answer(&mut self, packet: &[u8], path: Path) {
        match self.session.begin(packet, path.client, path.listener, &mut self.out) {
            Step::Silence => (),
            Step::Reply => self.socket.send(&self.out, &path),
            Step::Ask(query) => match Arc::clone(&self.permits).try_acquire_owned() {
                Ok(permit) => {
                    let socket = Arc::clone(&self.socket);
                    self.pending.spawn(async move {
                        let mut out = Vec::with_capacity(512);
                        query.finish(&mut out).await;
                        socket.send(&out, &path);
                        drop(permit);
                    });
                }
                Err(_) => {
                    query.shed(&mut self.out);
                    self.socket.send(&self.out, &path);
                }
            },
        }
    }
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}
