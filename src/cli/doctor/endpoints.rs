//! Whether the interfaces that we give out are reached from here.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{CheckList, aliases};
use crate::{
    admin::json::{NamesDocument, Only},
    app::{Asked, accepts_tcp, table_asked},
    cli::ask,
    config::Config,
};

/// Where nothing else is probed: what nearly every service answers on.
const HTTPS_PORT: u16 = 443;
/// Connections at once: with 2 s for each that is silent, 1,500 dead interfaces take 48 s.
const AT_ONCE: usize = 64;

/// Whether the addresses of endpoints are reached, and what those behind aliases show there.
pub(super) async fn look(list: &mut CheckList, config: &Config, names: Option<&NamesDocument>) {
    let Some(names) = names else {
        let next = "see the sources above";
        return list.warned("endpoint", "there is no table to look at".to_owned(), next);
    };
    let port = config.health.tcp_port.unwrap_or(HTTPS_PORT);
    look_at_addresses(list, names, port).await;
    aliases::look(list, names, port).await;
}

/// Connects to each address of each endpoint once; a line for all that answer, and one for each
/// endpoint that has one that does not.
async fn look_at_addresses(list: &mut CheckList, names: &NamesDocument, port: u16) {
    let mut endpoints: BTreeMap<&str, BTreeSet<IpAddr>> = BTreeMap::new();
    // What VPC Lattice leads to has ports of its own, which nobody tells.
    let probed = |service: &str| !service.starts_with("arn:");
    let names = names.views.iter().flat_map(|view| &view.names);
    for name in names.filter(|name| probed(&name.service)) {
        let addresses = name.addresses.iter().map(|address| address.ip);
        endpoints.entry(&name.endpoint).or_default().extend(addresses);
    }
    let addresses: BTreeSet<IpAddr> = endpoints.values().flatten().copied().collect();
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
    for (endpoint, addresses) in &endpoints {
        let lost: Vec<String> =
            addresses.iter().filter_map(|ip| Some(format!("{ip} ({})", silent.get(ip)?))).collect();
        if lost.is_empty() {
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
