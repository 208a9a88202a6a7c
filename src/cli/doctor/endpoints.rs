//! Whether the interfaces that we give out are reached from here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{CheckList, aliases};
use crate::{
    admin::json::{AddressDocument, NamesDocument, Only},
    app::{Asked, accepts_tcp, table_asked},
    cli::ask,
    config::Config,
};

/// Connections at once: with 2 s for each that is silent, 1,500 dead interfaces take 48 s.
const AT_ONCE: usize = 64;

/// Where no port is probed, none is tried here either.
pub(super) const NOT_PROBED: &str = "`health.probe` is \"off\", so no endpoint is connected to";
/// Below it: how to have it looked at.
pub(super) const HAVE_PROBED: &str = "`health.probe = \"tcp:443\"`, or another port that they \
                                      listen on, has it looked at";

/// An endpoint with addresses that are given.
#[derive(Default)]
struct Endpoint {
    addresses: BTreeSet<IpAddr>,
    /// Whether any of them has a word other than `unheard`.
    heard: bool,
}

/// Whether the addresses of endpoints are reached, and what those behind aliases show there.
pub(super) async fn look(list: &mut CheckList, config: &Config, names: Option<&NamesDocument>) {
    let Some(names) = names else {
        let next = "see the sources above";
        return list.warned("endpoint", "there is no table to look at".to_owned(), next);
    };
    match config.health.tcp_port {
        Some(port) => look_at_addresses(list, names, port).await,
        None => list.skipped("endpoint", NOT_PROBED.to_owned(), HAVE_PROBED),
    }
    aliases::look(list, names, config.health.tcp_port).await;
}

/// Connects to each address of each endpoint once; a line for all that answer, and one for each
/// endpoint that has one that does not. Those that the daemon has never heard at that port may listen
/// at others alone, and have one line together.
async fn look_at_addresses(list: &mut CheckList, names: &NamesDocument, port: u16) {
    let mut endpoints: BTreeMap<&str, Endpoint> = BTreeMap::new();
    // What VPC Lattice leads to has ports of its own, which nobody tells.
    let probed = |service: &str| !service.starts_with("arn:");
    let names = names.views.iter().flat_map(|view| &view.names);
    for name in names.filter(|name| probed(&name.service)) {
        let endpoint = endpoints.entry(&name.endpoint).or_default();
        endpoint.addresses.extend(name.addresses.iter().map(|address| address.ip));
        endpoint.heard |= !is_unheard(&name.addresses);
    }
    let addresses: BTreeSet<IpAddr> =
        endpoints.values().flat_map(|endpoint| &endpoint.addresses).copied().collect();
    let silent: BTreeMap<IpAddr, Arc<str>> = stream::iter(&addresses)
        .map(async |ip| (*ip, accepts_tcp(SocketAddr::new(*ip, port)).await))
        .buffer_unordered(AT_ONCE)
        .filter_map(async |(ip, answered)| Some((ip, answered.err()?.to_string().into())))
        .collect()
        .await;
    let reached = addresses.len() - silent.len();
    if 0 < reached || addresses.is_empty() {
        let of = addresses.len();
        let what = format!("{reached} of {of} addresses accept TCP {port} from here");
        list.passed("endpoint", what);
    }
    let mut unheard = Vec::new();
    for (endpoint, Endpoint { addresses, heard }) in &endpoints {
        let lost: Vec<String> =
            addresses.iter().filter_map(|ip| Some(format!("{ip} ({})", silent.get(ip)?))).collect();
        if lost.is_empty() {
            continue;
        }
        if !heard && lost.len() == addresses.len() {
            unheard.push(*endpoint);
            continue;
        }
        let what = format!("{endpoint}: TCP {port} is not accepted by {}", lost.join(", "));
        let next = format!(
            "its security groups and the network ACLs have to let TCP {port} in from this host and \
             from clients: `aws ec2 describe-vpc-endpoints --vpc-endpoint-ids {endpoint}`"
        );
        match lost.len() == addresses.len() {
            true => list.failed("endpoint", what, &next),
            false => list.warned("endpoint", what, &next),
        }
    }
    if !unheard.is_empty() {
        let what = format!("TCP {port} has never been accepted by {}", unheard.join(", "));
        let next = format!(
            "what listens on other ports alone (email-smtp, cassandra, transfer.server, a company's own) \
             is well; for the rest, security groups and network ACLs have to let TCP {port} in"
        );
        // That all of a hub's endpoints listen elsewhere is less likely than a rule that is missing.
        match reached {
            0 => list.failed("endpoint", what, &next),
            _ => list.warned("endpoint", what, &next),
        }
    }
}

/// Whether none of them has ever answered the daemon's probes.
pub(super) fn is_unheard(addresses: &[AddressDocument]) -> bool {
    addresses.iter().all(|address| address.state == "unheard")
}

/// What is answered: by the daemon, or as the sources have told.
pub(super) async fn names(config: &Config, asked: &[Asked]) -> Option<NamesDocument> {
    match ask::names(config, Some(Only::Answered)).await {
        Ok(Some(names)) => Some(names),
        Ok(None) | Err(_) => {
            let table = table_asked(config, asked).await;
            table.ok().map(|(table, _)| NamesDocument::new(&table, None, None))
        }
    }
}
