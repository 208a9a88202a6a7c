//! Datagrams to and from a connected socket in batches, by one call to the kernel each.
//!
//! What is in them is no concern of this file.

use std::{
    array,
    cell::RefCell,
    io::{IoSlice, IoSliceMut},
    os::fd::AsRawFd,
};

use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, sendmmsg};

/// Datagrams a call: half of what a port is ever asked or told.
pub(super) const BATCH: usize = 32;
/// The largest datagram looked at. We announce 1232; a server that sends more is still heard.
const DATAGRAM_MAX: usize = 4_096;

/// Messages to be sent, each with the place of who sends it.
#[derive(Default)]
pub(super) struct Letters {
    octets: Vec<u8>,
    /// Places, and where in `octets` the message ends.
    ends: Vec<(usize, usize)>,
}

thread_local! {
    /// One for all sockets that a thread has to do with: 128 KiB.
    static INBOX: RefCell<Inbox> = RefCell::new(Inbox {
        buffer: vec![0; BATCH * DATAGRAM_MAX],
        headers: MultiHeaders::preallocate(BATCH, None),
    });
    static OUT_HEADERS: RefCell<MultiHeaders<()>> =
        RefCell::new(MultiHeaders::preallocate(BATCH, None));
}

struct Inbox {
    buffer: Vec<u8>,
    headers: MultiHeaders<()>,
}

// === impl Letters ===

impl Letters {
    pub(super) fn push(&mut self, place: usize, message: &[u8]) {
        self.octets.extend_from_slice(message);
        self.ends.push((place, self.octets.len()));
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Who sends the message at `at`.
    pub(super) fn place(&self, at: usize) -> usize {
        self.ends.get(at).map_or(usize::MAX, |(place, _)| *place)
    }

    fn message(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).and_then(|before| self.ends.get(before));
        let begin = begin.map_or(0, |(_, end)| *end);
        self.ends.get(at).and_then(|(_, end)| self.octets.get(begin..*end)).unwrap_or_default()
    }
}

/// Sends a batch of `letters`, from the one at `first` on. Tells how many the kernel took.
pub(super) fn send(socket: &impl AsRawFd, letters: &Letters, first: usize) -> nix::Result<usize> {
    let parts: [[IoSlice<'_>; 1]; BATCH] =
        array::from_fn(|at| [IoSlice::new(letters.message(first + at))]);
    let parts = parts.get(..letters.len() - first).unwrap_or(&parts);
    OUT_HEADERS.with_borrow_mut(|headers| {
        let flags = MsgFlags::MSG_DONTWAIT;
        Ok(sendmmsg(socket.as_raw_fd(), headers, parts, [None; BATCH], [], flags)?.count())
    })
}

/// Takes a batch of what has come. Tells whether there may be more.
pub(super) fn receive(
    socket: &impl AsRawFd,
    take: impl FnOnce(&mut dyn Iterator<Item = &[u8]>),
) -> nix::Result<bool> {
    INBOX.with_borrow_mut(|Inbox { buffer, headers }| {
        let mut lens = [0; BATCH];
        let mut rooms = buffer.chunks_exact_mut(DATAGRAM_MAX);
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap_or_default())]);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let messages = recvmmsg(fd, headers, parts.iter_mut(), flags, None)?;
        let mut count = 0;
        for (message, len) in messages.zip(&mut lens) {
            *len = message.bytes;
            count += 1;
        }
        let rooms = buffer.chunks_exact(DATAGRAM_MAX).zip(lens).take(count);
        take(&mut rooms.filter_map(|(room, len)| room.get(..len)));
        Ok(count == BATCH)
    })
}
