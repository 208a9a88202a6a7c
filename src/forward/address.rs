//! Where an upstream is and how it is spoken to, as the configuration writes it.
//!
//! Pure. It is never a host's name: whom would we ask for it?

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// The port of DNS.
const DNS_PORT: u16 = 53;
/// The port of DNS over TLS (RFC 7858 section 3.1).
const TLS_PORT: u16 = 853;
/// What an address begins with whose upstream speaks TLS.
const TLS_SCHEME: &str = "tls://";

/// An upstream, in metrics and logs as well: `10.9.0.2:53`, `tls://10.9.0.2:853#dns.corp.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UpstreamAddress {
    /// By UDP, and by TCP where that does not do.
    Plain(SocketAddr),
    /// By TLS alone (RFC 7858): never in the clear, whatever fails.
    Tls {
        /// Where it is.
        address: SocketAddr,
        /// Whom its certificate has to name; without, it has to name the address.
        name: Option<Box<str>>,
    },
}

/// Why a text is no upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither an address nor one with a port.
    #[error("not an IP address, with or without a port")]
    NotAnAddress,
    /// Unspecified or multicast.
    #[error("no resolver has this address")]
    NobodysAddress,
    /// Port 0.
    #[error("no resolver listens on port 0")]
    NoPort,
    /// What follows the `#` is no name.
    #[error("no certificate can have the name behind its `#`")]
    NotAName,
    /// A `#` where there is no certificate.
    #[error("only an upstream by `tls://` has a certificate with a name")]
    NameWithoutTls,
}

// === impl UpstreamAddress ===

impl UpstreamAddress {
    /// Address and port.
    pub fn socket(&self) -> SocketAddr {
        match self {
            UpstreamAddress::Plain(address) | UpstreamAddress::Tls { address, .. } => *address,
        }
    }

    /// Whether it is asked by TLS.
    pub fn is_tls(&self) -> bool {
        match self {
            UpstreamAddress::Plain(_) => false,
            UpstreamAddress::Tls { .. } => true,
        }
    }

    /// Whether it stands on the link: a resolver of the cloud that drops silently above its limit
    /// of packets, and to which nobody else can speak in its place.
    pub fn is_link_local(&self) -> bool {
        is_link_local(self.socket().ip())
    }
}

/// Whether an address stands on the link, as AWS's services for instances do.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local(),
        // The VPC's resolver by IPv6 is fd00:ec2::253.
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.segments()[..2] == [0xfd00, 0xec2],
    }
}

impl From<SocketAddr> for UpstreamAddress {
    fn from(address: SocketAddr) -> Self {
        UpstreamAddress::Plain(address)
    }
}

impl FromStr for UpstreamAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (rest, default_port) = match text.strip_prefix(TLS_SCHEME) {
            Some(rest) => (rest, TLS_PORT),
            None => (text, DNS_PORT),
        };
        let is_tls = rest.len() < text.len();
        let (place, name) = match rest.split_once('#') {
            Some(_) if !is_tls => return Err(AddressError::NameWithoutTls),
            Some((place, name)) => (place, Some(name)),
            None => (rest, None),
        };
        let bare = place.strip_prefix('[').and_then(|place| place.strip_suffix(']'));
        let address = match bare.unwrap_or(place).parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, default_port),
            Err(_) => place.parse().map_err(|_| AddressError::NotAnAddress)?,
        };
        match (address.ip().is_unspecified() || address.ip().is_multicast(), address.port(), name) {
            (true, _, _) => Err(AddressError::NobodysAddress),
            (false, 0, _) => Err(AddressError::NoPort),
            (false, _, Some(name)) if !is_host_name(name) => Err(AddressError::NotAName),
            (false, _, name) => Ok(match is_tls {
                true => UpstreamAddress::Tls {
                    address,
                    name: name.map(|name| name.to_ascii_lowercase().into()),
                },
                false => UpstreamAddress::Plain(address),
            }),
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpstreamAddress::Plain(address) => address.fmt(f),
            UpstreamAddress::Tls { address, name: None } => write!(f, "{TLS_SCHEME}{address}"),
            UpstreamAddress::Tls { address, name: Some(name) } => {
                write!(f, "{TLS_SCHEME}{address}#{name}")
            }
        }
    }
}

/// Whether a certificate can have this name (RFC 6125 section 6.4: letters, digits and hyphens).
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(is_label) && text.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_told_as_it_is_understood() {
        for (written, told) in [
            ("10.9.0.2", "10.9.0.2:53"),
            ("10.9.0.2:5300", "10.9.0.2:5300"),
            ("fd00::2", "[fd00::2]:53"),
            ("[fd00::2]", "[fd00::2]:53"),
            ("[fd00::2]:5300", "[fd00::2]:5300"),
            ("tls://10.9.0.2", "tls://10.9.0.2:853"),
            ("tls://fd00::2", "tls://[fd00::2]:853"),
            ("tls://[fd00::2]#Dns.Corp.Example", "tls://[fd00::2]:853#dns.corp.example"),
            ("tls://10.9.0.2:8853#dns", "tls://10.9.0.2:8853#dns"),
        ] {
            let address: UpstreamAddress = written.parse().unwrap();
            assert_eq!(address.to_string(), told);
            assert_eq!(told.parse(), Ok(address));
        }
    }

    #[test]
    fn what_no_upstream_can_be_is_told_apart() {
        let wrong = |text: &str| text.parse::<UpstreamAddress>().unwrap_err();
        for text in ["dns.example", "", "10.9.0.2:x", "tls://", "https://10.9.0.2", "tls://dns"] {
            assert_eq!(wrong(text), AddressError::NotAnAddress, "{text}");
        }
        assert_eq!(wrong("0.0.0.0"), AddressError::NobodysAddress);
        assert_eq!(wrong("tls://ff02::1"), AddressError::NobodysAddress);
        assert_eq!(wrong("10.9.0.2:0"), AddressError::NoPort);
        for name in ["", "a..b", "-a", "a b", "10.9.0.2"] {
            assert_eq!(wrong(&format!("tls://10.9.0.2#{name}")), AddressError::NotAName, "{name}");
        }
        assert_eq!(wrong("10.9.0.2#dns"), AddressError::NameWithoutTls);
    }

    #[test]
    fn the_clouds_own_resolvers_are_known() {
        let is_local = |text: &str| text.parse::<UpstreamAddress>().unwrap().is_link_local();
        assert!(is_local("169.254.169.253") && is_local("fd00:ec2::253") && is_local("fe80::1"));
        assert!(!is_local("10.0.0.2") && !is_local("fd00:ec3::253"));
    }
}
