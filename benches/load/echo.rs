//! The limit: what comes goes back, as long as an answer, in batches and with nothing in between.

use std::net::{SocketAddr, UdpSocket};

use clap::Args;
use nix::sys::socket::MsgFlags;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    batch::Batches,
    stream::{Frames, runtime},
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
            batches.answer(count, |question, out| {
                out[..question.len()].copy_from_slice(question);
                answered(out);
                self.len
            });
            batches.send();
        }
    }

    pub(crate) fn by_tcp(&self) {
        runtime().block_on(async {
            let listener = TcpListener::bind(self.listen).await.unwrap();
            let mut conversations = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                conversations.spawn(converse(stream, self.len));
            }
        });
    }
}

/// All that came in one read is answered in one write.
async fn converse(mut stream: TcpStream, len: usize) {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    stream.set_nodelay(true).unwrap();
    while let Ok(1..) = stream.read_buf(&mut frames.octets).await {
        out.clear();
        frames.each(|question| {
            let at = out.len() + 2;
            out.extend((len as u16).to_be_bytes());
            out.extend(question);
            out.resize(at + len, 0);
            answered(&mut out[at..]);
        });
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// Makes the header that of an answer with one record.
fn answered(message: &mut [u8]) {
    message[2] |= 0x80;
    message[7] = 1;
}
