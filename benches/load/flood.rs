//! Packets that are no questions, at a fixed rate. What is said to them is not looked at.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use nix::sys::socket::MsgFlags;

use crate::{
    batch::{BATCH, Batches, DATAGRAM_MAX},
    told::Told,
};

/// RD and one question.
const HEADER: [u8; 12] = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
/// What stands behind a header: a label that is cut, a name that points at itself, a label of 64
/// octets, nothing, a question without its class, and one behind which something else begins.
const BODIES: [&[u8]; 6] = [
    b"\x3fsqs",
    b"\xc0\x0c\x00\x01\x00\x01",
    b"\x40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\x00\x01\x00\x01",
    b"",
    b"\x03sqs\x00\x00\x01\x00",
    b"\x03sqs\x00\x00\x01\x00\x01\x00\x00\x29\x04",
];
/// Between looks: the good questions beside it want the core as well.
const REST: Duration = Duration::from_micros(50);

#[derive(Args)]
pub(crate) struct Flood {
    /// Who gets them
    #[arg(long)]
    server: SocketAddr,
    /// For how long
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Packets a second
    #[arg(long, default_value_t = 100_000.0)]
    rate: f64,
}

// === impl Flood ===

impl Flood {
    pub(crate) fn run(&self) -> Told {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.server).unwrap();
        let mut batches = Batches::new(socket);
        let mut told = Told::default();
        let began = Instant::now();
        let total = (self.rate * self.seconds) as u64;
        while told.sent < total {
            let due = (began.elapsed().as_secs_f64() * self.rate) as u64;
            while told.sent < due.min(total) {
                let batch = (due.min(total) - told.sent).min(BATCH as u64);
                for number in told.sent..told.sent + batch {
                    batches.out.add(|out| write(number, out));
                }
                batches.send();
                told.sent += batch;
            }
            while batches.receive(MsgFlags::MSG_DONTWAIT).is_ok_and(|count| count == BATCH) {}
            thread::sleep(REST);
        }
        told.elapsed = began.elapsed();
        told
    }
}

/// A packet of another kind for each number; one in seven is not even a header.
fn write(number: u64, out: &mut [u8; DATAGRAM_MAX]) -> usize {
    let Some(body) = BODIES.get(number as usize % 7) else {
        out[..7].copy_from_slice(&HEADER[..7]);
        return 7;
    };
    let len = HEADER.len() + body.len();
    out[..12].copy_from_slice(&HEADER);
    // The last kind announces the record that is cut.
    out[11] = u8::from(number % 7 == 5);
    out[12..len].copy_from_slice(body);
    len
}
