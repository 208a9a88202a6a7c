//! Where we listen.

use std::{fmt, net::SocketAddr, sync::Arc};

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// `listen`: UDP and TCP on each.
    pub listen: Vec<ListenAddress>,
    /// `identity`: what NSID tells (RFC 5001); `None` takes the host's name.
    pub identity: Option<String>,
}

/// One entry of `listen`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An address and a port; a wildcard address replies from the address that was asked.
    Socket(SocketAddr),
    /// `interface:NAME:PORT`: every address that the interface has when we start.
    Interface {
        /// The interface's name.
        name: Arc<str>,
        /// The port.
        port: u16,
    },
}

// === impl ServeConfig ===

impl ServeConfig {
    /// The address that a client most likely asks: the first that is listened on, or any address
    /// with its port where only the machine knows it.
    pub fn likely_asked(&self) -> SocketAddr {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        match self.listen.first() {
            Some(ListenAddress::Socket(address)) => *address,
            Some(ListenAddress::Interface { port, .. }) => any(*port),
            None => any(53),
        }
    }
}

// === impl ListenAddress ===

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Socket(address) => address.fmt(f),
            ListenAddress::Interface { name, port } => write!(f, "interface:{name}:{port}"),
        }
    }
}
