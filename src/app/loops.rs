//! The task that looks for forwarding loops: when to probe, and below which domains.
//!
//! It begins when somebody can ask us, since only then a probe can come back.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::daemon::Daemon;
use crate::{
    answer::Settings,
    base::{Name, Pattern},
    forward::{Forwarder, Look},
    policy::Origin,
    table::{AnswerTable, Reader},
};

/// Between two looks at everything. A loop that questions run into is found by them before that.
const EVERYWHERE: Duration = Duration::from_secs(60);
/// Between two looks at the loops that are known, and so how soon forwarding goes on without one.
const AT_KNOWN: Duration = Duration::from_secs(5);
/// Domains of our own names that are probed, those with the most names first: one holds nearly all
/// names of a region. With the root and two upstreams that makes 18 packets a minute.
const OWN_DOMAINS_MAX: usize = 8;

/// What the task looks at.
struct Lookout {
    settings: watch::Receiver<Arc<Settings>>,
    table: Reader,
    listening: watch::Receiver<Vec<SocketAddr>>,
}

// === impl Daemon ===

impl Daemon {
    /// Starts the look-out for loops.
    pub(super) fn start_lookout(&mut self) {
        let lookout = Lookout {
            settings: self.settings.subscribe(),
            table: self.table.clone(),
            listening: self.server.listening(),
        };
        let token = self.token.clone();
        self.start_among_queries("the look-out for loops", lookout.run(token));
    }
}

// === impl Lookout ===

impl Lookout {
    /// Looks until `token` is cancelled.
    async fn run(self, token: CancellationToken) {
        let Lookout { settings, table, mut listening } = self;
        let looks = async {
            // Both senders live as long as the daemon; without them nobody is left to tell.
            if listening.wait_for(|bound| !bound.is_empty()).await.is_ok() {
                tokio::join!(by_the_clock(settings.clone(), &table), by_need(settings, &table));
            }
        };
        tokio::select! {
            () = token.cancelled() => (),
            () = looks => token.cancelled().await,
        }
    }
}

/// Looks at everything at once, and every minute from then on; while there is a loop also there,
/// more often. Upstreams that a reload brings are looked at at once.
async fn by_the_clock(mut settings: watch::Receiver<Arc<Settings>>, table: &Reader) {
    loop {
        let forwarder = settings.borrow_and_update().forwarder.clone();
        let domains = domains(table.load().table());
        look(&forwarder, table, Look::Everywhere(&domains)).await;
        let again_at = Instant::now() + EVERYWHERE;
        let mut loops = forwarder.watch_loops();
        loop {
            let known = loops.borrow_and_update().len();
            let next_at =
                if known == 0 { again_at } else { again_at.min(Instant::now() + AT_KNOWN) };
            tokio::select! {
                changed = settings.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                // A question ran into the first: its end should be found as soon as any other's.
                Ok(()) = loops.changed(), if known == 0 => continue,
                () = sleep_until(next_at) => (),
            }
            look(&forwarder, table, Look::AtKnown).await;
            // Where one has ended a narrower one may be left.
            if again_at <= Instant::now() || forwarder.loops().len() < known {
                break;
            }
        }
    }
}

/// Looks where a question made it needful.
async fn by_need(mut settings: watch::Receiver<Arc<Settings>>, table: &Reader) {
    loop {
        let forwarder = settings.borrow_and_update().forwarder.clone();
        let name = tokio::select! {
            name = forwarder.suspected() => name,
            changed = settings.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        // Below the name itself if there is room, since a rule may be for it alone.
        look(&forwarder, table, Look::Below(&name)).await;
    }
}

async fn look(forwarder: &Forwarder, table: &Reader, look: Look<'_>) {
    let published = table.hold();
    let ours =
        |name: &Name| published.table().views().any(|view| view.find(name.as_wire()).is_some());
    forwarder.look_for_loops(look, &ours).await;
}

/// The domains directly above names that clients ask us for: what a rule brings to us is in one of
/// them or above. An endpoint's own names are left out, since nobody makes a rule for these.
fn domains(table: &AnswerTable) -> Vec<Name> {
    let mut counts: HashMap<Name, usize> = HashMap::new();
    for entry in table.views().flat_map(|view| view.entries()) {
        let claim = entry.claim();
        let asked_for = match claim.origin {
            Origin::Published
            | Origin::S3Apex
            | Origin::AssociationPrivate
            | Origin::Alias
            | Origin::Allowed
            | Origin::AliasSet(_) => true,
            Origin::Regional | Origin::Zonal(_) | Origin::DnsEntry | Origin::Association => false,
        };
        let above = match &claim.pattern {
            Pattern::Exact(name) | Pattern::Below(name) => name.parent(),
        };
        if let Some(domain) = above.filter(|domain| asked_for && !domain.is_root()) {
            *counts.entry(domain).or_default() += 1;
        }
    }
    let mut counted: Vec<_> = counts.into_iter().collect();
    counted.sort_by(|(one, many), (other, more)| more.cmp(many).then_with(|| one.cmp(other)));
    counted.into_iter().take(OWN_DOMAINS_MAX).map(|(domain, _)| domain).collect()
}

#[cfg(test)]
mod tests {
    use super::domains;
    use crate::{
        policy::{self, facts},
        table::compile,
    };

    #[test]
    fn the_domains_with_the_most_names_are_probed_and_never_an_endpoints_own() {
        let hub = facts::inventory(
            "vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 names=sqs.eu-west-1.amazonaws.com
             vpce-2 com.amazonaws.eu-west-1.sns eu-west-1a=10.0.1.6 names=sns.eu-west-1.amazonaws.com
             vpce-3 com.amazonaws.eu-west-1.ecr.api eu-west-1a=10.0.1.7 names=api.ecr.eu-west-1.amazonaws.com",
        );
        let config = facts::config();
        let table = compile(policy::plan(&hub, &config), &config);
        let domains: Vec<String> = domains(&table).iter().map(ToString::to_string).collect();
        assert_eq!(domains, ["eu-west-1.amazonaws.com", "ecr.eu-west-1.amazonaws.com"]);
    }
}
