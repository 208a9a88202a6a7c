//! `hubdns doctor --peers`: whether other hubs answer from the same table.

use std::net::SocketAddr;

use super::{ask, doctor::CheckList};
use crate::{
    admin::json::{StatusDocument, from_text},
    app::{PeerError, ask_peer},
    base::{Chain, printable},
    config::Config,
};

/// A table that others are compared with, and whose it is.
struct Reference {
    whose: String,
    hash: String,
}

/// Asks each, and compares with the daemon of this configuration; without one with the first that
/// answers.
pub(super) async fn look_at_peers(list: &mut CheckList, config: &Config, peers: &[SocketAddr]) {
    let mut reference = own_table(config).await;
    for peer in peers {
        match (ask_peer(*peer).await, &reference) {
            (Ok(hash), None) => {
                list.passed("peer", format!("{peer} answers from table {}", printable(&hash)));
                reference = Some(Reference { whose: peer.to_string(), hash });
            }
            (Ok(hash), Some(Reference { whose, hash: known })) if hash == *known => {
                list.passed("peer", format!("{peer} answers from the table of {whose}, {known}"));
            }
            (Ok(hash), Some(Reference { whose, hash: known })) => list.failed(
                "peer",
                format!("{peer} answers from table {}, {whose} from {known}", printable(&hash)),
                "a change may be on its way: ask again; if it stays, compare `hubdns names` and \
                 `/api/v1/status` of both: the configuration, sources that fail, drained zones, \
                 addresses that only one of them does not reach",
            ),
            (Err(error), _) => {
                let next = match &error {
                    PeerError::Declined(_) => {
                        "`clients.allow` there has to hold this host, and it has to be a hubdns \
                         that knows the question"
                    }
                    PeerError::Silent | PeerError::Network(_) => {
                        "open UDP 53 between the hubs, or see whether it runs"
                    }
                };
                list.failed("peer", format!("{peer}: {}", Chain(&error)), next);
            }
        }
    }
}

/// The table of the daemon that runs on this configuration.
async fn own_table(config: &Config) -> Option<Reference> {
    let text = ask::daemon(config, "/api/v1/status").await.ok()??;
    let hash = from_text::<StatusDocument>(&text).ok()?.table_hash?;
    Some(Reference { whose: "this hub".to_owned(), hash })
}
