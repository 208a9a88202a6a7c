//! What may stand in the texts of others: an error where a name is more than letters and digits, or
//! an address nobody's.

use std::net::{IpAddr, SocketAddr};

use crate::base::Name;

/// A name that is no word in the languages of others.
///
/// Vendors and owners of resources choose names, and in PowerShell, HCL or a Corefile a character
/// can be a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} has characters that mean something else where it would be written; `hubdns names` tells \
     whose it is, and `answers.deny` of that service leaves it out"
)]
pub struct Strange {
    name: Name,
}

/// Whether all are of letters, digits, hyphens and underscores.
pub(super) fn spelled<'n>(names: impl IntoIterator<Item = &'n Name>) -> Result<(), Strange> {
    let is_plain = |label: &[u8]| {
        label.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    let strange = names.into_iter().find(|name| !name.labels().all(is_plain));
    strange.map_or(Ok(()), |name| Err(Strange { name: name.clone() }))
}

/// Whether a server can have this address and port: questions are sent there.
pub(super) fn is_a_servers(target: SocketAddr) -> bool {
    let ip = target.ip().to_canonical();
    let is_all = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || is_all || target.port() == 0)
}
