//! Finds ports that nobody has.

use std::net::{Ipv6Addr, TcpListener, UdpSocket};

/// Tests take ports at random, and there are some 20,000.
const TRIES: usize = 50;

/// A port that is free for UDP and for TCP, on every address.
///
/// It is released before it is returned, and taken from below those that the kernel gives to sockets
/// that ask for none: there are thousands of these, towards upstreams alone, and one on any address
/// is in the way of a wildcard.
pub fn free_port() -> u16 {
    for _ in 0..TRIES {
        let port = rand::random_range(10_000..32_000);
        // IPv6's wildcard is IPv4's as well.
        let all = (Ipv6Addr::UNSPECIFIED, port);
        if TcpListener::bind(all).is_ok() && UdpSocket::bind(all).is_ok() {
            return port;
        }
    }
    panic!("no port is free for both UDP and TCP");
}
