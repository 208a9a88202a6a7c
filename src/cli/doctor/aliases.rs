//! Whether the certificates that endpoints show cover the names that the operator gave them.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use futures_util::{StreamExt, stream};

use super::{
    CheckList,
    endpoints::{HAVE_PROBED, NOT_PROBED, is_unheard},
};
use crate::{
    admin::json::{NameDocument, NamesDocument, ViewDocument},
    app::{HandshakeError, covered},
    base::{Chain, Name, Pattern, printable},
    policy::CNAMES_MAX,
};

/// Below a wildcard a name is tried that nobody has.
const BELOW_WILDCARD: &str = "hubdns-doctor";
/// Handshakes at once: with 6 s for each that is silent, 100 dead aliases take 42 s.
const AT_ONCE: usize = 16;
/// Names of a certificate that are told; AWS's have up to about fifty.
const NAMES_MAX: usize = 6;

/// A name that is tried at an endpoint.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Tried {
    /// As the operator gave it.
    alias: String,
    /// As a client asks for it.
    name: String,
    endpoint: String,
    addresses: Vec<IpAddr>,
    /// Whether the daemon has never heard any of them at the port.
    unheard: bool,
}

/// What came of it.
enum Found {
    Covers,
    CoversOthers(Vec<String>),
    NoHandshake(HandshakeError),
}

/// Shakes hands with an address behind each alias as a client of that name; a line for each. Without a
/// port that is probed, one for all.
pub(super) async fn look(list: &mut CheckList, names: &NamesDocument, port: Option<u16>) {
    let tried: BTreeSet<Tried> = names.views.iter().flat_map(tried).collect();
    let Some(port) = port else {
        if !tried.is_empty() {
            list.skipped("alias", NOT_PROBED.to_owned(), HAVE_PROBED);
        }
        return;
    };
    let mut found: Vec<(Tried, Found)> = stream::iter(tried)
        .map(async |tried| {
            let found = shake(&tried, port).await;
            (tried, found)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (tried, found) in found {
        tell(list, &tried, found, port);
    }
}

fn tell(list: &mut CheckList, tried: &Tried, found: Found, port: u16) {
    let Tried { alias, endpoint, .. } = tried;
    match found {
        Found::Covers => {
            list.passed("alias", format!("{alias}: the certificate of {endpoint} covers it"));
        }
        Found::CoversOthers(names) => {
            let what = match names.as_slice() {
                [] => format!("{alias}: the certificate of {endpoint} covers no name at all"),
                names => format!(
                    "{alias}: the certificate of {endpoint} does not cover it, but {}",
                    listed(names)
                ),
            };
            let next = "who checks the name will not connect: let clients check or call a name \
                        that it covers; docs/ALIASES.md tells more";
            list.warned("alias", what, next);
        }
        Found::NoHandshake(error @ HandshakeError::Connect(_)) => {
            let what = format!("{alias}: {endpoint} at port {port}: {}", Chain(&error));
            match tried.unheard {
                false => {
                    let next = "its security groups have to let this host and the clients in";
                    list.failed("alias", what, next);
                }
                true => {
                    let next = "it has never answered there: if its clients use other ports, all is \
                                well; else its security groups have to let this host and them in";
                    list.warned("alias", what, next);
                }
            }
        }
        Found::NoHandshake(error) => {
            let what = format!("{alias}: {endpoint} at port {port}: {}", Chain(&error));
            let next = "if its clients do not use TLS there, all is well";
            list.warned("alias", what, next);
        }
    }
}

/// The first address that takes a connection tells for all: interfaces of one endpoint are alike.
async fn shake(tried: &Tried, port: u16) -> Found {
    let mut last = None;
    for ip in &tried.addresses {
        match covered(SocketAddr::new(*ip, port), &tried.name).await {
            Ok(certificate) if certificate.has(&tried.name) => return Found::Covers,
            Ok(certificate) => return Found::CoversOthers(certificate.names),
            Err(error @ HandshakeError::Connect(_)) => last = Some(error),
            Err(error) => return Found::NoHandshake(error),
        }
    }
    let none = || HandshakeError::Connect(std::io::ErrorKind::NotFound.into());
    Found::NoHandshake(last.unwrap_or_else(none))
}

/// Aliases of a view: those with addresses of an endpoint, and those that stand for a name of ours.
fn tried(view: &ViewDocument) -> Vec<Tried> {
    let is_alias = |name: &&NameDocument| ["alias", "alias_set"].contains(&name.origin.as_str());
    let given = view.names.iter().filter(is_alias).map(|it| (&it.name, it));
    let cnames = view.cnames.iter();
    let led = cnames.filter_map(|cname| Some((&cname.name, end_of(view, &cname.target)?)));
    let tried = |(alias, name): (&String, &NameDocument)| Tried {
        alias: printable(alias),
        name: match alias.strip_prefix("*.") {
            Some(parent) => format!("{BELOW_WILDCARD}.{parent}"),
            None => alias.clone(),
        },
        endpoint: printable(&name.endpoint),
        addresses: name.addresses.iter().map(|address| address.ip).collect(),
        unheard: is_unheard(&name.addresses),
    };
    given.chain(led).map(tried).collect()
}

/// The name with addresses to which CNAMEs of ours lead from `target` on; none where they lead to
/// an upstream's.
fn end_of<'v>(view: &'v ViewDocument, target: &str) -> Option<&'v NameDocument> {
    let mut target = Name::parse(target).ok()?;
    // As many as policy lets pass, and a document is no promise that there are no more.
    for _ in 0..=CNAMES_MAX {
        let patterns = view.names.iter().map(|name| &name.name);
        let patterns = patterns.chain(view.cnames.iter().map(|cname| &cname.name));
        let covering = patterns.enumerate().filter_map(|(at, text)| {
            let pattern = Pattern::parse(text).ok().filter(|it| it.covers(&target))?;
            let is_exact = matches!(pattern, Pattern::Exact(_));
            Some(((is_exact, pattern.name().as_wire().len()), at))
        });
        let (_, at) = covering.max()?;
        match at.checked_sub(view.names.len()) {
            None => return view.names.get(at),
            Some(at) => target = Name::parse(&view.cnames.get(at)?.target).ok()?,
        }
    }
    None
}

fn listed(names: &[String]) -> String {
    let told: Vec<String> = names.iter().take(NAMES_MAX).map(|name| printable(name)).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}
