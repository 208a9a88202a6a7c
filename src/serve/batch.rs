//! Datagrams in batches: many received and many sent by one call to the kernel each.
//!
//! The kernel's UDP path is what a DNS server pays for, and a call a datagram is a third of it. What
//! is in the datagrams is no concern of this file.

use std::{
    array,
    io::{self, IoSlice, IoSliceMut},
    mem,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
        sendmmsg,
    },
};

use super::QUERY_MAX;
use crate::telemetry::seldom;

/// Datagrams a call. Beyond it nothing is gained (an echo answers as many with 32 as with 64), and
/// the last of a batch waits for all before it: 32 at 4 us are 0.13 ms.
pub(super) const BATCH: usize = 32;

/// Where a question came from and which address it was sent to.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) client: SocketAddr,
    pub(super) listener: SocketAddr,
    /// The interface, where an address means nothing without it (IPv6 link-local).
    scope: u32,
}

/// Questions as they were received. 128 KiB.
pub(super) struct Inbox {
    buffer: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
    received: [Received; BATCH],
}

/// What stands in one of its rooms.
#[derive(Clone, Copy)]
enum Received {
    /// A datagram of so many octets.
    Whole(usize, Path),
    /// One that was longer than a room.
    Cut,
    /// One that nobody can be answered to.
    FromNobody,
}

/// Replies to be sent.
pub(super) struct Outbox {
    replies: [Vec<u8>; BATCH],
    paths: [Option<Path>; BATCH],
    clients: [Option<SockaddrStorage>; BATCH],
    len: usize,
    headers: MultiHeaders<SockaddrStorage>,
}

/// Room for what the kernel tells of the address that was asked, and is told of the one to answer
/// from: exactly as long as what it will hold, since all of it is read. None where there is one
/// address, and it goes without saying.
fn control(bound: SocketAddr) -> Option<Vec<u8>> {
    match bound.ip() {
        ip if !ip.is_unspecified() => None,
        IpAddr::V4(_) => Some(cmsg_space!(libc::in_pktinfo)),
        IpAddr::V6(_) => Some(cmsg_space!(libc::in6_pktinfo)),
    }
}

// === impl Inbox ===

impl Inbox {
    /// For questions to a socket that is bound to `bound`.
    pub(super) fn new(bound: SocketAddr) -> Self {
        Self {
            buffer: vec![0; BATCH * QUERY_MAX],
            headers: MultiHeaders::preallocate(BATCH, control(bound)),
            received: [Received::FromNobody; BATCH],
        }
    }

    /// Takes what is there, after waiting for the first unless `flags` forbid it. `bound` is the
    /// socket's own address. Tells how many came.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        bound: SocketAddr,
        flags: MsgFlags,
    ) -> io::Result<usize> {
        let mut rooms = self.buffer.chunks_exact_mut(QUERY_MAX);
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let flags = flags | MsgFlags::MSG_WAITFORONE;
        let fd = socket.as_raw_fd();
        let messages = recvmmsg(fd, &mut self.headers, parts.iter_mut(), flags, None)?;
        let mut count = 0;
        for (message, place) in messages.zip(&mut self.received) {
            let mut asked = bound.ip();
            let mut scope = 0;
            // Every datagram of a socket has the same control data, which is why the room that the
            // kernel was given, and shortens to what it used, is right for the next one too.
            for control in message.cmsgs().into_iter().flatten() {
                match control {
                    // The address that a reply to this packet has to leave from.
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        let noted = match info.ipi_spec_dst.s_addr {
                            // It came before the socket was told to note it.
                            0 => info.ipi_addr,
                            _ => info.ipi_spec_dst,
                        };
                        asked = IpAddr::V4(u32::from_be(noted.s_addr).into());
                    }
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        asked = IpAddr::V6(info.ipi6_addr.s6_addr.into());
                        scope = info.ipi6_ifindex;
                    }
                    _ => (),
                }
            }
            let client = message.address.as_ref().and_then(socket_addr);
            let listener = SocketAddr::new(asked, bound.port());
            *place = match client.map(|client| Path { client, listener, scope }) {
                _ if message.flags.contains(MsgFlags::MSG_TRUNC) => Received::Cut,
                Some(path) => Received::Whole(message.bytes, path),
                None => Received::FromNobody,
            };
            count += 1;
        }
        Ok(count)
    }

    /// The datagrams of the first `count` that can be answered.
    pub(super) fn questions(&self, count: usize) -> impl Iterator<Item = (&[u8], Path)> {
        let rooms = self.buffer.chunks_exact(QUERY_MAX);
        rooms.zip(&self.received).take(count).filter_map(|(room, received)| match received {
            Received::Whole(len, path) => Some((room.get(..*len)?, *path)),
            Received::Cut | Received::FromNobody => None,
        })
    }

    /// How many of the first `count` were longer than any question.
    pub(super) fn cut(&self, count: usize) -> usize {
        let received = self.received.iter().take(count);
        received.filter(|it| matches!(it, Received::Cut)).count()
    }
}

// === impl Outbox ===

impl Outbox {
    /// For replies from a socket that is bound to `bound`.
    pub(super) fn new(bound: SocketAddr) -> Self {
        Self {
            replies: array::from_fn(|_| Vec::new()),
            paths: [None; BATCH],
            clients: [None; BATCH],
            len: 0,
            headers: MultiHeaders::preallocate(BATCH, control(bound)),
        }
    }

    /// Where the next reply is written. A batch has no more replies than questions.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        let last = BATCH - 1;
        &mut self.replies[self.len.min(last)]
    }

    /// Keeps the reply just written, to be sent to `path`.
    pub(super) fn keep(&mut self, path: Path) {
        if let (Some(place), Some(client)) =
            (self.paths.get_mut(self.len), self.clients.get_mut(self.len))
        {
            *place = Some(path);
            *client = Some(path.client.into());
            self.len += 1;
        }
    }

    /// Sends what was kept, each reply from the address that was asked. Tells how many the network
    /// did not take.
    pub(super) fn send(&mut self, socket: &UdpSocket, bound: SocketAddr) -> usize {
        let count = mem::take(&mut self.len);
        let parts: [[IoSlice<'_>; 1]; BATCH] =
            array::from_fn(|at| [IoSlice::new(self.replies.get(at).map_or(&[], Vec::as_slice))]);
        let (mut sent, mut failed) = (0, 0);
        while let Some(source) = self.paths[..count].get(sent).copied().flatten() {
            // A call has one source address for all its replies: one that the socket is bound to
            // goes without saying, and behind a wildcard clients mostly ask one of ours.
            let one_source = |path: &&Option<Path>| {
                !bound.ip().is_unspecified() || path.is_some_and(|path| source.is_from(&path))
            };
            let run = self.paths[sent..count].iter().take_while(one_source).count();
            let range = sent..sent + run;
            let (parts, clients) = (&parts[range.clone()], &self.clients[range]);
            let (fd, headers) = (socket.as_raw_fd(), &mut self.headers);
            let taken = source.with_source(bound, |controls| {
                let flags = MsgFlags::MSG_DONTWAIT;
                let sent = sendmmsg(fd, headers, parts, clients, controls, flags)?;
                Ok(sent.count())
            });
            match taken {
                Ok(taken) => sent += taken.max(1),
                Err(error) => {
                    seldom!(debug, listener = %bound, %error, "reply not sent");
                    // The first one of them is at fault, and those behind it are not.
                    sent += 1;
                    failed += 1;
                }
            }
        }
        failed
    }
}

// === impl Path ===

impl Path {
    /// Whether replies to both leave from one address.
    fn is_from(&self, other: &Path) -> bool {
        self.listener == other.listener && self.scope == other.scope
    }

    /// Calls `send` with what makes the kernel take the address that was asked for the source,
    /// where it has a choice.
    fn with_source<T>(
        &self,
        bound: SocketAddr,
        send: impl FnOnce(&[ControlMessage<'_>]) -> nix::Result<T>,
    ) -> nix::Result<T> {
        match self.listener.ip() {
            _ if !bound.ip().is_unspecified() => send(&[]),
            IpAddr::V4(ip) => send(&[ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            })]),
            IpAddr::V6(ip) => send(&[ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: if ip.is_unicast_link_local() { self.scope } else { 0 },
            })]),
        }
    }
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::V4((*address).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::V6((*address).into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket of ours with these packets in its queue.
    fn socket_with(packets: &[&[u8]]) -> (UdpSocket, SocketAddr, UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let bound = socket.local_addr().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for packet in packets {
            client.send_to(packet, bound).unwrap();
        }
        (socket, bound, client)
    }

    #[test]
    fn what_is_longer_than_a_question_is_told_apart_and_others_of_the_batch_are_read() {
        let (socket, bound, _client) = socket_with(&[&[1; 100], &[7; 9_000], &[2; 50]]);
        let mut inbox = Inbox::new(bound);
        let count = inbox.receive(&socket, bound, MsgFlags::empty()).unwrap();
        let lens: Vec<usize> = inbox.questions(count).map(|(packet, _)| packet.len()).collect();
        assert_eq!((count, lens, inbox.cut(count)), (3, vec![100, 50], 1));
    }

    #[test]
    fn a_reply_that_cannot_be_sent_costs_no_other() {
        let (socket, bound, client) = socket_with(&[&[1; 100]]);
        let mut inbox = Inbox::new(bound);
        inbox.receive(&socket, bound, MsgFlags::empty()).unwrap();
        let (_, path) = inbox.questions(1).next().unwrap();
        let mut outbox = Outbox::new(bound);
        // More than a datagram can have, between two that can be sent.
        for len in [10, 70_000, 20] {
            outbox.next().resize(len, 0);
            outbox.keep(path);
        }
        assert_eq!(outbox.send(&socket, bound), 1);
        let mut reply = [0; 100];
        let lens = [0, 1].map(|_| client.recv(&mut reply).unwrap());
        assert_eq!(lens, [10, 20]);
    }
}
