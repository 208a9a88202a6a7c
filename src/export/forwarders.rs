//! Conditional forwarding to us, in the words of the resolvers that sites have.
//!
//! Each text is a part of a configuration: domains and where they are sent, and what that resolver
//! needs besides so that private addresses are believed.

use std::{fmt::Write, net::SocketAddr};

use serde_json::json;

use super::spelled::{Strange, is_a_servers, spelled};
use crate::base::Name;

/// The port of DNS, which need not be said.
const DNS_PORT: u16 = 53;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Software {
    /// `named.conf`.
    Bind,
    /// `unbound.conf`.
    Unbound,
    /// PowerShell, for a Windows DNS server.
    Windows,
    /// `dnsmasq.conf`.
    Dnsmasq,
    /// A Corefile.
    Coredns,
    /// Objects for the grid's API.
    Infoblox,
}

/// Why there is no such text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwarderError {
    /// Nothing is answered.
    #[error("no name is answered, so nothing is to be forwarded; `hubdns names` tells why")]
    NoNames,
    /// Nobody to send names to.
    #[error("no target: say the hubs' addresses, as `--targets 10.0.0.10,10.0.1.10`")]
    NoTargets,
    /// An address that no server has. Loopback is one: a resolver may be on the hub's own host.
    #[error(
        "{target} is no address of a server; say the hubs' addresses, as `--targets 10.0.0.10,10.0.1.10`"
    )]
    Target {
        /// It.
        target: SocketAddr,
    },
    /// A name that cannot be written.
    #[error(transparent)]
    Strange(#[from] Strange),
    /// A port that cannot be said there.
    #[error(
        "{software} forwards to port {DNS_PORT} alone, and {target} is another; let the hub listen there too"
    )]
    Port {
        /// Who cannot.
        software: &'static str,
        /// Where to.
        target: SocketAddr,
    },
}

/// A part of a configuration that sends these domains to these hubs.
pub fn forwarders(
    software: Software,
    domains: &[Name],
    targets: &[SocketAddr],
) -> Result<String, ForwarderError> {
    if domains.is_empty() {
        return Err(ForwarderError::NoNames);
    }
    if targets.is_empty() {
        return Err(ForwarderError::NoTargets);
    }
    if let Some(target) = targets.iter().find(|target| !is_a_servers(**target)) {
        return Err(ForwarderError::Target { target: *target });
    }
    spelled(domains)?;
    let one_port = match software {
        Software::Windows => Some("Windows DNS"),
        Software::Infoblox => Some("Infoblox"),
        Software::Bind | Software::Unbound | Software::Dnsmasq | Software::Coredns => None,
    };
    let other = targets.iter().find(|target| target.port() != DNS_PORT);
    if let (Some(software), Some(target)) = (one_port, other) {
        return Err(ForwarderError::Port { software, target: *target });
    }
    Ok(match software {
        Software::Bind => bind(domains, targets),
        Software::Unbound => unbound(domains, targets),
        Software::Windows => windows(domains, targets),
        Software::Dnsmasq => dnsmasq(domains, targets),
        Software::Coredns => coredns(domains, targets),
        Software::Infoblox => infoblox(domains, targets),
    })
}

/// The targets in one form, with this between address and port where the port is another than DNS's.
fn listed(targets: &[SocketAddr], mark: &str) -> Vec<String> {
    let one = |target: &SocketAddr| match target.port() {
        DNS_PORT => target.ip().to_string(),
        port => format!("{}{mark}{port}", target.ip()),
    };
    targets.iter().map(one).collect()
}

fn bind(domains: &[Name], targets: &[SocketAddr]) -> String {
    let targets: String = listed(targets, " port ").iter().map(|it| format!(" {it};")).collect();
    let mut text = String::from("// hubdns: beside the other zones of named.conf\n");
    for domain in domains {
        let _ = write!(
            text,
            "zone \"{domain}\" {{\n    type forward;\n    forward only;\n    \
             forwarders {{{targets} }};\n}};\n"
        );
    }
    text
}

fn unbound(domains: &[Name], targets: &[SocketAddr]) -> String {
    let mut text = String::from(
        "# hubdns: as a file that unbound.conf includes\n\
         # private-domain: where private-address is set, such addresses are dropped elsewhere\nserver:\n",
    );
    for domain in domains {
        let _ = writeln!(text, "    private-domain: \"{domain}\"");
    }
    for domain in domains {
        let _ = write!(text, "\nforward-zone:\n    name: \"{domain}\"\n");
        for target in listed(targets, "@") {
            let _ = writeln!(text, "    forward-addr: {target}");
        }
    }
    text
}

fn windows(domains: &[Name], targets: &[SocketAddr]) -> String {
    let targets = listed(targets, "").join(",");
    let mut text = String::from(
        "# hubdns: in PowerShell as an administrator of DNS. In a domain, -ReplicationScope Forest\n\
         # behind a line keeps it in Active Directory, for all of its DNS servers.\n",
    );
    for domain in domains {
        let _ = writeln!(
            text,
            "Add-DnsServerConditionalForwarderZone -Name \"{domain}\" -MasterServers {targets}"
        );
    }
    text
}

fn dnsmasq(domains: &[Name], targets: &[SocketAddr]) -> String {
    let mut text = String::from(
        "# hubdns: as a file in dnsmasq.d\n\
         # rebind-domain-ok: where stop-dns-rebind is set, private addresses are dropped elsewhere\n",
    );
    for domain in domains {
        for target in listed(targets, "#") {
            let _ = writeln!(text, "server=/{domain}/{target}");
        }
        let _ = writeln!(text, "rebind-domain-ok=/{domain}/");
    }
    text
}

fn coredns(domains: &[Name], targets: &[SocketAddr]) -> String {
    let domains: Vec<String> = domains.iter().map(ToString::to_string).collect();
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    format!(
        "# hubdns: a server block beside the others of the Corefile\n\
         {} {{\n    forward . {}\n    cache 60\n}}\n",
        domains.join(" "),
        targets.join(" ")
    )
}

/// For `POST /wapi/v2.12/zone_forward`, an object each.
fn infoblox(domains: &[Name], targets: &[SocketAddr]) -> String {
    let hubs: Vec<_> = targets
        .iter()
        .enumerate()
        .map(|(at, target)| {
            json!({ "address": target.ip().to_string(), "name": format!("hubdns-{}", at + 1) })
        })
        .collect();
    let zones: Vec<_> = domains
        .iter()
        .map(|domain| {
            json!({ "fqdn": domain.to_string(), "forward_to": hubs, "forwarders_only": true,
                "comment": "hubdns" })
        })
        .collect();
    format!("{:#}\n", json!(zones))
}
