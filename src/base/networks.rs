//! Which addresses are an organisation's own.

use std::net::IpAddr;

/// Whether an address is one of a private network (RFC 1918, RFC 6598, RFC 4193), of a link or of a
/// host. One of IPv4 that is written as IPv6 (RFC 4291 section 2.5.5.2) is what it is of IPv4.
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            // RFC 6598: 100.64.0.0/10.
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            ip.is_private() || is_shared || ip.is_link_local() || ip.is_loopback()
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;

    #[test]
    fn private_networks_end_where_their_documents_say() {
        for (first, last, own) in [
            ("10.0.0.0", "10.255.255.255", true),
            ("9.255.255.255", "11.0.0.0", false),
            ("172.16.0.0", "172.31.255.255", true),
            ("172.15.255.255", "172.32.0.0", false),
            ("192.168.0.0", "192.168.255.255", true),
            ("192.167.255.255", "192.169.0.0", false),
            ("100.64.0.0", "100.127.255.255", true),
            ("100.63.255.255", "100.128.0.0", false),
            ("169.254.0.0", "169.254.255.255", true),
            ("127.0.0.0", "127.255.255.255", true),
            ("0.0.0.0", "255.255.255.255", false),
            ("fc00::", "fdff:ffff::", true),
            ("fbff:ffff::", "fe00::", false),
            ("fe80::", "febf:ffff::", true),
            ("fe7f:ffff::", "fec0::", false),
            ("::1", "::1", true),
            ("::", "::2", false),
            ("::ffff:10.0.0.0", "::ffff:10.255.255.255", true),
            ("::ffff:9.255.255.255", "::ffff:11.0.0.0", false),
        ] {
            for ip in [first, last] {
                assert_eq!(is_private(ip.parse().unwrap()), own, "{ip}");
            }
        }
    }
}
