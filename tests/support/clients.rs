//! Clients that ask at an even pace, and hold each answer to what is true.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use domain::{
    base::{
        Message, MessageBuilder, Name, Rtype,
        iana::{Class, Rcode},
    },
    rdata::A,
};
use nix::sys::socket::{setsockopt, sockopt};

/// A question without an answer for so long is lost. What waits for upstreams is answered within
/// 3.5 s, and a machine with other work stands still for as long; the longest wait is told.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two looks at what is due and what has come.
const TICK: Duration = Duration::from_millis(1);
/// Questions that are sent before answers are read again. A client that stood still makes up for what
/// it missed, and the answers to more than some 270 at once would not fit into its own receive buffer.
const AT_ONCE: usize = 32;
/// What a client has room for: some thousands of answers.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Wrong answers and losses of which the words are kept.
const EXAMPLES_MAX: usize = 5;

/// What is true of names, and which of them are asked for.
pub trait Truth: Send + Sync + 'static {
    /// The name of the question with this number, asked for its IPv4 addresses.
    fn name(&self, number: usize) -> String;
    /// What such a reply is worth, to a question that was sent then and is answered now.
    fn verdict(&self, name: &str, sent: Instant, reply: &Reply) -> Verdict;
}

/// What counts of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code of the header.
    pub rcode: Rcode,
    /// The IPv4 addresses of its answer, sorted.
    pub addresses: Vec<Ipv4Addr>,
}

/// What a reply is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is true.
    Right,
    /// It says that there is no answer for the time being.
    Failed,
    /// It is not true, and never was in the question's life.
    Wrong,
}

/// Names that always have the same addresses, asked for in turn.
pub struct Fixed(pub Vec<(String, Vec<Ipv4Addr>)>);

/// What became of questions.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Questions.
    pub sent: usize,
    /// Answers that were not true.
    pub wrong: usize,
    /// SERVFAIL.
    pub failed: usize,
    /// Questions without an answer.
    pub lost: usize,
    /// Answers that came and that the kernel dropped, since the client had not read those before:
    /// each is lost, and not by the server.
    pub overrun: usize,
    /// The longest that an answer took.
    pub worst: Duration,
    /// When the last was sent that had no right answer.
    pub last_bad: Option<Instant>,
    /// Some wrong answers and losses in words.
    pub examples: Vec<String>,
}

/// Clients at work.
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Figures>>,
}

/// A query for a name's IPv4 addresses.
pub fn query(name: &str, id: u16) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    message.header_mut().set_rd(true);
    let mut message = message.question();
    let name: Name<Vec<u8>> = name.parse().expect("a name");
    message.push((name, Rtype::A, Class::IN)).expect("a Vec takes all");
    message.finish()
}

// === impl Reply ===

impl Reply {
    /// The id of a message and what counts of it; `None` for what is no response.
    pub fn read(octets: &[u8]) -> Option<(u16, Self)> {
        let message = Message::from_octets(octets).ok()?;
        let header = message.header();
        let records = message.answer().ok()?.limit_to::<A>();
        let mut addresses: Vec<Ipv4Addr> =
            records.filter_map(|record| Some(record.ok()?.data().addr())).collect();
        addresses.sort_unstable();
        header.qr().then_some((header.id(), Self { rcode: header.rcode(), addresses }))
    }
}

// === impl Fixed ===

impl Fixed {
    /// One name.
    pub fn one(name: &str, addresses: &[Ipv4Addr]) -> Self {
        Self(vec![(name.to_owned(), addresses.to_vec())])
    }
}

impl Truth for Fixed {
    fn name(&self, number: usize) -> String {
        self.0[number % self.0.len()].0.clone()
    }

    fn verdict(&self, name: &str, _sent: Instant, reply: &Reply) -> Verdict {
        let known = self.0.iter().find(|(known, _)| known == name);
        let (_, addresses) = known.expect("a name that was asked for");
        match reply.rcode {
            Rcode::SERVFAIL => Verdict::Failed,
            Rcode::NOERROR if reply.addresses == *addresses => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }
}

// === impl Figures ===

impl Figures {
    /// From then until the last question was sent that had no right answer.
    pub fn recovered(&self, since: Instant) -> Duration {
        self.last_bad.map_or(Duration::ZERO, |last| last.saturating_duration_since(since))
    }

    /// All of both.
    pub fn and(mut self, other: Self) -> Self {
        self.sent += other.sent;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.lost += other.lost;
        self.overrun += other.overrun;
        self.worst = self.worst.max(other.worst);
        self.last_bad = self.last_bad.max(other.last_bad);
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES_MAX);
        self
    }

    fn bad(&mut self, sent: Instant) {
        self.last_bad = self.last_bad.max(Some(sent));
    }

    fn lose(&mut self, name: &str, sent: Instant) {
        self.lost += 1;
        self.example(|| format!("{name}: no answer {:.1?} after it was asked", sent.elapsed()));
        self.bad(sent);
    }

    fn example(&mut self, words: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(words());
        }
    }

    fn judge(&mut self, truth: &dyn Truth, name: &str, sent: Instant, reply: &Reply) {
        self.worst = self.worst.max(sent.elapsed());
        match truth.verdict(name, sent, reply) {
            Verdict::Right => return,
            Verdict::Failed => self.failed += 1,
            Verdict::Wrong => {
                self.wrong += 1;
                self.example(|| format!("{name}: {reply:?}"));
            }
        }
        self.bad(sent);
    }
}

// === impl Clients ===

impl Clients {
    /// One asks by UDP so many times a second, and one by a new TCP connection at a tenth of it.
    pub fn start(server: SocketAddr, truth: Arc<dyn Truth>, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (by_udp, by_tcp) = (Arc::clone(&truth), truth);
        let (stop_udp, stop_tcp) = (Arc::clone(&stop), Arc::clone(&stop));
        let pause = Duration::from_secs(10) / rate;
        let threads = vec![
            thread::spawn(move || ask_by_udp(server, &*by_udp, rate, &stop_udp)),
            thread::spawn(move || ask_by_tcp(server, &*by_tcp, pause, &stop_tcp)),
        ];
        Self { stop, threads }
    }

    /// Stops asking, waits for the answers, and tells what became of all questions.
    pub fn end(self) -> Figures {
        self.stop.store(true, Ordering::Relaxed);
        let all = self.threads.into_iter().map(|thread| thread.join().expect("no client panics"));
        all.fold(Figures::default(), Figures::and)
    }
}

fn ask_by_udp(server: SocketAddr, truth: &dyn Truth, rate: u32, stop: &AtomicBool) -> Figures {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    // What upstreams that come back have to say comes all at once. Beyond net.core.rmem_max by root.
    if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err() {
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES).expect("a socket");
    }
    let mut figures = Figures::default();
    let mut waiting: HashMap<u16, (String, Instant)> = HashMap::new();
    let began = Instant::now();
    let mut octets = [0; 4_096];
    while !stop.load(Ordering::Relaxed) || !waiting.is_empty() {
        let due = began.elapsed().as_millis() * u128::from(rate) / 1_000;
        for _ in 0..AT_ONCE {
            if stop.load(Ordering::Relaxed) || due <= figures.sent as u128 {
                break;
            }
            let name = truth.name(figures.sent);
            let id = u16::try_from(figures.sent % (1 << 16)).expect("a rest");
            let sent = Instant::now();
            // That nobody has the port is a loss, which is counted as one.
            let _ = socket.send_to(&query(&name, id), server);
            figures.sent += 1;
            if let Some((name, sent)) = waiting.insert(id, (name, sent)) {
                figures.lose(&name, sent);
            }
        }
        while let Ok((len, from)) = socket.recv_from(&mut octets) {
            let Some((id, reply)) = Reply::read(&octets[..len]) else { continue };
            let asked = (from == server).then(|| waiting.remove(&id)).flatten();
            if let Some((name, sent)) = asked {
                figures.judge(truth, &name, sent, &reply);
            }
        }
        waiting.retain(|_, (name, sent)| {
            let is_lost = PATIENCE < sent.elapsed();
            if is_lost {
                figures.lose(name, *sent);
            }
            !is_lost
        });
        thread::sleep(TICK);
    }
    figures.overrun = dropped(&socket);
    figures
}

/// Packets that the kernel dropped since a socket's receive buffer was full, as `/proc/net/udp` has it.
fn dropped(socket: &UdpSocket) -> usize {
    let port = socket.local_addr().expect("it is bound").port();
    let sockets = fs::read_to_string("/proc/net/udp").expect("Linux");
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut ours =
        sockets.lines().map(columns).filter(|line| line[1].ends_with(&format!(":{port:04X}")));
    ours.next().and_then(|line| line.last()?.parse().ok()).expect("it is open")
}

fn ask_by_tcp(
    server: SocketAddr,
    truth: &dyn Truth,
    pause: Duration,
    stop: &AtomicBool,
) -> Figures {
    let mut figures = Figures::default();
    while !stop.load(Ordering::Relaxed) {
        let (name, sent) = (truth.name(figures.sent), Instant::now());
        figures.sent += 1;
        match by_tcp(server, &name) {
            Ok(Some(reply)) => figures.judge(truth, &name, sent, &reply),
            Ok(None) | Err(_) => figures.lose(&name, sent),
        }
        thread::sleep(pause.saturating_sub(sent.elapsed()));
    }
    figures
}

/// What a server says to one question on a connection of its own.
pub fn by_tcp(server: SocketAddr, name: &str) -> io::Result<Option<Reply>> {
    let query = query(name, 1);
    let len = u16::try_from(query.len()).expect("a short question");
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&[&len.to_be_bytes(), &query[..]].concat())?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut reply = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut reply)?;
    Ok(Reply::read(&reply).map(|(_, reply)| reply))
}
