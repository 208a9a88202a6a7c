//! The texts of the file as values: addresses, networks, names and ids.
//!
//! Pure. Every function says in one line why a text is not what it should be, and what would be.

mod iam;

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{located::Text, problem::Findings};
use crate::{
    base::{self, Name},
    forward::{AddressError, UpstreamAddress},
    policy::{AllowRule, AllowedResource, ServiceRule},
    serve::ListenAddress,
};
pub(super) use iam::{
    account, external_id, role_arn, role_name, session_name, session_tag_key, session_tag_value,
};

/// Octets of a `[[source]]`'s or `[[view]]`'s name: it becomes a metric label and a column.
const LABEL_LEN_MAX: usize = 64;
/// The longest name of a network interface, its final NUL apart (`IFNAMSIZ` is 16 on Linux).
const INTERFACE_LEN_MAX: usize = 15;
/// The port of DNS.
const DNS_PORT: u16 = 53;

/// Why a text is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Stands beside the caret.
    pub(super) why: String,
    /// What is allowed, or what to write instead.
    pub(super) help: String,
}

/// The value of a text; what is wrong with it is recorded under `key`, and then there is none.
pub(super) fn read<T>(
    found: &mut Findings,
    key: &str,
    text: &Text,
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Option<T> {
    parse(&text.value)
        .map_err(|wrong| {
            let what = format!("`{key}` cannot be {:?}", text.value);
            let problem = found.problem(key, &text.span, what);
            problem.label(wrong.why).help(wrong.help);
        })
        .ok()
}

/// The values of a list, each with its text; the wrong ones are recorded and left out.
pub(super) fn read_all<'t, T>(
    found: &mut Findings,
    key: &str,
    texts: &'t [Text],
    parse: impl Fn(&str) -> Result<T, Wrong>,
) -> Vec<(&'t Text, T)> {
    texts.iter().filter_map(|text| Some((text, read(found, key, text, &parse)?))).collect()
}

/// `IP:PORT`, `[IPV6]:PORT` or `interface:NAME:PORT`.
pub(super) fn listen(text: &str) -> Result<ListenAddress, Wrong> {
    let Some(rest) = text.strip_prefix("interface:") else {
        return address(text).map(ListenAddress::Socket).map_err(|wrong| Wrong {
            help: format!("{}, or \"interface:NAME:PORT\"", wrong.help),
            ..wrong
        });
    };
    let shape = "allowed: \"interface:NAME:PORT\", as \"interface:ens5:53\"";
    let Some((name, port)) = rest.rsplit_once(':') else {
        return Err(wrong("it has no port", shape));
    };
    let is_name = (1..=INTERFACE_LEN_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:".contains(&byte));
    match (is_name, port.parse()) {
        (false, _) => Err(wrong("no interface can have this name", shape)),
        (true, Err(_)) => Err(wrong("its port is not a number from 0 to 65535", shape)),
        (true, Ok(port)) => Ok(ListenAddress::Interface { name: name.into(), port }),
    }
}

/// `IP:PORT` or `[IPV6]:PORT`.
pub(super) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    let shape = "allowed: \"IP:PORT\" or \"[IPV6]:PORT\"";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        let with_port = SocketAddr::new(ip, DNS_PORT);
        return Err(wrong("it has no port", format!("write \"{with_port}\"; {shape}")));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_err() && host.parse::<IpAddr>().is_ok() => {
            Err(wrong("its port is not a number from 0 to 65535", shape))
        }
        _ => Err(wrong("not an IP address with a port", shape)),
    }
}

/// An upstream: `IP`, `IP:PORT`, or by TLS `tls://IP:PORT#NAME`.
pub(super) fn upstream(text: &str) -> Result<UpstreamAddress, Wrong> {
    text.parse().map_err(|error: AddressError| {
        wrong(
            error.to_string(),
            "allowed: \"IP\", \"IP:PORT\" or \"[IPV6]:PORT\", and by TLS \"tls://IP:PORT#NAME\", \
             where NAME is in its certificate; hosts' names are not, since whom would we ask for \
             them?",
        )
    })
}

/// A network in CIDR form without host bits, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, Wrong> {
    let shape = "allowed: a network as \"10.0.0.0/8\" or \"fc00::/7\", or one address";
    match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
        Err(_) => Err(wrong("not a network", shape)),
        // Clients are known by their IPv4 addresses, however they come.
        Ok(IpNet::V6(net)) if net.addr().to_ipv4_mapped().is_some() => {
            Err(wrong("no client has an address mapped into IPv6", "write the IPv4 network"))
        }
        Ok(net) if net != net.trunc() => Err(wrong(
            "it has bits set behind its prefix",
            format!("write \"{}\", or \"{}\" for the one address", net.trunc(), net.addr()),
        )),
        Ok(net) => Ok(net),
    }
}

/// The name of a source or a view.
pub(super) fn label(text: &str) -> Result<&str, Wrong> {
    let right = (1..=LABEL_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match right {
        true => Ok(text),
        false => Err(wrong(
            "not a name for metrics and logs",
            format!("allowed: 1 to {LABEL_LEN_MAX} letters, digits, `-`, `_` and `.`"),
        )),
    }
}

/// A name of the DNS.
pub(super) fn name(text: &str) -> Result<Name, Wrong> {
    Name::parse(text).map_err(|error| wrong(error.to_string(), "allowed: as \"corp.example\""))
}

/// A service, short or whole.
pub(super) fn service(text: &str) -> Result<ServiceRule, Wrong> {
    let shape = "allowed: what follows the region, as \"sqs\" or \"ecr.api\", or all of it, as \
                 \"com.amazonaws.eu-west-1.sqs\"";
    let right = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match right {
        true => Ok(ServiceRule::new(text)),
        false => Err(wrong("not the name of a service", shape)),
    }
}

/// A service, or one resource of it: `SERVICE:ID` or `SERVICE:ID@vpce-...`.
pub(super) fn allow_rule(text: &str) -> Result<AllowRule, Wrong> {
    let Some((name, resource)) = text.split_once(':') else {
        return service(text).map(AllowRule::Service).map_err(|wrong| Wrong {
            help: format!("{}, or with a resource, as \"execute-api:abc123\"", wrong.help),
            ..wrong
        });
    };
    let (id, endpoint) = match resource.split_once('@') {
        Some((id, endpoint)) => (id, Some(ec2_id(endpoint, "vpce")?.into())),
        None => (resource, None),
    };
    let is_label = (1..=base::LABEL_LEN_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_label {
        true => Ok(AllowRule::Resource(AllowedResource {
            service: service(name)?,
            id: id.to_ascii_lowercase().into(),
            endpoint,
        })),
        false => Err(wrong(
            "its id is not one label of a name",
            "allowed: \"SERVICE:ID\", as \"execute-api:abc123\", where ID is what stands below the \
             service's wildcard",
        )),
    }
}

/// An id of EC2: `vpc-0123456789abcdef0`.
pub(super) fn ec2_id<'t>(text: &'t str, prefix: &str) -> Result<&'t str, Wrong> {
    let tail = text.strip_prefix(prefix).and_then(|tail| tail.strip_prefix('-'));
    let right = |tail: &str| {
        !tail.is_empty()
            && tail.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    };
    match tail.is_some_and(right) {
        true => Ok(text),
        false => Err(wrong(
            format!("not an id that begins with `{prefix}-`"),
            format!("allowed: an id as \"{prefix}-0123456789abcdef0\""),
        )),
    }
}

/// `eu-west-1`, `us-gov-east-1`: words and a number joined by hyphens.
pub(super) fn region(text: &str) -> Result<&str, Wrong> {
    let words: Vec<&str> = text.split('-').collect();
    let right = match words.as_slice() {
        [names @ .., number] if names.len() >= 2 => {
            let lower = |word: &&str| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase())
            };
            names.iter().all(lower) && number.parse::<u8>().is_ok()
        }
        _ => false,
    };
    match right {
        true => Ok(text),
        false => Err(wrong("not a region", "allowed: a region's code, as \"eu-west-1\"")),
    }
}

/// The name or the id of an availability zone: `eu-west-1a`, `euw1-az2`, `us-west-2-lax-1a`.
pub(super) fn zone(text: &str) -> Result<&str, Wrong> {
    let right = text.contains('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    match right {
        true => Ok(text),
        false => Err(wrong(
            "not an availability zone",
            "allowed: a zone's name or id, as \"eu-west-1a\" or \"euw1-az2\"",
        )),
    }
}

/// `http://HOST...` or `https://HOST...`.
pub(super) fn url(text: &str) -> Result<&str, Wrong> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let right = host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    match right {
        true => Ok(text),
        false => Err(wrong(
            "not a URL of http or https",
            "allowed: as \"http://127.0.0.1:5000\" or \"https://ec2.eu-west-1.amazonaws.com\"",
        )),
    }
}

/// An absolute path, or `None` for an empty text.
pub(super) fn absolute_path(text: &str) -> Result<Option<std::path::PathBuf>, Wrong> {
    match text {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(path.into())),
        _ => Err(wrong(
            "not an absolute path",
            "allowed: a path that begins with `/`, or \"\" for none; a service has no folder that \
             another path could be relative to",
        )),
    }
}

/// A [`Wrong`].
pub(super) fn wrong(why: impl Into<String>, help: impl Into<String>) -> Wrong {
    Wrong { why: why.into(), help: help.into() }
}
