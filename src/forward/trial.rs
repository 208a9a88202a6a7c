//! One question asked as a client asks it: for a comparison of what is explained with what is answered.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use super::peers::PeerError;
pub use crate::wire::Trial;
use crate::{
    base::{Name, RecordType},
    wire::{TRIAL_LEN_MAX, trial_answer, trial_query},
};

/// For one answer: an upstream that is dead costs a client 3.5 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Questions: a packet may be lost, and both are answered alike.
const TRIES: u32 = 2;

/// Asks `server` from the address `client`, which has to be this host's.
pub async fn ask_as_client(
    client: IpAddr,
    server: SocketAddr,
    name: &Name,
    rtype: RecordType,
) -> Result<Trial, PeerError> {
    let socket = UdpSocket::bind((client, 0)).await?;
    socket.connect(server).await?;
    for _ in 0..TRIES {
        let id = rand::random();
        socket.send(&trial_query(id, name, rtype)).await?;
        if let Ok(answered) = timeout(ANSWER_WITHIN, answer(&socket, id)).await {
            return answered;
        }
    }
    Err(PeerError::Silent)
}

/// Waits for the answer, past whatever else comes.
async fn answer(socket: &UdpSocket, id: u16) -> Result<Trial, PeerError> {
    let mut octets = [0; TRIAL_LEN_MAX as usize];
    loop {
        let len = socket.recv(&mut octets).await?;
        if let Some(answered) = octets.get(..len).and_then(|message| trial_answer(id, message)) {
            return Ok(answered);
        }
    }
}
