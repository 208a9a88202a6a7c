//! The limit: what comes goes back, as long as an answer, in batches and with nothing in between.

use std::net::{SocketAddr, UdpSocket};

use clap::Args;
use nix::sys::socket::MsgFlags;

use crate::{
    batch::{Batches, DATAGRAM_MAX},
    frames,
};

#[derive(Args)]
pub(crate) struct Echo {
    #[arg(long)]
    listen: SocketAddr,
    /// Octets of an answer
    #[arg(long)]
    len: usize,
}

// === impl Echo ===

impl Echo {
    pub(crate) fn by_udp(&self) {
        let mut batches = Batches::new(UdpSocket::bind(self.listen).unwrap());
        loop {
            let Ok(count) = batches.receive(MsgFlags::empty()) else { continue };
            batches.answer(count, |question, out| echo(question, out, self.len));
            batches.send();
        }
    }

    pub(crate) fn by_tcp(&self) {
        let len = self.len;
        frames::serve(self.listen, move |question, out| echo(question, out, len));
    }
}

/// The question with the header of an answer with one record.
fn echo(question: &[u8], out: &mut [u8; DATAGRAM_MAX], len: usize) -> usize {
    out[..question.len()].copy_from_slice(question);
    out[2] |= 0x80;
    out[7] = 1;
    len
}
