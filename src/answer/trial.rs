//! One question asked as a client asks it: for a comparison of what is explained with what is answered.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

pub use crate::wire::Trial;
use crate::{
    base::{Name, RecordType},
    wire::{TRIAL_LEN_MAX, trial_answer, trial_query},
};

/// For one answer: an upstream that is dead costs a client 3.5 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Questions: a packet may be lost, and both are answered alike.
const TRIES: u32 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// Nobody can ask from there but the host that has it.
    #[error("{0} is not an address of this host")]
    NotOurs(IpAddr),
    /// Nothing came.
    #[error("it did not answer {TRIES} questions within {ANSWER_WITHIN:?} each")]
    Silent,
    /// It cannot be asked.
    #[error("it cannot be asked")]
    Network(#[source] io::Error),
}

/// Where an address that listens on all is reached from its own host.
pub fn here(listener: SocketAddr) -> SocketAddr {
    let loopback = match listener {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    match listener.ip().is_unspecified() {
        true => SocketAddr::new(loopback, listener.port()),
        false => listener,
    }
}

/// Asks `server` from the address `client`, which has to be this host's.
pub async fn ask_as_client(
    client: IpAddr,
    server: SocketAddr,
    name: &Name,
    rtype: RecordType,
) -> Result<Trial, TrialError> {
    let bound = UdpSocket::bind((client, 0)).await;
    let socket = bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => TrialError::NotOurs(client),
        _ => TrialError::Network(error),
    })?;
    socket.connect(server).await.map_err(TrialError::Network)?;
    for _ in 0..TRIES {
        let id = rand::random();
        socket.send(&trial_query(id, name, rtype)).await.map_err(TrialError::Network)?;
        if let Ok(answered) = timeout(ANSWER_WITHIN, answer(&socket, id)).await {
            return answered.map_err(TrialError::Network);
        }
    }
    Err(TrialError::Silent)
}

/// Waits for the answer, past whatever else comes.
async fn answer(socket: &UdpSocket, id: u16) -> io::Result<Trial> {
    let mut octets = [0; TRIAL_LEN_MAX as usize];
    loop {
        let len = socket.recv(&mut octets).await?;
        if let Some(answered) = octets.get(..len).and_then(|message| trial_answer(id, message)) {
            return Ok(answered);
        }
    }
}
