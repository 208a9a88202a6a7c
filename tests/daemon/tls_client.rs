//! A client of DNS over TLS that holds its connections, as many as a test wants.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use socket2::{Domain, Socket, Type};

use crate::{SQS, support::Pair};

/// Two loaded cores; no test says that it is this fast.
const LIMIT: Duration = Duration::from_secs(15);

/// One connection.
pub(crate) struct Held(StreamOwned<ClientConnection, TcpStream>);

/// A client that takes this pair's certificate and no other.
pub(crate) fn client(pair: &Pair) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pair.certificate()).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// A TCP connection from an address of loopback.
pub(crate) fn connect_from(client: IpAddr, server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(client, 0).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// A question for SQS, behind its length.
pub(crate) fn framed_question() -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in SQS.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    [&u16::try_from(query.len()).unwrap().to_be_bytes(), query.as_slice()].concat()
}

// === impl Held ===

impl Held {
    /// Shakes hands over a TCP connection.
    pub(crate) fn new(config: &Arc<ClientConfig>, stream: TcpStream) -> io::Result<Self> {
        let name = ServerName::try_from("hub.test").unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut held = Self(StreamOwned::new(tls, stream));
        while held.0.conn.is_handshaking() {
            held.0.conn.complete_io(&mut held.0.sock)?;
        }
        Ok(held)
    }

    /// Asks for SQS, and waits for the answer: how many records it has.
    pub(crate) fn ask(&mut self) -> io::Result<u8> {
        self.0.write_all(&framed_question())?;
        let mut len = [0; 2];
        self.0.read_exact(&mut len)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
        self.0.read_exact(&mut answer)?;
        Ok(answer[7])
    }

    /// Waits for the end of the connection: true if it was said to be one.
    pub(crate) fn ends_in_order(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0))
    }
}
