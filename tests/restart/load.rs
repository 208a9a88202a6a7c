//! Questions at an even pace, each followed to its answer.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use socket2::SockRef;

/// Clients by UDP, each with a port of its own: the kernel spreads them over the server's sockets.
const CLIENTS: usize = 4;
/// Questions that a client can tell apart, by their ids.
const IDS: usize = 1 << 16;
/// Questions that are sent together.
const PACE: Duration = Duration::from_millis(1);
/// A client that gets no answer for so long gives up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two connections by TCP.
const TCP_PACE: Duration = Duration::from_millis(5);

/// What became of all questions.
pub(crate) struct Told {
    /// By UDP: when each was sent since the start, and how long it waited.
    pub(crate) answered: Vec<(Duration, Duration)>,
    /// By UDP: when each was sent that got no answer.
    pub(crate) lost: Vec<Duration>,
    /// Answers that were not what is true.
    pub(crate) wrong: u64,
    /// New connections by TCP: how many got their answer, and when those began that did not.
    pub(crate) connections: usize,
    pub(crate) failed_connections: Vec<Duration>,
    pub(crate) tcp_worst: Duration,
}

/// Questions on their way.
pub(crate) struct Load {
    start: Instant,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Client>>,
    connections: JoinHandle<(usize, Vec<Duration>, Duration)>,
}

/// One client: for each id when it was sent and when answered, in nanoseconds; 0 for not yet.
struct Client {
    sent: Vec<u64>,
    answered: Arc<Vec<AtomicU64>>,
    wrong: Arc<AtomicU64>,
}

/// A query for the name's IPv4 addresses.
pub(crate) fn query(name: &str, id: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Whether it is a NOERROR with three records.
pub(crate) fn is_right(reply: &[u8]) -> bool {
    12 <= reply.len() && reply[3] & 15 == 0 && reply[6..8] == [0, 3]
}

// === impl Load ===

impl Load {
    /// Asks `server` for `name` so many times a second by UDP, and by a new TCP connection every
    /// few milliseconds.
    pub(crate) fn start(server: SocketAddr, name: &'static str, rate: usize) -> Self {
        let (start, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let clients = (0..CLIENTS).map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || Client::run(server, name, rate / CLIENTS, start, &stop))
        });
        let clients = clients.collect();
        let stopped = Arc::clone(&stop);
        let connections = thread::spawn(move || connect(server, name, start, &stopped));
        Self { start, stop, clients, connections }
    }

    /// The time that answers are told in.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends it, and tells what became of the questions.
    pub(crate) fn end(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        let mut told = Told {
            answered: Vec::new(),
            lost: Vec::new(),
            wrong: 0,
            connections: 0,
            failed_connections: Vec::new(),
            tcp_worst: Duration::ZERO,
        };
        for client in self.clients {
            let Client { sent, answered, wrong } = client.join().unwrap();
            told.wrong += wrong.load(Ordering::Relaxed);
            for (sent, answered) in sent.iter().zip(&*answered) {
                let at = Duration::from_nanos(*sent);
                match answered.load(Ordering::Relaxed) {
                    0 => told.lost.push(at),
                    answered => told.answered.push((at, Duration::from_nanos(answered) - at)),
                }
            }
        }
        (told.connections, told.failed_connections, told.tcp_worst) =
            self.connections.join().unwrap();
        told
    }
}

// === impl Client ===

impl Client {
    fn run(
        server: SocketAddr,
        name: &str,
        rate: usize,
        start: Instant,
        stop: &AtomicBool,
    ) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        SockRef::from(&socket).set_recv_buffer_size(4 << 20).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        socket.connect(server).unwrap();
        let answered: Arc<Vec<AtomicU64>> = Arc::new((0..IDS).map(|_| AtomicU64::new(0)).collect());
        let (wrong, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let reader = {
            let (socket, answered) = (socket.try_clone().unwrap(), Arc::clone(&answered));
            let (wrong, done) = (Arc::clone(&wrong), Arc::clone(&done));
            thread::spawn(move || {
                let mut reply = [0; 512];
                while !done.load(Ordering::Relaxed) {
                    // An error is a timeout, or a port that is closed for a moment.
                    let Ok(len) = socket.recv(&mut reply) else { continue };
                    let id = usize::from(u16::from_be_bytes([reply[0], reply[1]]));
                    let now = u64::try_from(start.elapsed().as_nanos()).unwrap();
                    answered[id].store(now, Ordering::Relaxed);
                    if !is_right(&reply[..len]) {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let mut sent = Vec::with_capacity(IDS);
        let mut query = query(name, 0);
        let began = Instant::now();
        while !stop.load(Ordering::Relaxed) && sent.len() < IDS {
            let due = usize::try_from(began.elapsed().as_micros()).unwrap() * rate / 1_000_000;
            while sent.len() < due.min(IDS) {
                let id = u16::try_from(sent.len()).unwrap();
                query[..2].copy_from_slice(&id.to_be_bytes());
                sent.push(u64::try_from(start.elapsed().as_nanos()).unwrap());
                // That nobody has the port is a loss, which is counted as one.
                let _ = socket.send(&query);
            }
            thread::sleep(PACE);
        }
        let is_answered =
            || answered.iter().take(sent.len()).all(|answer| answer.load(Ordering::Relaxed) != 0);
        let ended = Instant::now();
        while !is_answered() && ended.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
        Client { sent, answered, wrong }
    }
}

/// Asks by a new connection each time. Tells how many were answered, when those began that were not,
/// and the longest that one took.
#[expect(clippy::print_stderr, reason = "why a connection failed is seen with the test's output")]
fn connect(
    server: SocketAddr,
    name: &str,
    start: Instant,
    stop: &AtomicBool,
) -> (usize, Vec<Duration>, Duration) {
    let query = query(name, 1);
    let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat();
    let (mut good, mut failed, mut worst) = (0, Vec::new(), Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&framed)?;
            let mut len = [0; 2];
            stream.read_exact(&mut len)?;
            let mut reply = vec![0; u16::from_be_bytes(len).into()];
            stream.read_exact(&mut reply)?;
            Ok(is_right(&reply))
        };
        match ask() {
            Ok(true) => good += 1,
            other => {
                eprintln!("a new connection after {:?}: {other:?}", began.elapsed());
                failed.push(began - start);
            }
        }
        worst = worst.max(began.elapsed());
        thread::sleep(TCP_PACE);
    }
    (good, failed, worst)
}
