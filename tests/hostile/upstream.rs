//! An upstream on real sockets that does what its script says.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::message::Asked;

/// Binding TCP where UDP was just free fails when somebody else took it in between.
const TRIES: usize = 20;

/// What is done with a query, one after the other.
#[derive(Clone)]
pub(crate) enum Act {
    /// A message is sent back, by TCP with its length in front.
    Say(Vec<u8>),
    /// A datagram from another port of the same address.
    SayFromAnotherPort(Vec<u8>),
    /// A datagram from another address, and the same port.
    SayFromAnotherAddress(Vec<u8>),
    /// Octets as they are, by TCP.
    Write(Vec<u8>),
    /// Nothing for a while.
    Wait(Duration),
}

pub(crate) type Script = fn(&Asked) -> Vec<Act>;

/// Whether it listens for TCP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tcp {
    Served,
    Refused,
}

/// A running one. Its threads end with the test's process.
#[derive(Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn start(script: Script, tcp: Tcp) -> Self {
        let (socket, listener) = sockets();
        let upstream = Self { address: socket.local_addr().unwrap(), asked: Arc::default() };
        let by_udp = upstream.clone();
        thread::spawn(move || by_udp.serve_udp(&socket, script));
        // Refused: nobody listens on the port any more.
        if tcp == Tcp::Served {
            let by_tcp = upstream.clone();
            thread::spawn(move || by_tcp.serve_tcp(&listener, script));
        }
        upstream
    }

    /// An address on which nobody answers by UDP or TCP.
    pub(crate) fn nowhere() -> SocketAddr {
        sockets().0.local_addr().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked; `None` for a probe for loops, which no script is about.
    fn note(&self, packet: &[u8], by_tcp: bool) -> Option<Asked> {
        let mut asked = self.asked.lock().unwrap();
        let nth = asked.iter().filter(|before| before.by_tcp == by_tcp).count();
        let new = Asked { nth, by_tcp, packet: packet.to_vec() };
        let is_probe = new.text().starts_with("hubdns-probe-");
        (!is_probe).then(|| {
            asked.push(new.clone());
            new
        })
    }

    fn serve_udp(&self, socket: &UdpSocket, script: Script) {
        let mut buffer = [0; 4_096];
        while let Ok((len, client)) = socket.recv_from(&mut buffer) {
            let Some(asked) = self.note(&buffer[..len], false) else { continue };
            let acts = script(&asked);
            let (socket, port) = (socket.try_clone().unwrap(), self.address.port());
            thread::spawn(move || {
                for act in acts {
                    match act {
                        Act::Say(packet) => drop(socket.send_to(&packet, client)),
                        Act::SayFromAnotherPort(packet) => {
                            let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                            other.send_to(&packet, client).unwrap();
                        }
                        Act::SayFromAnotherAddress(packet) => {
                            let other = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), port));
                            other.unwrap().send_to(&packet, client).unwrap();
                        }
                        Act::Write(_) => panic!("a datagram is one message"),
                        Act::Wait(time) => thread::sleep(time),
                    }
                }
            });
        }
    }

    fn serve_tcp(&self, listener: &TcpListener, script: Script) {
        for stream in listener.incoming() {
            let (upstream, stream) = (self.clone(), stream.unwrap());
            thread::spawn(move || upstream.converse(stream, script));
        }
    }

    /// Answers queries until the client goes, or the script says nothing.
    fn converse(&self, mut stream: TcpStream, script: Script) -> Option<()> {
        loop {
            let mut len = [0; 2];
            stream.read_exact(&mut len).ok()?;
            let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
            stream.read_exact(&mut packet).ok()?;
            let acts = script(&self.note(&packet, true)?);
            if acts.is_empty() {
                return None;
            }
            for act in acts {
                match act {
                    Act::Say(message) => {
                        let len = u16::try_from(message.len()).unwrap().to_be_bytes();
                        stream.write_all(&[&len, message.as_slice()].concat()).ok()?;
                    }
                    Act::Write(octets) => stream.write_all(&octets).ok()?,
                    Act::Wait(time) => thread::sleep(time),
                    Act::SayFromAnotherPort(_) | Act::SayFromAnotherAddress(_) => {
                        panic!("a connection has two ends")
                    }
                }
            }
        }
    }
}

/// A UDP socket, and a listener on the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    let pair = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listener = TcpListener::bind(socket.local_addr().unwrap());
        listener.ok().map(|listener| (socket, listener))
    };
    (0..TRIES).find_map(|_| pair()).expect("a port that is free for UDP and TCP")
}
