//! An upstream that answers at once and in batches, so that no server is measured waiting for it.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
};

use clap::Args;
use nix::sys::socket::MsgFlags;

use crate::batch::{Batches, DATAGRAM_MAX};

const TTL: [u8; 4] = 3_600_u32.to_be_bytes();
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

type Hosts = HashMap<Vec<u8>, Vec<[u8; 4]>>;

// === impl Upstream ===

impl Upstream {
    pub(crate) fn answer(&self) {
        let hosts = self.hosts();
        let mut batches = Batches::new(UdpSocket::bind(self.listen).unwrap());
        let mut asked = 0_u32;
        loop {
            let Ok(count) = batches.receive(MsgFlags::empty()) else { continue };
            batches.answer(count, |question, out| {
                asked += 1;
                answer(question, out, &hosts, asked)
            });
            batches.send();
        }
    }

    fn hosts(&self) -> Hosts {
        let mut hosts = Hosts::new();
        let text = self.hosts.as_ref().map(|path| fs::read_to_string(path).unwrap());
        for line in text.as_deref().unwrap_or_default().lines() {
            let (address, name) = line.split_once(' ').unwrap();
            let address: Ipv4Addr = address.parse().unwrap();
            let mut octets: Vec<u8> = name
                .split('.')
                .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
                .collect();
            octets.push(0);
            hosts.entry(octets).or_default().push(address.octets());
        }
        hosts
    }
}

/// Writes the answer to a question that has no more than an OPT behind it; tells its length.
fn answer(question: &[u8], out: &mut [u8; DATAGRAM_MAX], hosts: &Hosts, asked: u32) -> usize {
    let Some(root) = question.get(12..).and_then(|rest| rest.iter().position(|it| *it == 0)) else {
        return 0;
    };
    let (name_end, end) = (13 + root, 17 + root);
    if question.len() < end {
        return 0;
    }
    let name = question[12..name_end].to_ascii_lowercase();
    let is_address = question[name_end..end] == [0, 1, 0, 1];
    out[..end].copy_from_slice(&question[..end]);
    let mut at = end;
    let mut write = |octets: &[u8]| {
        out[at..at + octets.len()].copy_from_slice(octets);
        at += octets.len();
    };
    let (mut code, mut answers, mut authority) = (0, 0, 0);
    if name.ends_with(ABSENT) || !is_address {
        code = if name.ends_with(ABSENT) { 3 } else { 0 };
        authority = 1;
        [b"\x07example\0\0\x06\0\x01", &TTL[..], b"\0\x16\0\0\0\0\0\x01\0\0\x0e\x10\0\0\x0e\x10"]
            .iter()
            .for_each(|part| write(part));
        [3_600_u32, 3_600].iter().for_each(|number| write(&number.to_be_bytes()));
    } else {
        let count = [asked.to_be_bytes()];
        let addresses = match hosts.get(&name) {
            Some(addresses) => addresses,
            None if name == COUNT => &count[..],
            None => &[ADDRESS][..],
        };
        for address in addresses {
            answers += 1;
            [&[0xC0, 12, 0, 1, 0, 1], &TTL[..], &[0, 4], &address[..]]
                .iter()
                .for_each(|it| write(it));
        }
    }
    let has_opt = question[11] != 0;
    if has_opt {
        write(&OPT);
    }
    out[2] = 0x81;
    out[3] = 0x80 | code;
    out[4..12].copy_from_slice(&[0, 1, 0, answers, 0, authority, 0, u8::from(has_opt)]);
    at
}
