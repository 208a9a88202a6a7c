//! What views answer, and what they leave to their upstreams.

use super::CheckList;
use crate::{
    app::{Given, LeftToUpstream, host_lookup, look_at_gateways, offline_table},
    config::Config,
    policy::ServiceRule,
};

/// Views without an answer, and the names of S3 that views leave to upstreams.
pub(super) async fn look(list: &mut CheckList, config: &Config) {
    let policy = &config.policy;
    // Without either there is nothing to look at, and the sources need not be asked.
    if policy.views.is_empty() && !policy.deny.contains(&ServiceRule::new("s3")) {
        return;
    }
    let Ok((table, _)) = offline_table(config, &host_lookup(&config.lookup)).await else { return };
    let named = table.views().filter(|view| view.rule().is_some());
    for view in named.filter(|view| view.is_empty()) {
        list.warned(
            "view",
            format!("{} answers no name", view.name()),
            "`hubdns names` tells why each endpoint is left out of it",
        );
    }
    for LeftToUpstream { view, name, given } in look_at_gateways(&table, &config.forward).await {
        let what = format!("view {view} leaves {name} to upstreams: it {given}");
        match given {
            Given::Public => list.passed("s3", what),
            Given::Private(_) | Given::Nothing(_) => list.warned("s3", what, LeftToUpstream::NEXT),
        }
    }
}
