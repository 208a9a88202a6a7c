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
    otlp::{Batch, Rejected},
    queue::{Exit, Found, LOOK},
};
use crate::{
    base::printable,
    telemetry::{Metrics, Output, Span, Untold},
};

/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);
/// Spans that go together: at some 600 octets each, a message of 1 MB.
const BATCH_MAX: u64 = 2_048;
/// For the collector to take a connection and a message and to answer, all together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Octets of an answer that are looked at.
const ANSWER_LEN_MAX: u64 = 64 * 1024;
/// Characters of a collector's own words that are logged.
const WHY_LEN_MAX: usize = 200;

/// What was logged of a collector, until it is over.
#[derive(Default)]
struct Logged {
    gone: bool,
    rejects: bool,
}

/// A connection on which everything has one end, however many octets come one by one.
struct Hurried {
    stream: TcpStream,
    end: Instant,
}

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
    pub(super) fn run(
        self,
        works: &Receiver<Span>,
        wall: fn() -> Duration,
        is_ending: &dyn Fn() -> bool,
    ) {
        let mut batch = Batch::new();
        let mut begun: Option<Instant> = None;
        let mut logged = Logged::default();
        loop {
            let (ending, now) = (is_ending(), Instant::now());
            let clocks = Clocks::new(now, wall());
            let found = self.gather(works, &mut batch, clocks);
            let over = ending || matches!(found, Found::Closed);
            if 0 < batch.count {
                let since = *begun.get_or_insert(now);
                if over || BATCH_MAX <= batch.count || GATHER <= now - since {
                    self.send(&batch, &mut logged);
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

    fn send(&self, batch: &Batch, logged: &mut Logged) {
        let (address, path) = (self.config.address, &self.config.path);
        match post(address, path, &batch.message(&self.identity), PATIENCE) {
            Ok(rejected) => {
                if logged.gone {
                    tracing::info!(collector = %address, "the collector takes spans again");
                }
                logged.gone = false;
                self.count(batch, &rejected, logged);
            }
            Err(error) => {
                if !logged.gone {
                    tracing::warn!(
                        collector = %address, %error,
                        "the collector takes no spans; they are dropped, and the next are tried"
                    );
                }
                logged.gone = true;
                self.metrics.told.untold(Output::Otlp, Untold::Write, batch.count);
            }
        }
    }

    /// Of a batch that was taken some spans may have been rejected.
    fn count(&self, batch: &Batch, rejected: &Rejected, logged: &mut Logged) {
        let spans = rejected.spans.min(batch.count);
        self.metrics.told.told(Output::Otlp, batch.count - spans);
        self.metrics.told.untold(Output::Otlp, Untold::Write, spans);
        if 0 < spans && !logged.rejects {
            let why: String = rejected.why.chars().take(WHY_LEN_MAX).collect();
            tracing::warn!(
                collector = %self.config.address, spans, why = printable(&why),
                "the collector does not take all spans; those are dropped"
            );
        }
        logged.rejects = 0 < spans;
    }
}

// === impl Hurried ===

impl Hurried {
    fn connect(address: SocketAddr, within: Duration) -> io::Result<Self> {
        let end = Instant::now() + within;
        Ok(Self { stream: TcpStream::connect_timeout(&address, within)?, end })
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long"));
        }
        Ok(left)
    }
}

impl Read for Hurried {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(octets)
    }
}

impl Write for Hurried {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// One message, on a connection of its own.
fn post(address: SocketAddr, path: &str, message: &[u8], within: Duration) -> io::Result<Rejected> {
    let mut stream = Hurried::connect(address, within)?;
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
    let head_len = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or(answer.len());
    let (head, body) = answer.split_at(head_len);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().next().unwrap_or_default();
    if !status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Err(io::Error::other(format!("it answers {status:?}")));
    }
    let body = body.get(4..).unwrap_or_default();
    let is_chunked =
        |line: &str| line.starts_with("transfer-encoding:") && line.ends_with("chunked");
    Ok(match head.to_ascii_lowercase().lines().any(is_chunked) {
        true => Rejected::read(&joined(body)),
        false => Rejected::read(body),
    })
}

/// The chunks of a body as one (RFC 9112 section 7.1), as far as they can be read.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(at) = chunks.windows(2).position(|it| it == b"\r\n") {
        let (size, rest) = chunks.split_at(at);
        let size = String::from_utf8_lossy(size);
        let size = size.split(';').next().unwrap_or_default().trim();
        let Some(len @ 1..) = usize::from_str_radix(size, 16).ok() else { break };
        let Some(chunk) = rest.get(2..).and_then(|rest| rest.get(..len)) else { break };
        body.extend_from_slice(chunk);
        chunks = rest.get(2 + len + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, ErrorKind, Write},
        net::TcpListener,
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use super::{OtlpConfig, Rejected, Span, post};
    use crate::{
        querylog::{Observers, ObserversConfig, Rate},
        telemetry::Metrics,
    };

    /// What comes of a collector that answers `parts`, and waits behind each.
    fn posted(parts: Vec<Vec<u8>>, wait: Duration) -> std::io::Result<Rejected> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let collector = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = BufReader::new(stream.try_clone().unwrap()).lines();
            while !asked.next().unwrap().unwrap().is_empty() {}
            for part in parts {
                // Whoever waits no longer has closed it.
                if stream.write_all(&part).is_err() {
                    return;
                }
                thread::sleep(wait);
            }
        });
        let came = post(address, "/v1/traces", b"", Duration::from_millis(500));
        collector.join().unwrap();
        came
    }

    #[test]
    fn a_collector_that_answers_octet_by_octet_is_given_no_longer_than_any() {
        let begun = Instant::now();
        let octets = vec![b"H".to_vec(); 40];
        let error = posted(octets, Duration::from_millis(100)).unwrap_err();
        assert!([ErrorKind::TimedOut, ErrorKind::WouldBlock].contains(&error.kind()), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }

    #[test]
    fn what_a_collector_rejects_is_read_of_its_answer_however_it_is_sent() {
        // A partial success: 300 spans, "full"; behind it a field that we do not know.
        let body = b"\x0a\x09\x08\xac\x02\x12\x04full\x15\0\0\0\0";
        let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}\r\n\r\n").into_bytes();
        let whole = [head("Content-Length: 16"), body.to_vec()].concat();
        let chunks = [
            head("Transfer-Encoding: chunked"),
            b"3\r\n".to_vec(),
            body[..3].to_vec(),
            b"\r\nd;x=y\r\n".to_vec(),
            body[3..].to_vec(),
            b"\r\n0\r\n\r\n".to_vec(),
        ];
        let rejected = Rejected { spans: 300, why: "full".to_owned() };
        for parts in [vec![whole], chunks.to_vec()] {
            assert_eq!(posted(parts, Duration::ZERO).unwrap(), rejected);
        }
        for cut in 0..9 {
            let cut = [head("a: b"), body[..cut].to_vec()].concat();
            assert_eq!(posted(vec![cut], Duration::ZERO).unwrap(), Rejected::default());
        }
        let refused = posted(vec![b"HTTP/1.1 503 Busy\r\n\r\n".to_vec()], Duration::ZERO);
        assert!(refused.unwrap_err().to_string().contains("503"));
    }

    /// A reload is told at its end, when those of its configuration are begun and hardly run.
    #[test]
    fn what_is_told_before_a_thread_runs_is_not_lost_and_who_is_not_begun_takes_nothing() {
        let metrics = Arc::new(Metrics::new().unwrap());
        // Nobody is there any more.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let otlp = OtlpConfig { address, path: "/v1/traces".to_owned(), rate: Rate::Off };
        let config = ObserversConfig { otlp: Some(otlp), ..ObserversConfig::NOBODY };
        let (observers, mut outlets) = Observers::open(&config, b"hub-a", &metrics).unwrap();
        metrics.spans.tell(|| panic!("its configuration may still be refused"));
        let writes = outlets.remove(0).begin(|| Duration::ZERO);
        metrics.spans.tell(|| Span {
            name: "reload",
            began: Instant::now(),
            took: Duration::ZERO,
            attributes: vec![],
            error: None,
            steps: vec![],
        });
        drop(observers);
        writes(&|| false);
        let tried = "hubdns_query_log_dropped_total{output=\"otlp\",reason=\"write\"} 1\n";
        assert!(metrics.render().unwrap().contains(tried));
    }
}
