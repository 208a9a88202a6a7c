//! Messages in a stream, each behind its length (RFC 1035 section 4.2.2), and who answers them.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::batch::DATAGRAM_MAX;

/// Messages as they are cut out of a stream.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) octets: Vec<u8>,
}

/// One thread's runtime: a generator has a core, and so has an echo.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Answers every message of every connection by `answer`, which tells the answer's length.
pub(crate) fn serve(
    listen: SocketAddr,
    answer: impl Fn(&[u8], &mut [u8; DATAGRAM_MAX]) -> usize + Clone + Send + 'static,
) {
    runtime().block_on(async {
        let listener = TcpListener::bind(listen).await.unwrap();
        let mut conversations = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            conversations.spawn(converse(stream, answer.clone()));
        }
    });
}

/// All that came in one read is answered in one write.
async fn converse(mut stream: TcpStream, answer: impl Fn(&[u8], &mut [u8; DATAGRAM_MAX]) -> usize) {
    let (mut frames, mut out, mut message) = (Frames::default(), Vec::new(), [0; DATAGRAM_MAX]);
    stream.set_nodelay(true).unwrap();
    while let Ok(1..) = stream.read_buf(&mut frames.octets).await {
        out.clear();
        frames.each(|question| {
            let len = answer(question, &mut message);
            out.extend((len as u16).to_be_bytes());
            out.extend(&message[..len]);
        });
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

// === impl Frames ===

impl Frames {
    /// Takes out every message that is there whole.
    pub(crate) fn each(&mut self, mut take: impl FnMut(&[u8])) {
        let mut at = 0;
        while let Some(len) = self.octets[at..].first_chunk::<2>() {
            let end = at + 2 + usize::from(u16::from_be_bytes(*len));
            let Some(message) = self.octets.get(at + 2..end) else { break };
            take(message);
            at = end;
        }
        self.octets.drain(..at);
    }
}
