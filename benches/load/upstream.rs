//! An upstream that answers at once and in batches, so that no server is measured waiting for it.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    slice,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

use clap::Args;
use nix::sys::socket::MsgFlags;

use crate::{
    batch::{Batches, DATAGRAM_MAX},
    frames,
    question::encoded,
};

/// Behind the question's name, for an hour.
const A: [u8; 12] = [0xC0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4];
/// Of `example.`; its numbers are an hour, and so is the TTL of an absence.
const SOA: &[u8] = b"\x07example\0\0\x06\0\x01\0\0\x0e\x10\0\x16\0\0\
    \0\0\x0e\x10\0\0\x0e\x10\0\0\x0e\x10\0\0\x0e\x10\0\0\x0e\x10";
const ADDRESS: [u8; 4] = [192, 0, 2, 1];
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
const ABSENT: &[u8] = b"\x04none\x07example\0";
/// Told as an address, how many questions came: `count.`
const COUNT: &[u8] = b"\x05count\0";

#[derive(Args)]
pub(crate) struct Upstream {
    #[arg(long)]
    listen: SocketAddr,
    /// Names with addresses of their own, as /etc/hosts has them; all others have one and the same
    #[arg(long)]
    hosts: Option<PathBuf>,
}

/// What is said, and how often something was.
struct Answers {
    hosts: HashMap<Vec<u8>, Vec<[u8; 4]>>,
    asked: AtomicU32,
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn serve(&self) {
        let answers = Arc::new(Answers { hosts: self.hosts(), asked: AtomicU32::new(0) });
        let (listen, by_tcp) = (self.listen, Arc::clone(&answers));
        thread::spawn(move || {
            frames::serve(listen, move |question, out| by_tcp.answer(question, out));
        });
        let mut batches = Batches::new(UdpSocket::bind(listen).unwrap());
        loop {
            let Ok(count) = batches.receive(MsgFlags::empty()) else { continue };
            batches.answer(count, |question, out| answers.answer(question, out));
            batches.send();
        }
    }

    fn hosts(&self) -> HashMap<Vec<u8>, Vec<[u8; 4]>> {
        let mut hosts = HashMap::<_, Vec<_>>::new();
        let text = self.hosts.as_ref().map(|path| fs::read_to_string(path).unwrap());
        for line in text.as_deref().unwrap_or_default().lines() {
            let (address, name) = line.split_once(' ').unwrap();
            let address: Ipv4Addr = address.parse().unwrap();
            hosts.entry(encoded(name)).or_default().push(address.octets());
        }
        hosts
    }
}

// === impl Answers ===

impl Answers {
    /// Writes the answer to a question that has no more than an OPT behind it; tells its length.
    fn answer(&self, question: &[u8], out: &mut [u8; DATAGRAM_MAX]) -> usize {
        let root = question.get(12..).and_then(|rest| rest.iter().position(|it| *it == 0));
        let Some(end) = root.map(|root| 17 + root).filter(|end| *end <= question.len()) else {
            return 0;
        };
        let name = question[12..end - 4].to_ascii_lowercase();
        let asked = self.asked.fetch_add(1, Relaxed).to_be_bytes();
        let addresses = match self.hosts.get(&name) {
            _ if question[end - 4..end] != [0, 1, 0, 1] || name.ends_with(ABSENT) => &[],
            Some(addresses) => &addresses[..],
            None if name == COUNT => slice::from_ref(&asked),
            None => slice::from_ref(&ADDRESS),
        };
        let has_opt = question[11] != 0;
        let code = if name.ends_with(ABSENT) { 3 } else { 0 };
        out[..end].copy_from_slice(&question[..end]);
        out[2..4].copy_from_slice(&[0x81, 0x80 | code]);
        let authority = u8::from(addresses.is_empty());
        let counts = [0, 1, 0, addresses.len() as u8, 0, authority, 0, u8::from(has_opt)];
        out[4..12].copy_from_slice(&counts);
        let mut at = end;
        let mut write = |octets: &[u8]| {
            out[at..at + octets.len()].copy_from_slice(octets);
            at += octets.len();
        };
        for address in addresses {
            write(&A);
            write(address);
        }
        if addresses.is_empty() {
            write(SOA);
        }
        if has_opt {
            write(&OPT);
        }
        at
    }
}
