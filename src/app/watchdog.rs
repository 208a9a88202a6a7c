//! Tells systemd that we live, and only if we do: a query to ourselves was answered.
//!
//! A process that merely runs is of no use to anybody. Each address is asked through its real
//! socket, and each thread that reads one must have come round, since the kernel chooses which of
//! them a question goes to. Where the question does not come to the socket, by no fault of ours, the
//! threads alone decide: to be killed would not help.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
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
/// among them.
const TRIES: u32 = 8;
/// However little it grants, we do not spend our time on it.
const SHORTEST: Duration = Duration::from_millis(10);
/// `id.server` TXT in class CH (RFC 4892), without recursion, behind an id. It goes the way of every
/// query, to the networks that may ask and to the table in force, and never to an upstream: they may
/// all be dead. Whether it is told or refused is no matter.
const QUESTION: &[u8] = b"\0\0\0\x01\0\0\0\0\0\0\x02id\x06server\0\0\x10\0\x03";
/// Octets of a reply that tell whose it is: id and flags.
const HEAD_LEN: usize = 4;

/// What came of asking an address.
enum Look {
    /// An answer.
    Answered,
    /// Nothing, and the kernel has dropped packets that came to it: it may be full, and ours among
    /// them.
    Full,
    /// The question could not be sent: the address has left the interface, or descriptors are gone.
    Unasked(io::Error),
    /// Nothing.
    Silent,
}

/// A question on its way.
struct Asked {
    socket: UdpSocket,
    id: [u8; 2],
}

/// What one look at all addresses has found.
#[derive(Default)]
struct Found {
    /// Where we do not answer, or have a thread that does not read any more.
    silent: BTreeSet<SocketAddr>,
    /// What could not be asked, and why.
    unasked: BTreeMap<SocketAddr, String>,
}

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
        let mut was_unasked = BTreeMap::new();
        loop {
            looks.tick().await;
            let pulses = pulses.borrow().clone();
            if pulses.is_empty() {
                continue;
            }
            let Found { silent, unasked } = look(&pulses, every / 2).await;
            for (address, error) in &unasked {
                if !was_unasked.contains_key(address) {
                    tracing::warn!(
                        %address, error,
                        "a listener cannot be asked whether it answers; that its threads come round \
                         has to do"
                    );
                }
            }
            was_unasked = unasked;
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

/// Asks all addresses, and looks at their threads.
async fn look(pulses: &[Pulse], within: Duration) -> Found {
    let all: BTreeSet<SocketAddr> = pulses.iter().map(Pulse::address).collect();
    let asked = all.into_iter().map(|address| async move { (address, ask(address, within).await) });
    let mut found = Found::default();
    for (address, look) in join_all(asked).await {
        match look {
            Look::Answered | Look::Full => (),
            Look::Unasked(error) => drop(found.unasked.insert(address, error.to_string())),
            Look::Silent => drop(found.silent.insert(address)),
        }
    }
    let stuck = pulses.iter().filter(|pulse| !pulse.has_turned());
    found.silent.extend(stuck.map(Pulse::address));
    found
}

/// Asks our own socket, several times if need be.
async fn ask(address: SocketAddr, within: Duration) -> Look {
    let mut dropped_before = None;
    for _ in 0..TRIES {
        let socket = match asked(address).await {
            Ok(socket) => socket,
            Err(error) => return Look::Unasked(error),
        };
        if let Ok(Ok(())) = timeout(within / TRIES, answer(&socket)).await {
            return Look::Answered;
        }
        // Read when there is doubt, and then once before and once behind the other tries.
        dropped_before.get_or_insert_with(|| dropped(address));
    }
    match dropped_before {
        Some(before) if before < dropped(address) => Look::Full,
        Some(_) | None => Look::Silent,
    }
}

/// A socket that has asked ours.
async fn asked(address: SocketAddr) -> io::Result<Asked> {
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
    Ok(Asked { socket, id })
}

/// Comes back when our socket has answered.
async fn answer(Asked { socket, id }: &Asked) -> io::Result<()> {
    let mut reply = [0; 512];
    loop {
        let len = socket.recv(&mut reply).await?;
        let is_a_response = reply[2] & 0x80 != 0;
        if HEAD_LEN <= len && reply.starts_with(id) && is_a_response {
            return Ok(());
        }
    }
}

/// Packets that the kernel has dropped at the sockets of an address, since they are there; none if
/// it does not tell.
fn dropped(address: SocketAddr) -> u64 {
    let (table, ip) = match address.ip() {
        IpAddr::V4(ip) => ("/proc/self/net/udp", hexadecimal(&ip.octets())),
        IpAddr::V6(ip) => ("/proc/self/net/udp6", hexadecimal(&ip.octets())),
    };
    let bound = format!("{ip}:{:04X}", address.port());
    let of_line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        (fields.nth(1)? == bound).then(|| fields.next_back()?.parse::<u64>().ok())?
    };
    fs::read_to_string(table).unwrap_or_default().lines().filter_map(of_line).sum()
}

/// An address as the kernel's tables have it: each four octets as one number of this machine.
fn hexadecimal(octets: &[u8]) -> String {
    let (words, _) = octets.as_chunks::<4>();
    words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(300);

    /// The number of silent addresses.
    async fn silent(pulse: &Pulse) -> usize {
        look(std::slice::from_ref(pulse), LONG).await.silent.len()
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_asked_is_judged_by_its_threads() {
        let gone = Pulse::new("192.0.2.1:53".parse().unwrap());
        assert_eq!(silent(&gone).await, 1, "it is stuck");
        gone.turn();
        let found = look(std::slice::from_ref(&gone), LONG).await;
        assert!(found.silent.is_empty());
        let why = &found.unasked[&gone.address()];
        assert!(why.starts_with("Cannot assign requested address"), "{why}");
    }

    #[tokio::test]
    async fn a_socket_that_is_full_is_judged_by_its_threads() {
        for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let socket = UdpSocket::bind(address).await.unwrap();
            let pulse = Pulse::new(socket.local_addr().unwrap());
            pulse.turn();
            assert_eq!(silent(&pulse).await, 1, "there is room in it");
            let port = pulse.address().port();
            let to = match pulse.address().is_ipv4() {
                true => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
                false => pulse.address(),
            };
            let flood = UdpSocket::bind((to.ip(), 0)).await.unwrap();
            // More than it holds, and nobody reads it.
            for _ in 0..2_000 {
                flood.send_to(&[0; 100], to).await.unwrap();
            }
            assert_eq!(silent(&pulse).await, 1, "it is stuck");
            pulse.turn();
            assert_eq!(silent(&pulse).await, 0, "{address}");
        }
    }

    #[tokio::test]
    async fn an_address_is_silent_until_it_answers_and_its_thread_turns() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let pulse = Pulse::new(socket.local_addr().unwrap());
        pulse.turn();
        assert_eq!(silent(&pulse).await, 1, "it does not answer");
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
            assert_eq!(silent(&pulse).await, 1, "it is stuck");
            pulse.turn();
            assert_eq!(silent(&pulse).await, 0);
        };
        tokio::select! { () = answering => (), () = looking => () }
    }
}
