//! Where we listen, and what is spoken there.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use crate::telemetry::Encrypted;

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeConfig {
    /// `listen`: UDP and TCP on each.
    pub listen: Vec<ListenAddress>,
    /// `identity`: what NSID tells (RFC 5001); `None` takes the host's name.
    pub identity: Option<String>,
    /// `version`: what `version.bind` tells; `None` refuses to.
    pub version: Option<String>,
    /// `cookie_secret_file`: the secrets of DNS cookies, for hubs behind one address; `None` draws
    /// one at the start.
    pub cookie_secret_file: Option<PathBuf>,
    /// `[server.tls]`: DNS over TLS.
    pub tls: Option<TlsConfig>,
    /// `[server.https]`: DNS over HTTPS.
    pub https: Option<HttpsConfig>,
}

/// What every listener inside of TLS has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// `listen`: TCP on each.
    pub listen: Vec<ListenAddress>,
    /// `certificate`: the file of the chain, PEM.
    pub certificate: PathBuf,
    /// `key`: the file of the private key, PEM.
    pub key: PathBuf,
}

/// `[server.https]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsConfig {
    /// Addresses and files.
    pub tls: TlsConfig,
    /// `path`: where queries are sent to.
    pub path: String,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// DNS by UDP and TCP.
    Plain,
    /// Inside of TLS.
    Encrypted(Encrypted),
}

/// One entry of a `listen`, with the list that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is spoken there.
    pub service: Service,
    /// Its place in the list, from 0.
    pub index: usize,
    /// The address.
    pub listen: ListenAddress,
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
    /// A configuration that listens nowhere.
    pub const NOWHERE: ServeConfig = ServeConfig {
        listen: Vec::new(),
        identity: None,
        version: None,
        cookie_secret_file: None,
        tls: None,
        https: None,
    };

    /// Every entry of every list.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let plain = [(Service::Plain, self.listen.as_slice())];
        let encrypted = self.encrypted().map(|(it, tls)| (Service::Encrypted(it), &*tls.listen));
        plain.into_iter().chain(encrypted).flat_map(|(service, listen)| {
            let listen = listen.iter().cloned().enumerate();
            listen.map(move |(index, listen)| Entry { service, index, listen })
        })
    }

    /// What is served inside of TLS.
    pub fn encrypted(&self) -> impl Iterator<Item = (Encrypted, &TlsConfig)> {
        let tls = self.tls.iter().map(|tls| (Encrypted::Tls, tls));
        tls.chain(self.https.iter().map(|https| (Encrypted::Https, &https.tls)))
    }

    /// Whether DNS is spoken inside of TLS at an address that clients ask. An address that an entry names
    /// is that entry's, before those of wildcards and interfaces with its port.
    pub fn is_encrypted_at(&self, asked: SocketAddr) -> bool {
        let is_named = |listen: &ListenAddress| listen.socket() == Some(asked);
        let may_be = |listen: &ListenAddress| match listen.socket() {
            Some(own) => {
                let any = own.ip().is_unspecified() || asked.ip().is_unspecified();
                own.port() == asked.port() && (any || own.ip() == asked.ip())
            }
            None => listen.port() == asked.port(),
        };
        let named = self.entries().find(|entry| is_named(&entry.listen));
        let entry = named.or_else(|| self.entries().find(|entry| may_be(&entry.listen)));
        entry.is_some_and(|entry| matches!(entry.service, Service::Encrypted(_)))
    }

    /// Whether clients could ask that address: an entry names it, or stands for what only the machine
    /// knows.
    pub fn may_be_asked_at(&self, asked: SocketAddr) -> bool {
        self.entries().any(|entry| {
            let has_port = [0, asked.port()].contains(&entry.listen.port());
            let own = entry.listen.socket().map(|own| own.ip());
            has_port && own.is_none_or(|own| own.is_unspecified() || own == asked.ip())
        })
    }

    /// The path of DNS over HTTPS; empty without it.
    pub(super) fn https_path(&self) -> &str {
        self.https.as_ref().map_or("", |https| &https.path)
    }

    /// The address that a client most likely asks: the first that is listened on, or any address
    /// with its port where only the machine knows it.
    pub fn likely_asked(&self) -> SocketAddr {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        match self.listen.first() {
            Some(ListenAddress::Socket(address)) => *address,
            Some(listen) => any(listen.port()),
            None => any(53),
        }
    }
}

// === impl ListenAddress ===

impl ListenAddress {
    /// The port; 0 lets the system choose.
    pub fn port(&self) -> u16 {
        match self {
            ListenAddress::Socket(address) => address.port(),
            ListenAddress::Interface { port, .. } => *port,
        }
    }

    /// The address, where it does not take the machine to know it.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            ListenAddress::Socket(address) => Some(*address),
            ListenAddress::Interface { .. } => None,
        }
    }
}

// === impl Service ===

impl Service {
    /// The table of the configuration that it is set up in.
    pub fn table(self) -> &'static str {
        match self {
            Service::Plain => "server",
            Service::Encrypted(Encrypted::Tls) => "server.tls",
            Service::Encrypted(Encrypted::Https) => "server.https",
        }
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it is the same listener: the same words for the same service, wherever they stand.
    pub fn is_same(&self, other: &Entry) -> bool {
        (self.service, &self.listen) == (other.service, &other.listen)
    }
}

/// `` `server.tls.listen` "10.0.0.10:853" ``.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}.listen` {:?}", self.service.table(), self.listen.to_string())
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
