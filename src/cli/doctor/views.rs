//! What views answer, and what they leave to their upstreams.

use super::CheckList;
use crate::{
    app::{Asked, LeftToUpstream, look_at_gateways, table_asked},
    config::Config,
};

/// Views without an answer, and the names of S3 that views leave to upstreams.
pub(super) async fn look(list: &mut CheckList, config: &Config, asked: &[Asked]) {
    let Ok((table, _)) = table_asked(config, asked).await else { return };
    let named = table.views().filter(|view| view.rule().is_some());
    for view in named.filter(|view| view.is_empty()) {
        list.warned(
            "view",
            format!("{} answers no name", view.name()),
            "`hubdns names` tells why each endpoint is left out of it",
        );
    }
    for left in look_at_gateways(&table, &config.forward).await {
        let LeftToUpstream { view, name, given } = &left;
        let what = format!("view {view} leaves {name} to upstreams: it {given}");
        match left.next() {
            None => list.passed("s3", what),
            Some(next) => list.warned("s3", what, next),
        }
    }
}
