//! Opens the sockets of a `listen` entry on each of its addresses: UDP and TCP, or TCP alone for what
//! is encrypted.

use std::{
    io, iter,
    net::{IpAddr, SocketAddr},
    num::NonZero,
    os::fd::AsFd,
    sync::Arc,
};

use nix::{
    ifaddrs::getifaddrs,
    sys::socket::{setsockopt, sockopt},
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{
    config::{ListenAddress, Service},
    inherit::Inherited,
};

/// Octets the kernel may hold for each thread while it is busy, or gone: the kernel takes it twice, and
/// counts a question as 768 to 1,280 octets, so it holds 6,500 to 10,900 of them. A restart in which nobody
/// reads for 300 ms needs 6,000 at 20,000 a second. Without CAP_NET_ADMIN `net.core.rmem_max` may allow
/// less: at its default of 208 kB a socket holds 540.
pub const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// What a socket has for which nobody asked for more (`net.core.rmem_default`).
const RECEIVE_BUFFER_DEFAULT: usize = 212_992;
/// Threads a UDP address; with 16 the network card is the limit long before.
const THREADS_MAX: usize = 16;
/// Ports tried when any will do: with half of all TCP ports taken, one start in 65,536 would fail.
const PORT_TRIES: usize = 16;
/// Connections that wait to be accepted; `net.core.somaxconn` may allow less.
const TCP_BACKLOG: i32 = 1_024;

/// The sockets of one address.
#[derive(Debug)]
pub struct Bound {
    /// The address, with the port that was found if 0 was asked for.
    pub address: SocketAddr,
    /// One a thread: the kernel spreads clients over them. None for what is encrypted; fewer where
    /// they are inherited, and then threads share them.
    pub(super) udp: Vec<std::net::UdpSocket>,
    pub(super) tcp: std::net::TcpListener,
    /// Whether somebody else will still have them when we are gone.
    pub(super) is_held: bool,
    /// Whether they can be found again at the next start: not those whose port was free by chance.
    pub(super) is_lasting: bool,
}

/// Why a `listen` entry could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has the port.
    #[error("{protocol} {address} is in use, by another program or another entry of the list")]
    InUse {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// We have the port ourselves: the old socket is served until the new one is.
    #[error("{protocol} {address} overlaps with {ours}, on which hubdns listens now")]
    Ours {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// The address in our own hands.
        ours: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// systemd has the port: of a socket unit, or it does not let go of what it kept for us.
    #[error(
        "{protocol} {address} overlaps with {kept}, held by systemd for an earlier configuration or \
         by a socket unit"
    )]
    Kept {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// The address in systemd's hands.
        kept: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No interface of this machine has the address.
    #[error("this machine has no address {address}")]
    NotOurs {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A port below 1024 without the right to it.
    #[error("{protocol} {address} may not be opened by this user")]
    Denied {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("{protocol} {address} cannot be opened")]
    Other {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The machine has no such interface.
    #[error("there is no interface {name}; there are {}", known.join(", "))]
    NoInterface {
        /// What was asked for.
        name: Arc<str>,
        /// Those there are.
        known: Vec<String>,
    },
    /// The interface has no address that can be listened on.
    #[error("the interface {0} has no address yet")]
    NoAddress(Arc<str>),
    /// The system does not tell its interfaces.
    #[error("the interfaces cannot be listed")]
    Interfaces(#[source] io::Error),
}

/// Opens every address of an entry, or none. What is `inherited` is taken from there.
pub fn bind(
    service: Service,
    listen: &ListenAddress,
    inherited: &mut Inherited,
) -> Result<Vec<Bound>, BindError> {
    let one = |address| match service {
        Service::Plain => bind_both(address, inherited),
        Service::Encrypted(_) => bind_tcp(address, inherited),
    };
    addresses(listen)?.into_iter().map(one).collect()
}

/// The threads that read each address: one a core.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX)
}

// === impl BindError ===

impl BindError {
    /// The same error, but for a port that is in use by one of `ours`: said so.
    pub(super) fn known_as_ours(self, ours: &[SocketAddr]) -> Self {
        match self {
            BindError::InUse { protocol, address, source } => match overlapping(ours, address) {
                Some(ours) => BindError::Ours { protocol, address, ours, source },
                None => BindError::InUse { protocol, address, source },
            },
            other => other,
        }
    }

    /// The same error, but for a port that is in use by what systemd was told to give up: said so.
    pub fn known_as_kept(self, given_up: &[SocketAddr]) -> Self {
        match self {
            BindError::InUse { protocol, address, source } => {
                match overlapping(given_up, address) {
                    Some(kept) => BindError::Kept { protocol, address, kept, source },
                    None => BindError::InUse { protocol, address, source },
                }
            }
            other => other,
        }
    }

    /// What a person can do about it.
    pub fn help(&self) -> String {
        match self {
            BindError::InUse { address, .. } => format!(
                "see who has it with `ss -lntup sport = :{}`; systemd-resolved's stub listens on \
                 127.0.0.53:53, so name your own address or an interface in place of a wildcard",
                address.port()
            ),
            BindError::Ours { .. } => {
                "a reload cannot change between a wildcard, an interface and an address of one \
                 port; restart hubdns for that"
                    .to_owned()
            }
            BindError::Kept { kept, .. } => format!(
                "name {kept} here, or take it out of its socket unit (`systemctl list-sockets`); what \
                 was kept for us is given up by `systemctl stop hubdns`"
            ),
            BindError::NotOurs { .. } => {
                "see the addresses with `ip -brief address`, or listen on \"interface:NAME:53\""
                    .to_owned()
            }
            BindError::Denied { address, .. } => format!(
                "port {} needs root, CAP_NET_BIND_SERVICE, or a port above 1023",
                address.port()
            ),
            BindError::Other { .. } | BindError::Interfaces(_) => {
                "the cause is the system's own; `ip -brief address` shows what there is".to_owned()
            }
            BindError::NoInterface { .. } => "write one of these".to_owned(),
            BindError::NoAddress(_) => {
                "start after the network is up, or name an address".to_owned()
            }
        }
    }
}

/// The first of `these` that cannot be open beside `address`.
pub fn overlapping(these: &[SocketAddr], address: SocketAddr) -> Option<SocketAddr> {
    let overlaps = |it: &&SocketAddr| {
        it.port() == address.port()
            && it.is_ipv4() == address.is_ipv4()
            && (it.ip() == address.ip()
                || it.ip().is_unspecified()
                || address.ip().is_unspecified())
    };
    these.iter().find(overlaps).copied()
}

/// The addresses that an entry stands for, now.
pub(super) fn addresses(listen: &ListenAddress) -> Result<Vec<SocketAddr>, BindError> {
    let (name, port) = match listen {
        ListenAddress::Socket(address) => return Ok(vec![*address]),
        ListenAddress::Interface { name, port } => (name, *port),
    };
    let all = getifaddrs().map_err(|errno| BindError::Interfaces(errno.into()))?;
    let mut known = Vec::new();
    let mut found = Vec::new();
    for interface in all {
        if interface.interface_name == **name
            && let Some(ip) = interface.address.and_then(|address| ip_of(&address))
        {
            found.push(SocketAddr::new(ip, port));
        }
        if !known.contains(&interface.interface_name) {
            known.push(interface.interface_name);
        }
    }
    match (known.iter().any(|known| *known == **name), found.is_empty()) {
        (false, _) => Err(BindError::NoInterface { name: Arc::clone(name), known }),
        (true, true) => Err(BindError::NoAddress(Arc::clone(name))),
        (true, false) => Ok(found),
    }
}

/// An interface's address. IPv6 link-local ones are left out: they mean nothing without a scope,
/// and no rule or DHCP option can name one.
fn ip_of(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    let v6 = address.as_sockaddr_in6().map(|address| address.ip());
    v4.or(v6.filter(|ip| !ip.is_unicast_link_local()).map(IpAddr::V6))
}

/// Both sockets of an address. For port 0 the UDP socket finds one, and TCP takes the same; if
/// somebody has that one, another is tried.
fn bind_both(wanted: SocketAddr, inherited: &mut Inherited) -> Result<Bound, BindError> {
    for _ in 1..PORT_TRIES {
        match try_bind(wanted, inherited) {
            Err(BindError::InUse { protocol: "TCP", .. }) if wanted.port() == 0 => (),
            bound => return bound,
        }
    }
    try_bind(wanted, inherited)
}

fn try_bind(wanted: SocketAddr, inherited: &mut Inherited) -> Result<Bound, BindError> {
    let (address, udp, udp_is_held) = match inherited.take_udp(wanted) {
        none if none.is_empty() => {
            let (address, udp) = open_all_udp(wanted)?;
            (address, udp, false)
        }
        udp => {
            let prepared = udp.iter().try_for_each(|socket| prepare_udp(socket, wanted));
            prepared.map_err(|source| failed("UDP", wanted, source))?;
            (wanted, udp, true)
        }
    };
    let (tcp, tcp_is_held) = take_or_open_tcp(address, inherited)?;
    Ok(Bound {
        address,
        udp,
        tcp,
        is_held: udp_is_held && tcp_is_held,
        is_lasting: wanted.port() != 0,
    })
}

/// The sockets of an address, one a thread, and its port.
fn open_all_udp(wanted: SocketAddr) -> Result<(SocketAddr, Vec<std::net::UdpSocket>), BindError> {
    let first = open_first_udp(wanted).map_err(|source| failed("UDP", wanted, source))?;
    let address = first.local_addr().map(|found| found.as_socket().unwrap_or(wanted));
    let address = address.map_err(|source| failed("UDP", wanted, source))?;
    let others = (1..threads()).map(|_| open_udp(address));
    let udp = iter::once(Ok(first)).chain(others).map(|socket| socket.map(Into::into));
    let udp = udp.collect::<io::Result<_>>().map_err(|source| failed("UDP", address, source))?;
    Ok((address, udp))
}

fn bind_tcp(wanted: SocketAddr, inherited: &mut Inherited) -> Result<Bound, BindError> {
    let (tcp, is_held) = take_or_open_tcp(wanted, inherited)?;
    let address = tcp.local_addr().map_err(|source| failed("TCP", wanted, source))?;
    Ok(Bound { address, udp: Vec::new(), tcp, is_held, is_lasting: wanted.port() != 0 })
}

/// The listener of an address, and whether it was inherited.
fn take_or_open_tcp(
    address: SocketAddr,
    inherited: &mut Inherited,
) -> Result<(std::net::TcpListener, bool), BindError> {
    let (tcp, is_held) = match inherited.take_tcp(address) {
        Some(tcp) => (tcp.set_nonblocking(true).map(|()| tcp), true),
        None => (open_tcp(address).map(Into::into), false),
    };
    Ok((tcp.map_err(|source| failed("TCP", address, source))?, is_held))
}

/// The first socket of an address has it for itself, so that a port in use is found out; only then
/// does it let others share. Sockets that share a port from the beginning share it with any process
/// of our user that lets them, and nobody would notice. Two daemons that begin in the same moment
/// may still both have UDP; one of them is then stopped by TCP.
fn open_first_udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_udp(address)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    Ok(socket)
}

/// One more socket of an address that we have.
fn open_udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_udp(address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A socket that is told which address was asked, where there are many. From before it is bound: the
/// kernel notes that when a packet comes, not when it is read.
fn new_udp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    prepare_udp(&socket, address)?;
    only_v6(&socket, address)?;
    Ok(socket)
}

/// Sets what can be set at any time, also on a socket that we did not make. A buffer that was
/// measured by somebody is left as it is.
fn prepare_udp(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    let options = SockRef::from(socket);
    if options.recv_buffer_size()? <= RECEIVE_BUFFER_DEFAULT
        && setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES).is_err()
    {
        options.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    }
    match address {
        _ if !address.ip().is_unspecified() => (),
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

fn open_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for the last connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    only_v6(&socket, address)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket)
}

/// `[::]` means IPv6 alone, whatever the system's default, so that `0.0.0.0` can stand beside it.
fn only_v6(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => Ok(()),
        SocketAddr::V6(_) => socket.set_only_v6(true),
    }
}

fn failed(protocol: &'static str, address: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { protocol, address, source },
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs { address, source },
        io::ErrorKind::PermissionDenied => BindError::Denied { protocol, address, source },
        _ => BindError::Other { protocol, address, source },
    }
}

#[cfg(test)]
mod tests;
