//! The memory that docs/OPERATIONS.md names is enough, whatever comes at once.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::PathBuf,
    process, thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{SQS, measured_octets, recorded, support::Hubdns};

/// The sum of the document for what comes here: caches, questions that wait, 1,000 connections. What
/// the daemon has when it is put there is not counted.
const LIMIT_MIB: u64 = 8 + 8 + 92 + 16;
const CONNECTIONS: usize = 1_000;
/// Questions wait for 3.5 s: as many as there may be at once, twice.
const QUESTIONS: u16 = 32_768;

/// A memory cgroup of version 1, where the kernel has them and we may make one.
struct Cgroup(PathBuf);

// === impl Cgroup ===

impl Cgroup {
    fn new(limit: u64) -> Option<Self> {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/memory/hubdns-{}", process::id()));
        fs::create_dir(&folder).ok()?;
        let made = Self(folder);
        fs::write(made.0.join("memory.limit_in_bytes"), limit.to_string()).ok()?;
        Some(made)
    }

    fn takes(&self, process: u32) {
        fs::write(self.0.join("cgroup.procs"), process.to_string()).unwrap();
    }

    fn most(&self) -> u64 {
        let text = fs::read_to_string(self.0.join("memory.max_usage_in_bytes")).unwrap();
        text.trim().parse().unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // It can go once its last process has gone.
        let start = Instant::now();
        while fs::remove_dir(&self.0).is_err() && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A question for an A record of a name of its own, with options up to `len` octets.
fn question(at: u16, len: usize) -> Vec<u8> {
    let mut packet = [at.to_be_bytes().as_slice(), b"\x01\0\0\x01\0\0\0\0\0\x01"].concat();
    packet.push(6);
    packet.extend(format!("n{at:05}").bytes());
    packet.extend(b"\x07example\0\0\x01\0\x01\0\0\x29\x10\0\0\0\0\0");
    let padding = len.saturating_sub(packet.len() + 6);
    let length = |octets: usize| u16::try_from(octets).unwrap().to_be_bytes();
    packet.extend([length(padding + 4), 65_001_u16.to_be_bytes(), length(padding)].concat());
    packet.resize(packet.len() + padding, 7);
    packet
}

/// Octets of a process that are in memory, or were at most (proc_pid_status(5)).
fn resident(process: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

fn connect(to: SocketAddr, client: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = Ipv4Addr::new(127, 0, 2, u8::try_from(client % 8 + 1).unwrap());
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn a_flood_of_everything_stays_below_the_memory_that_the_document_names() {
    // Where the kernel cannot hold it to the limit, what it has had at most is held against it all the
    // same.
    let cgroup = Cgroup::new(LIMIT_MIB << 20);
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = silent.local_addr().unwrap();
    let mut daemon = Hubdns::start(&format!(
        "{}[forward]\nupstreams = [\"{upstream}\"]\n[forward.budget]\nupstreams = []\n\
         [cache]\nmemory_mib = 8\n",
        recorded()
    ));
    // What it touches from here on counts.
    let id = daemon.process().id();
    let before = resident(id, "VmRSS:");
    cgroup.iter().for_each(|cgroup| cgroup.takes(id));
    let dns = daemon.dns();
    let held: Vec<_> = (0..CONNECTIONS).map(|at| connect(dns, at)).collect();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(dns).unwrap();
    for at in 0..QUESTIONS {
        // Some are as large as a question may be; many ask for the same, and wait together.
        let len = if at % 4 == 0 { 4_000 } else { 60 };
        socket.send(&question(at % 2_000, len)).unwrap();
        if at % 64 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
        if at % 4_096 == 0 {
            let ours = daemon.dig(&format!("{SQS} A +tries=2 +time=5"));
            assert_eq!(ours.data("A").len(), 3, "beside {at} questions: {}", ours.raw);
        }
    }
    let most = resident(id, "VmHWM:").saturating_sub(before);
    let most = cgroup.as_ref().map_or(most, |cgroup| cgroup.most().max(most));
    measured_octets("the most of memory in a flood", most);
    assert!(most < LIMIT_MIB << 20, "{most} octets");
    assert!(daemon.process().ended().is_none(), "it was killed: {}", daemon.log());
    drop(held);
    assert_eq!(daemon.dig(&format!("{SQS} A +tcp")).data("A").len(), 3, "and goes on");
    drop(daemon);
}
