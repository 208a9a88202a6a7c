//! Datagrams by the batch: one call receives up to 32, one call sends them.

use std::{
    array,
    io::{self, IoSlice, IoSliceMut},
    net::UdpSocket,
    os::fd::AsRawFd,
};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

pub(crate) const BATCH: usize = 32;
/// More than any message of a measurement.
pub(crate) const DATAGRAM_MAX: usize = 1_232;

/// A socket that is read and written by the batch.
pub(crate) struct Batches {
    socket: UdpSocket,
    headers: MultiHeaders<SockaddrStorage>,
    out_headers: MultiHeaders<SockaddrStorage>,
    received: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    lens: [usize; BATCH],
    peers: [Option<SockaddrStorage>; BATCH],
    /// What is sent next.
    pub(crate) out: Outgoing,
}

/// Up to 32 datagrams.
pub(crate) struct Outgoing {
    octets: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    lens: [usize; BATCH],
    peers: [Option<SockaddrStorage>; BATCH],
    count: usize,
}

// === impl Batches ===

impl Batches {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            headers: MultiHeaders::preallocate(BATCH, None),
            out_headers: MultiHeaders::preallocate(BATCH, None),
            received: Box::new([[0; DATAGRAM_MAX]; BATCH]),
            lens: [0; BATCH],
            peers: [None; BATCH],
            out: Outgoing {
                octets: Box::new([[0; DATAGRAM_MAX]; BATCH]),
                lens: [0; BATCH],
                peers: [None; BATCH],
                count: 0,
            },
        }
    }

    /// How many came: what is there, after waiting for the first unless `flags` forbid it.
    pub(crate) fn receive(&mut self, flags: MsgFlags) -> io::Result<usize> {
        let mut rooms = self.received.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap())]);
        let flags = flags | MsgFlags::MSG_WAITFORONE;
        let fd = self.socket.as_raw_fd();
        let mut count = 0;
        for message in recvmmsg(fd, &mut self.headers, parts.iter_mut(), flags, None)? {
            self.lens[count] = message.bytes;
            self.peers[count] = message.address;
            count += 1;
        }
        Ok(count)
    }

    /// The datagrams that came last.
    pub(crate) fn received(&self, count: usize) -> impl Iterator<Item = &[u8]> {
        self.received.iter().zip(self.lens).take(count).map(|(octets, len)| &octets[..len])
    }

    /// Makes an answer of each datagram that came, which `answer` writes and tells the length of.
    pub(crate) fn answer(
        &mut self,
        count: usize,
        mut answer: impl FnMut(&[u8], &mut [u8; DATAGRAM_MAX]) -> usize,
    ) {
        for at in 0..count {
            let question = &self.received[at][..self.lens[at]];
            let len = answer(question, &mut self.out.octets[at]);
            self.out.lens[at] = len;
            self.out.peers[at] = self.peers[at];
        }
        self.out.count = count;
    }

    /// Sends what is to be sent, and tells how many left.
    pub(crate) fn send(&mut self) -> usize {
        let Outgoing { octets, lens, peers, count } = &self.out;
        let parts: [[IoSlice<'_>; 1]; BATCH] =
            array::from_fn(|at| [IoSlice::new(&octets[at][..lens[at]])]);
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let sent =
            sendmmsg(fd, &mut self.out_headers, &parts[..*count], &peers[..*count], [], flags);
        let sent = sent.map_or(0, Iterator::count);
        self.out.count = 0;
        sent
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// Adds one datagram to the address to which the socket is connected.
    pub(crate) fn add(&mut self, write: impl FnOnce(&mut [u8; DATAGRAM_MAX]) -> usize) {
        self.lens[self.count] = write(&mut self.octets[self.count]);
        self.peers[self.count] = None;
        self.count += 1;
    }
}
