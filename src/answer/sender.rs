//! Which datagrams are not answered for where they come from: an answer to them could begin a loop.
//! And how much is sent to whom somebody may have named in their place.
//!
//! A response is never answered by anybody, so two servers that keep to it cannot talk for ever. Not
//! all keep to it, and a sender's address is easily forged: two packets are enough for two servers
//! that answer each other's errors until somebody looks.

use std::net::SocketAddr;

use crate::{base::Rcode, telemetry::Dropped, wire::Limit};

/// Services that answer whatever they get: echo, daytime, quote of the day, character generator and
/// time (RFC 862, 867, 865, 864, 868). No resolver asks from there.
const REFLECTORS: [u16; 5] = [7, 13, 17, 19, 37];
/// Ports of services. An old resolver asks from port 53, and address translation keeps a low port
/// low, so real questions come from these; but a DNS server, Kerberos, NTP or a portmapper behind
/// one may answer our errors with its own.
const SERVICE_PORT_MAX: u16 = 1_023;

/// How many times as large as its question an answer may be to an address that may be forged: what
/// QUIC allows there (RFC 9000 section 8.1). Three addresses of a name of ours are twice as large.
pub(super) const FORGED_TIMES: usize = 3;

/// A sender from which not everything is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// Nothing is.
    Dropped(Dropped),
    /// Questions are, and what is none gets no error.
    Service,
}

/// What to think of a datagram from `client` to `listener`.
pub(super) fn suspect(client: SocketAddr, listener: SocketAddr) -> Option<Suspect> {
    let is_ourselves = client.port() == listener.port()
        && client.ip().to_canonical() == listener.ip().to_canonical();
    match client.port() {
        // Nothing can be sent there.
        0 => Some(Suspect::Dropped(Dropped::Source)),
        _ if is_ourselves => Some(Suspect::Dropped(Dropped::Ourselves)),
        port if REFLECTORS.contains(&port) => Some(Suspect::Dropped(Dropped::Reflector)),
        port if port <= SERVICE_PORT_MAX => Some(Suspect::Service),
        _ => None,
    }
}

/// Whether a query that is answered with this code alone could not be read. One that could and has
/// another EDNS version, or a cookie and no question, is a resolver's.
pub(super) fn is_unreadable(code: Rcode) -> bool {
    matches!(code, Rcode::FORMERR | Rcode::NOTIMP)
}

/// How large the answer to `packet` may be where its sender may be forged.
pub(super) fn unproven(packet: &[u8]) -> Limit {
    Limit::Unproven(u16::try_from(FORGED_TIMES.saturating_mul(packet.len())).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Suspect, suspect};
    use crate::telemetry::Dropped;

    #[test]
    fn a_sender_is_judged_by_its_port_and_whether_it_is_ourselves() {
        let from = |client: &str| suspect(client.parse().unwrap(), "10.0.0.10:53".parse().unwrap());
        for (client, expected) in [
            ("10.0.0.1:0", Some(Suspect::Dropped(Dropped::Source))),
            ("10.0.0.1:7", Some(Suspect::Dropped(Dropped::Reflector))),
            ("10.0.0.1:19", Some(Suspect::Dropped(Dropped::Reflector))),
            ("10.0.0.10:53", Some(Suspect::Dropped(Dropped::Ourselves))),
            ("[::ffff:10.0.0.10]:53", Some(Suspect::Dropped(Dropped::Ourselves))),
            ("10.0.0.1:53", Some(Suspect::Service)),
            ("10.0.0.10:123", Some(Suspect::Service)),
            ("10.0.0.1:1023", Some(Suspect::Service)),
            ("10.0.0.1:1024", None),
            ("10.0.0.10:40000", None),
        ] {
            assert_eq!(from(client), expected, "{client}");
        }
    }
}
