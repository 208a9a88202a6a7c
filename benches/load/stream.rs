//! Load by TCP and by TLS: kept connections, on each so many questions under way.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Target,
    frames::{Frames, runtime},
    question::Questions,
    told::{Told, Waiting},
};

/// Without an answer for so long, a connection is of no more use.
const LOST: Duration = Duration::from_secs(1);
/// More than any question.
const QUESTION_MAX: usize = 512;

#[derive(Args, Clone)]
pub(crate) struct Connections {
    #[command(flatten)]
    pub(crate) target: Target,
    #[arg(long, default_value_t = 20)]
    pub(crate) connections: u64,
    /// Questions under way of each connection
    #[arg(long, default_value_t = 16)]
    pub(crate) window: usize,
    /// The certificate of a server that is asked by TLS
    #[arg(long)]
    certificate: Option<PathBuf>,
}

// === impl Connections ===

impl Connections {
    /// By TLS where there is a certificate to trust.
    pub(crate) fn run(&self) -> Told {
        runtime().block_on(async {
            let mut conversations = JoinSet::new();
            for part in 0..self.connections {
                let load = self.clone();
                conversations.spawn(async move { load.converse(part).await });
            }
            Told::of_all(conversations).await
        })
    }

    /// Asks until the time is over; a connection that ends is followed by another.
    async fn converse(self, part: u64) -> Told {
        let mut questions = self.target.mix.questions(part);
        let mut told = Told::default();
        let began = Instant::now();
        let end = began + Duration::from_secs_f64(self.target.seconds);
        while Instant::now() < end {
            if self.certificate.is_some() {
                let stream = self.encrypted(&[]).await;
                converse(stream, &mut questions, self.window, end, &mut told).await;
            } else {
                let stream = self.connected().await;
                converse(stream, &mut questions, self.window, end, &mut told).await;
            }
        }
        told.elapsed = began.elapsed();
        told
    }

    async fn connected(&self) -> TcpStream {
        let stream = TcpStream::connect(self.target.server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// A connection by TLS for this protocol.
    pub(crate) async fn encrypted(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let certificate = self.certificate.as_ref().unwrap();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let mut config =
            ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        if !protocol.is_empty() {
            config.alpn_protocols = vec![protocol.to_vec()];
        }
        let name = ServerName::from(self.target.server.ip());
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, self.connected().await).await.unwrap()
    }
}

/// Asks until `end`, or until the connection ends. As many questions leave in one write as answers
/// came in one read.
async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    questions: &mut Questions,
    window: usize,
    end: Instant,
    told: &mut Told,
) {
    let (mut waiting, mut frames, mut out) = (Waiting::new(), Frames::default(), Vec::new());
    let mut wanted = window;
    while Instant::now() < end {
        out.clear();
        for _ in 0..wanted {
            let id = waiting.id();
            let at = out.len();
            out.resize(at + 2 + QUESTION_MAX, 0);
            let (len, expected) = questions.write(id, &mut out[at + 2..]);
            out[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
            out.truncate(at + 2 + len);
            waiting.wait(id, end, expected);
        }
        if stream.write_all(&out).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        told.sent += wanted as u64;
        let Ok(Ok(1..)) = timeout(LOST, stream.read_buf(&mut frames.octets)).await else {
            return;
        };
        wanted = 0;
        frames.each(|response| {
            if let Some((_, expected)) = waiting.take(response) {
                told.count(expected, response);
                wanted += 1;
            }
        });
    }
}
