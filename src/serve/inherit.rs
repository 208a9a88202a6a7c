//! Sockets that were bound before we began: by systemd, or by the hubdns before us.
//!
//! What the kernel queues on them while nobody reads is answered by whoever reads next, so a
//! restart loses nothing. They are known by what they are bound to, never by their order.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use socket2::SockRef;

use super::{
    bind::{BindError, addresses},
    config::{ServeConfig, Service},
};

/// Sockets that wait for a `listen` entry to name them.
#[derive(Debug, Default)]
pub struct Inherited {
    udp: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<(SocketAddr, TcpListener)>,
}

/// A socket that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It does not tell what it is.
    #[error("it cannot be looked at")]
    Unknown(#[from] io::Error),
    /// Clients by IPv4 would come with addresses that no network of the configuration holds.
    #[error("{0} takes IPv4 as well; its unit needs BindIPv6Only=ipv6-only")]
    BothFamilies(SocketAddr),
    /// It is one client's.
    #[error("{0} is a connection and no listener; its unit needs Accept=no")]
    Connection(SocketAddr),
}

// === impl Inherited ===

impl Inherited {
    /// Takes in a UDP socket.
    pub fn add_udp(&mut self, socket: UdpSocket) -> Result<(), Unfit> {
        let address = socket.local_addr()?;
        takes_one_family(&SockRef::from(&socket), address)?;
        self.udp.push((address, socket));
        Ok(())
    }

    /// Takes in a TCP listener.
    pub fn add_tcp(&mut self, listener: TcpListener) -> Result<(), Unfit> {
        let address = listener.local_addr()?;
        let socket = SockRef::from(&listener);
        if !socket.is_listener()? {
            return Err(Unfit::Connection(address));
        }
        takes_one_family(&socket, address)?;
        self.tcp.push((address, listener));
        Ok(())
    }

    /// The UDP sockets of an address: as many as were made for threads.
    pub(super) fn take_udp(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        let ours = self.udp.extract_if(.., |(bound, _)| *bound == address);
        ours.map(|(_, socket)| socket).collect()
    }

    /// The TCP listener of an address.
    pub fn take_tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.tcp.iter().position(|(bound, _)| *bound == address)?;
        Some(self.tcp.swap_remove(at).1)
    }

    /// Closes all but these, and tells which.
    pub fn close_others(
        &mut self,
        named: &[(&'static str, SocketAddr)],
    ) -> Vec<(&'static str, SocketAddr)> {
        let mut closed: Vec<_> = self.addresses().filter(|it| !named.contains(it)).collect();
        closed.dedup();
        self.udp.retain(|(address, _)| named.contains(&("udp", *address)));
        self.tcp.retain(|(address, _)| named.contains(&("tcp", *address)));
        closed
    }

    /// What they are bound to, with the protocol of each.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let udp = self.udp.iter().map(|(address, _)| ("udp", *address));
        udp.chain(self.tcp.iter().map(|(address, _)| ("tcp", *address)))
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.udp.is_empty() && self.tcp.is_empty()
    }
}

/// The sockets that a configuration stands for, now, with the protocol of each.
pub fn sockets(wanted: &ServeConfig) -> Result<Vec<(&'static str, SocketAddr)>, BindError> {
    let mut named = Vec::new();
    for entry in wanted.entries() {
        let protocols: &[_] = match entry.service {
            Service::Plain => &["udp", "tcp"],
            Service::Encrypted(_) => &["tcp"],
        };
        for address in addresses(&entry.listen)? {
            named.extend(protocols.iter().map(|protocol| (*protocol, address)));
        }
    }
    Ok(named)
}

/// The name of a socket with whoever keeps it: no colon, which separates names (sd_notify(3)).
pub fn held_name(protocol: &str, address: SocketAddr) -> String {
    format!("{protocol}_{address}").replace(':', "_")
}

/// Whether a socket for IPv6 leaves IPv4 alone, as those do that we make.
fn takes_one_family(socket: &SockRef<'_>, address: SocketAddr) -> Result<(), Unfit> {
    match address.is_ipv4() || socket.only_v6()? {
        true => Ok(()),
        false => Err(Unfit::BothFamilies(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_found_by_their_address_whatever_their_order() {
        let mut inherited = Inherited::default();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let tcp = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let at = tcp.each_ref().map(|listener| listener.local_addr().unwrap());
        tcp.into_iter().for_each(|listener| inherited.add_tcp(listener).unwrap());
        inherited.add_udp(udp.try_clone().unwrap()).unwrap();
        inherited.add_udp(udp).unwrap();
        assert_eq!(inherited.take_tcp(at[1]).unwrap().local_addr().unwrap(), at[1]);
        assert!(inherited.take_tcp(at[1]).is_none(), "there was one");
        assert_eq!(inherited.take_udp(address).len(), 2);
        assert_eq!(inherited.addresses().collect::<Vec<_>>(), [("tcp", at[0])]);
    }

    #[test]
    fn what_cannot_be_served_is_told() {
        let mut inherited = Inherited::default();
        let both = UdpSocket::bind("[::]:0").unwrap();
        let told = inherited.add_udp(both).unwrap_err().to_string();
        assert!(told.ends_with("its unit needs BindIPv6Only=ipv6-only"), "{told}");
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let told = inherited.add_tcp(socket.unwrap().into()).unwrap_err().to_string();
        assert!(told.ends_with("its unit needs Accept=no"), "{told}");
        assert!(inherited.is_empty());
    }
}
