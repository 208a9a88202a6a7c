//! CPU time per answer over UDP, beside an echo with the same batches: the kernel's part, which no
//! server can go below. Prints a table; the figures to look at are the ratios, since the echo is
//! measured in the same run, on the same cores, in turn with hubdns.
//!
//! `cargo bench --no-default-features --bench udp`. Server and generator have a core each.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for whoever measures")]

use std::{
    array, env, fs,
    io::{IoSlice, IoSliceMut, Read, Write},
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

const BATCH: usize = 32;
/// Batches under way: enough that the server never waits for the generator.
const WINDOW: usize = 8;
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(2);
/// As long as an answer with three addresses.
const ECHO_LEN: usize = 111;

fn main() {
    match env::args().nth(1).as_deref() {
        Some("echo") => echo(),
        Some("upstream") => upstream(),
        _ => measure(),
    }
}

/// A process of ours or of hubdns, on the first core.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn role(role: &str) -> Server {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(env::current_exe().unwrap()).arg(role);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = [0; 64];
    let len = child.stdout.as_mut().unwrap().read(&mut told).unwrap();
    let address = std::str::from_utf8(&told[..len]).unwrap().trim().parse().unwrap();
    Server { child, address }
}

fn hubdns(upstream: SocketAddr) -> Server {
    let free = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (address, admin) = (free(), free());
    let mut command = Command::new("taskset");
    command.args(["-c", "0", env!("CARGO_BIN_EXE_hubdns"), "demo"]);
    command.args(["--listen", &address.to_string(), "--admin", &admin.to_string()]);
    command.args(["--upstream", &upstream.to_string()]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_secs(1));
    Server { child, address }
}

/// Answers every datagram with itself, as long as an answer of ours, in batches.
fn echo() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}", socket.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut out_headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut buffers = [[0_u8; 512]; BATCH];
    loop {
        let mut clients = [None; BATCH];
        let mut count = 0;
        {
            let mut rooms = buffers.iter_mut();
            let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
                array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap())]);
            let flags = MsgFlags::MSG_WAITFORONE;
            let received =
                recvmmsg(socket.as_raw_fd(), &mut headers, parts.iter_mut(), flags, None).unwrap();
            for (message, client) in received.zip(&mut clients) {
                *client = message.address;
                count += 1;
            }
        }
        let parts: [[IoSlice<'_>; 1]; BATCH] =
            array::from_fn(|at| [IoSlice::new(&buffers[at][..ECHO_LEN])]);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
        let _ = sendmmsg(fd, &mut out_headers, &parts[..count], &clients[..count], [], flags);
    }
}

/// Answers every question with one address.
fn upstream() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}", socket.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    let mut buffer = [0; 512];
    loop {
        let (_, client) = socket.recv_from(&mut buffer).unwrap();
        let end = 12 + buffer[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
        let mut answer = buffer[..end].to_vec();
        answer[2] = 0x81;
        answer[3] = 0x80;
        answer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1]);
        socket.send_to(&answer, client).unwrap();
    }
}

/// A question for the address of `name`, with an OPT.
fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    packet
}

/// Clock ticks of user and kernel time that a process has used.
fn ticks(child: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Microseconds of the server's CPU time an answer, and answers a second.
fn turn(server: &Server, questions: &[Vec<u8>]) -> (f64, f64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut out_headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut buffers = [[0_u8; 512]; BATCH];
    let (mut answers, mut outstanding, mut next) = (0_u64, 0_usize, 0);
    let (began, before) = (Instant::now(), ticks(&server.child));
    while began.elapsed() < TURN {
        while outstanding < BATCH * WINDOW {
            let parts: [[IoSlice<'_>; 1]; BATCH] =
                array::from_fn(|at| [IoSlice::new(&questions[(next + at) % questions.len()])]);
            next += BATCH;
            let clients: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
            let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
            sendmmsg(fd, &mut out_headers, &parts, clients, [], flags).unwrap();
            outstanding += BATCH;
        }
        let mut rooms = buffers.iter_mut();
        let mut parts: [[IoSliceMut<'_>; 1]; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(rooms.next().unwrap())]);
        let flags = MsgFlags::MSG_WAITFORONE;
        match recvmmsg(socket.as_raw_fd(), &mut headers, parts.iter_mut(), flags, None) {
            Ok(received) => {
                let count = received.count();
                answers += count as u64;
                outstanding = outstanding.saturating_sub(count);
            }
            // Lost on the way; the window is opened again.
            Err(_) => outstanding = 0,
        }
    }
    let micros = (ticks(&server.child) - before) as f64 * 10_000.0;
    (micros / answers as f64, answers as f64 / began.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure() {
    let pid = std::process::id().to_string();
    Command::new("taskset").args(["-p", "-c", "1", &pid]).stdout(Stdio::null()).status().unwrap();
    let upstream = role("upstream");
    let (echo, ours) = (role("echo"), hubdns(upstream.address));
    let names =
        ["sqs", "logs", "kms", "sts"].map(|it| question(&format!("{it}.eu-west-1.amazonaws.com")));
    let cached: Vec<_> = (0..500).map(|at| question(&format!("host-{at}.corp.example"))).collect();
    let rows = [
        ("echo", &echo, names.to_vec()),
        ("our names", &ours, names.to_vec()),
        ("cached names", &ours, cached),
    ];
    let mut figures = vec![Vec::new(); rows.len()];
    for (_, server, questions) in &rows {
        turn(server, questions);
    }
    for _ in 0..TURNS {
        for ((_, server, questions), figures) in rows.iter().zip(&mut figures) {
            figures.push(turn(server, questions));
        }
    }
    println!("{:<14}{:>12}{:>14}{:>10}", "", "us/answer", "answers/s", "echoes");
    let cpu = |turns: &[(f64, f64)]| median(turns.iter().map(|(cpu, _)| *cpu).collect());
    for ((name, ..), turns) in rows.iter().zip(&figures) {
        let rate = median(turns.iter().map(|(_, rate)| *rate).collect());
        let (cpu, limit) = (cpu(turns), cpu(&figures[0]));
        println!("{name:<14}{cpu:>12.2}{rate:>14.0}{:>10.2}", cpu / limit);
    }
}
