//! A collector of traces: asked by HTTP to take a batch each second, and found again when it comes back.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc::Receiver},
    thread,
    time::{Duration, Instant},
};

use super::{
    config::OtlpConfig,
    line::{Clocks, Entry},
    otlp::Batch,
    queue::{Exit, Found, LOOK},
};
use crate::telemetry::{Metrics, Output, Span, Untold};

/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);
/// Spans that go together: at some 600 octets each, a message of 1 MB.
const BATCH_MAX: u64 = 2_048;
/// For the collector to take a connection, a message, and to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of an answer that are looked at.
const ANSWER_LEN_MAX: u64 = 64 * 1024;

/// Sends spans to a collector.
pub struct Spans {
    pub(super) exit: Exit<Entry>,
    pub(super) config: OtlpConfig,
    pub(super) identity: Box<[u8]>,
    pub(super) metrics: Arc<Metrics>,
}

// === impl Spans ===

impl Spans {
    /// Sends until nobody is left who could tell of a query, or `is_ending` and all is sent.
    pub(super) fn run(self, wall: fn() -> Duration, is_ending: &dyn Fn() -> bool) {
        let works = self.metrics.spans.open();
        let mut batch = Batch::new();
        let mut begun: Option<Instant> = None;
        let mut told_gone = false;
        loop {
            let (ending, now) = (is_ending(), Instant::now());
            let clocks = Clocks::new(now, wall());
            let found = self.gather(&works, &mut batch, clocks);
            let over = ending || matches!(found, Found::Closed);
            if 0 < batch.count {
                let since = *begun.get_or_insert(now);
                if over || BATCH_MAX <= batch.count || GATHER <= now - since {
                    self.send(&batch, &mut told_gone);
                    (batch, begun) = (Batch::new(), None);
                }
            }
            match found {
                Found::One(()) => (),
                Found::Nothing if !ending => thread::sleep(LOOK),
                Found::Nothing | Found::Closed => return,
            }
        }
    }

    /// Takes what there is, up to a batch.
    fn gather(&self, works: &Receiver<Span>, batch: &mut Batch, clocks: Clocks) -> Found<()> {
        while let Ok(work) = works.try_recv() {
            batch.work(&work, clocks);
        }
        let before = batch.count;
        while batch.count < BATCH_MAX {
            match self.exit.next() {
                Found::One(entry) => batch.query(&entry, clocks),
                Found::Nothing if batch.count == before => return Found::Nothing,
                Found::Closed => return Found::Closed,
                Found::Nothing => break,
            }
        }
        Found::One(())
    }

    fn send(&self, batch: &Batch, told_gone: &mut bool) {
        let (address, path) = (self.config.address, &self.config.path);
        match post(address, path, &batch.message(&self.identity)) {
            Ok(()) => {
                if *told_gone {
                    tracing::info!(collector = %address, "the collector takes spans again");
                }
                *told_gone = false;
                self.metrics.told.told(Output::Otlp, batch.count);
            }
            Err(error) => {
                if !*told_gone {
                    tracing::warn!(
                        collector = %address, %error,
                        "the collector takes no spans; they are dropped, and the next are tried"
                    );
                }
                *told_gone = true;
                self.metrics.told.untold(Output::Otlp, Untold::Write, batch.count);
            }
        }
    }
}

/// One message, on a connection of its own.
fn post(address: SocketAddr, path: &str, message: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: hubdns/{}\r\n\
         content-type: application/x-protobuf\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        message.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(message)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LEN_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        _ => Err(io::Error::other(format!("it answers {status:?}"))),
    }
}
