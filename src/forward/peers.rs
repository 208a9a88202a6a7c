//! Other hubs, asked by DNS which table they answer from: it is what can be reached from one hub to
//! the other, and who may ask is who may ask for names.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use crate::{
    base::{Name, Rcode},
    wire::{chaos_answer, chaos_query},
};

/// What is asked for, in class CH.
const HASH_NAME: &str = "hash.hubdns";
/// For one answer; hubs are some milliseconds apart.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Questions to one hub: a packet may be lost, three in a row hardly.
const TRIES: u32 = 3;
/// Octets of an answer: a header, a short question and a short text.
const ANSWER_LEN_MAX: usize = 1_232;

/// Why a hub did not tell its table.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It says no, or is no hubdns.
    #[error("it answers {0}")]
    Declined(Rcode),
    /// Nothing came.
    #[error("it did not answer {TRIES} questions within {ANSWER_WITHIN:?} each")]
    Silent,
    /// It cannot be asked.
    #[error("it cannot be asked")]
    Network(#[from] io::Error),
}

/// The hash of the table that the hub at this address answers from.
pub async fn ask_peer(hub: SocketAddr) -> Result<String, PeerError> {
    let from: IpAddr = match hub {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let name: Name = HASH_NAME.parse().map_err(io::Error::other)?;
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(hub).await?;
    for _ in 0..TRIES {
        let id = rand::random();
        socket.send(&chaos_query(id, &name)).await?;
        if let Ok(told) = timeout(ANSWER_WITHIN, answer(&socket, id, &name)).await {
            return told;
        }
    }
    Err(PeerError::Silent)
}

/// Waits for the answer, past whatever else comes.
async fn answer(socket: &UdpSocket, id: u16, name: &Name) -> Result<String, PeerError> {
    let mut message = [0; ANSWER_LEN_MAX];
    loop {
        let len = socket.recv(&mut message).await?;
        let told = message.get(..len).and_then(|message| chaos_answer(id, name, message));
        if let Some(told) = told {
            return told.map_err(PeerError::Declined);
        }
    }
}
