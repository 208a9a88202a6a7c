//! Tells systemd that we live, and only if we do: a query to ourselves was answered.
//!
//! A process that merely runs is of no use to anybody. Each address is asked through its real
//! socket, and each thread that reads one must have come round, since the kernel chooses which of
//! them a question goes to.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;
use sd_notify::NotifyState;
use tokio::{
    net::UdpSocket,
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::systemd::notify;
use crate::serve::Pulse;

/// Looks in the time that systemd grants. One that fails alone, as the machine was too busy, leaves
/// two more.
const LOOKS: u32 = 4;
/// Questions of a look, of which one has to be answered. In a flood the kernel drops most packets, ours
/// among them, and to be killed would not help: of nine dropped in ten, all 32 in one time of 30.
const TRIES: u32 = 8;
/// However little it grants, we do not spend our time on it.
const SHORTEST: Duration = Duration::from_millis(10);
/// `id.server` TXT in class CH (RFC 4892), without recursion, behind an id. It goes the way of every
/// query, to the networks that may ask and to the table in force, and never to an upstream: they may
/// all be dead. Whether it is told or refused is no matter.
const QUESTION: &[u8] = b"\0\0\0\x01\0\0\0\0\0\0\x02id\x06server\0\0\x10\0\x03";
/// Octets of a reply that tell whose it is: id and flags.
const HEAD_LEN: usize = 4;

/// Looks until `token` is cancelled; `granted` is what systemd gives us from one sign of life to the
/// next. Begins when somebody can ask us.
pub(super) async fn watchdog(
    granted: Duration,
    pulses: watch::Receiver<Vec<Pulse>>,
    token: CancellationToken,
) {
    let every = (granted / LOOKS).max(SHORTEST);
    let looks = async {
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_well = true;
        loop {
            looks.tick().await;
            let pulses = pulses.borrow().clone();
            if pulses.is_empty() {
                continue;
            }
            let silent = silent(&pulses, every / 2).await;
            let is_well = silent.is_empty();
            if is_well {
                notify(&[NotifyState::Watchdog]);
            } else if was_well {
                tracing::error!(?silent, "a query to ourselves is not answered");
            }
            was_well = is_well;
        }
    };
    tokio::select! {
        () = token.cancelled() => (),
        () = looks => (),
    }
}

/// The addresses at which we do not answer, or have a thread that does not read any more.
async fn silent(pulses: &[Pulse], within: Duration) -> BTreeSet<SocketAddr> {
    let all: BTreeSet<SocketAddr> = pulses.iter().map(Pulse::address).collect();
    let asked = all.into_iter().map(|address| async move {
        for _ in 0..TRIES {
            if let Ok(Ok(())) = timeout(within / TRIES, ask(address)).await {
                return None;
            }
        }
        Some(address)
    });
    let mut silent: BTreeSet<SocketAddr> = join_all(asked).await.into_iter().flatten().collect();
    let stuck = pulses.iter().filter(|pulse| !pulse.has_turned());
    silent.extend(stuck.map(Pulse::address));
    silent
}

/// Asks our own socket, and comes back when it has answered.
async fn ask(address: SocketAddr) -> io::Result<()> {
    let (from, to): (IpAddr, IpAddr) = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into())
        }
        ip => (ip, ip),
    };
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect((to, address.port())).await?;
    let id: [u8; 2] = rand::random();
    socket.send(&[&id, QUESTION].concat()).await?;
    let mut reply = [0; 512];
    loop {
        let len = socket.recv(&mut reply).await?;
        let is_a_response = reply[2] & 0x80 != 0;
        if HEAD_LEN <= len && reply.starts_with(&id) && is_a_response {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn an_address_is_silent_until_it_answers_and_its_thread_turns() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let pulse = Pulse::new(socket.local_addr().unwrap());
        pulse.turn();
        assert_eq!(silent(std::slice::from_ref(&pulse), LONG).await.len(), 1, "it does not answer");
        let answering = async {
            let mut query = [0; 512];
            loop {
                let (len, client) = socket.recv_from(&mut query).await.unwrap();
                // What was asked, sent back, is no answer.
                socket.send_to(&query[..len], client).await.unwrap();
                query[2] |= 0x80;
                socket.send_to(&query[..len], client).await.unwrap();
            }
        };
        let looking = async {
            assert_eq!(silent(std::slice::from_ref(&pulse), LONG).await.len(), 1, "it is stuck");
            pulse.turn();
            assert_eq!(silent(std::slice::from_ref(&pulse), LONG).await.len(), 0);
        };
        tokio::select! { () = answering => (), () = looking => () }
    }
}
