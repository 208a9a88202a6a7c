//! An upstream that says something else each second: how many have gone by since it began.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use domain::{
    base::{Message, MessageBuilder, iana::Rcode},
    rdata::A,
};

/// How long what it says may be kept.
const TTL_SECS: u32 = 2;
/// From its saying it to a client's reading it, on a machine with other work; and the second that it
/// says it in.
const SLACK: Duration = Duration::from_millis(2_500);

/// A running one. It ends with the test's process.
pub(crate) struct Moving {
    address: SocketAddr,
    began: Instant,
}

// === impl Moving ===

impl Moving {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, began) = (socket.local_addr().unwrap(), Instant::now());
        thread::spawn(move || {
            let mut octets = [0; 4_096];
            loop {
                let (len, client) = socket.recv_from(&mut octets).unwrap();
                let secs = u16::try_from(began.elapsed().as_secs()).unwrap();
                let Some(reply) = reply(&octets[..len], secs) else { continue };
                socket.send_to(&reply, client).unwrap();
            }
        });
        Self { address, began }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether these addresses are what it said not longer ago than its TTL, before `sent`.
    pub(crate) fn said(&self, addresses: &[Ipv4Addr], sent: Instant) -> bool {
        let [address] = addresses else { return false };
        let [100, 64, high, low] = address.octets() else { return false };
        let said = self.began + Duration::from_secs(u16::from_be_bytes([high, low]).into());
        let fresh = Duration::from_secs(TTL_SECS.into()) + SLACK;
        said <= Instant::now() && sent.saturating_duration_since(said) <= fresh
    }
}

fn reply(query: &[u8], secs: u16) -> Option<Vec<u8>> {
    let query = Message::from_octets(query).ok()?;
    let question = query.first_question()?;
    let mut reply = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).ok()?;
    let [high, low] = secs.to_be_bytes();
    let address = A::from_octets(100, 64, high, low);
    reply.push((question.qname(), TTL_SECS, address)).ok()?;
    Some(reply.finish())
}
