//! Finds ports that nobody has.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// Binding UDP where TCP was just free fails only when another test took it in between.
const TRIES: usize = 20;

/// A loopback port that is free for UDP and for TCP.
///
/// It is released before it is returned, so another process can take it before the caller's
/// child does. The kernel hands out ephemeral ports in no order, so that is rare; those who
/// start a child on it try once more with another port.
pub fn free_port() -> u16 {
    for _ in 0..TRIES {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = tcp.local_addr().expect("it is bound").port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no loopback port is free for both UDP and TCP");
}
