//! What our own AWS calls find before they ask anybody: what the host itself defines.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::lookup::HostLookup;

/// The host's own list of names (hosts(5)).
const HOSTS_FILE: &str = "/etc/hosts";

/// The addresses of `host`: its own if it is one, the loopback's for `localhost` (RFC 6761
/// section 6.3), the hosts file's, else what `lookup` finds.
pub(super) async fn addresses(lookup: &HostLookup, host: &str) -> io::Result<Vec<IpAddr>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = unbracketed.parse() {
        return Ok(vec![address]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    // A host without the file defines no names.
    let hosts = tokio::fs::read_to_string(HOSTS_FILE).await.unwrap_or_default();
    let listed = listed(&hosts, host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let found = lookup(host.to_owned()).await?;
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))),
        false => Ok(found),
    }
}

/// The addresses that a hosts file gives `host`.
fn listed(hosts: &str, host: &str) -> Vec<IpAddr> {
    hosts
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address: IpAddr = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{io, net::IpAddr, sync::Arc};

    use futures_util::FutureExt;

    use super::{addresses, listed};
    use crate::discover::HostLookup;

    /// Answers every name with one address and remembers nothing.
    fn upstream() -> HostLookup {
        Arc::new(|host| {
            async move {
                match host.as_str() {
                    "ec2.eu-west-1.amazonaws.com" => Ok(vec![IpAddr::from([192, 0, 2, 1])]),
                    "empty.example" => Ok(Vec::new()),
                    other => Err(io::Error::other(other.to_owned())),
                }
            }
            .boxed()
        })
    }

    #[tokio::test]
    async fn only_what_the_host_does_not_define_is_asked_upstream() {
        let lookup = upstream();
        let of = async |host: &str| addresses(&lookup, host).await.unwrap();
        assert_eq!(of("169.254.169.254").await, [IpAddr::from([169, 254, 169, 254])]);
        assert_eq!(of("[fd00:ec2::254]").await.len(), 1);
        assert!(of("LocalHost").await.iter().all(IpAddr::is_loopback));
        assert_eq!(of("ec2.eu-west-1.amazonaws.com.").await, [IpAddr::from([192, 0, 2, 1])]);
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_an_error() {
        let error = addresses(&upstream(), "empty.example").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(addresses(&upstream(), "other.example").await.is_err());
    }

    #[test]
    fn the_hosts_file_counts_in_any_case_and_without_comments() {
        let hosts =
            "127.0.0.1 localhost\n# 10.0.0.1 moto\n10.0.0.2\tx Moto # moto2\nfd00::2 moto\n";
        let found: Vec<String> = listed(hosts, "moto").iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["10.0.0.2", "fd00::2"]);
        assert!(listed(hosts, "moto2").is_empty());
    }
}
