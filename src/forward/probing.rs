//! Sends probes, and waits for what becomes of them.
//!
//! Whom to probe below which domain is decided here, when is not. What a probe means is judged in
//! `loops`.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout};

use super::{
    exchange::{Exchange, Verdict},
    flight::DEADLINE,
    forwarder::Forwarder,
    loops::{Loop, PROBE_OCTETS, Sighting},
    upstream::Upstream,
};
use crate::{
    base::{ExtendedError, NAME_LEN_MAX, Name, Rcode, RecordType},
    forward::ForwardError,
    wire::{Question, Relay},
};

/// Probes under way at once. A minute's are two dozen for a hub with two upstreams; with hundreds
/// of zones they leave one after the other, and never as a burst on the budget of 1,024 packets.
const PROBES_MAX: usize = 16;
/// Silence after which a probe is sent once more: its packet may be lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// What to probe.
#[derive(Clone, Copy, Debug)]
pub enum Look<'l> {
    /// Every upstream: below the root, each zone, these domains, and where loops are known.
    Everywhere(&'l [Name]),
    /// Where loops are known.
    AtKnown,
    /// Whoever is asked for this name: below it, or below the nearest name that leaves room.
    Below(&'l Name),
}

/// One probe to be sent.
struct Target {
    upstream: Arc<Upstream>,
    domain: Name,
}

// === impl Forwarder ===

impl Forwarder {
    /// Probes, and comes back when every probe has been answered, has come back, or had its time.
    /// A name that is `ours` is never sent, so no probe stands for it.
    pub async fn look_for_loops(&self, look: Look<'_>, ours: &(dyn Fn(&Name) -> bool + Sync)) {
        let targets = self.targets(look);
        stream::iter(targets)
            .for_each_concurrent(PROBES_MAX, |target| self.probe_and_widen(target, ours))
            .await;
    }

    fn targets(&self, look: Look<'_>) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        let mut add = |upstreams: &mut dyn Iterator<Item = &Arc<Upstream>>, domain: &Name| {
            for upstream in upstreams {
                let same =
                    |it: &Target| (&it.upstream.address, &it.domain) == (&upstream.address, domain);
                if !targets.iter().any(same) {
                    targets.push(Target { upstream: Arc::clone(upstream), domain: domain.clone() });
                }
            }
        };
        for Loop { upstream, domain, .. } in self.loops().iter() {
            let known = self.routes().upstreams().find(|it| it.address == *upstream);
            match look {
                Look::Everywhere(_) | Look::AtKnown => {
                    add(&mut known.into_iter(), domain);
                }
                Look::Below(_) => (),
            }
        }
        match look {
            Look::Everywhere(domains) => {
                for domain in [Name::root()].iter().chain(domains).chain(self.routes().zones()) {
                    add(&mut self.routes().asked_for(domain), domain);
                }
            }
            Look::Below(name) => {
                let room = name.suffixes().find(|it| it.len() + PROBE_OCTETS <= NAME_LEN_MAX);
                if let Some(Ok(domain)) = room.map(Name::from_wire) {
                    add(&mut self.routes().asked_for(name), &domain);
                }
            }
            Look::AtKnown => (),
        }
        targets
    }

    /// Probes one domain. Where it loops, also the domains above it as far as they do, so that the
    /// loop is known by its widest domain: most often that of a rule, which is what has to be put
    /// right.
    async fn probe_and_widen(&self, target: Target, ours: &(dyn Fn(&Name) -> bool + Sync)) {
        let Target { upstream, mut domain } = target;
        while self.probe_once(&upstream, &domain, ours).await == Some(Sighting::Returned)
            && let Some(parent) = domain.parent()
            && self.routes().asked_for(&parent).any(|it| it.address == upstream.address)
        {
            domain = parent;
        }
    }

    /// One probe; `None` when there is no name for it that may be sent.
    async fn probe_once(
        &self,
        upstream: &Arc<Upstream>,
        domain: &Name,
        ours: &(dyn Fn(&Name) -> bool + Sync),
    ) -> Option<Sighting> {
        let probe = self.loop_watch().probe(&upstream.address, domain, rand::random()).ok()?;
        if ours(&probe.name) {
            return None;
        }
        let question = Question {
            name: probe.name.clone(),
            rtype: RecordType::A,
            dnssec_ok: false,
            checking_disabled: false,
        };
        let sighting = tokio::select! {
            // First: what has come back is answered by us as well.
            biased;
            () = probe.returned() => return Some(Sighting::Returned),
            verdict = timeout(DEADLINE, send(upstream, &question)) => {
                verdict.map_or(Sighting::Unclear, |verdict| sighting(&verdict))
            }
        };
        drop(probe);
        self.loop_watch().sighted(&upstream.address, domain, sighting, Instant::now());
        Some(sighting)
    }
}

/// What the upstream says, asked once more if it is silent.
async fn send(upstream: &Arc<Upstream>, question: &Question) -> Verdict {
    let asked_at = Instant::now();
    let mut exchange = Exchange::new(upstream, question, false, None);
    match timeout(PATIENCE, exchange.next()).await {
        Ok(verdict) => verdict,
        Err(_) => Exchange::new(upstream, question, false, Some(asked_at)).next().await,
    }
}

/// What an exchange says of a loop.
fn sighting(verdict: &Verdict) -> Sighting {
    match verdict {
        Verdict::Answer(_) => Sighting::Answered,
        Verdict::Declined(relay) if relay.rcode() != Rcode::SERVFAIL => Sighting::Answered,
        Verdict::Declined(relay) if tells_of_a_loop(relay) => Sighting::Ahead,
        // Who stands in the middle of a loop says the same in the end.
        Verdict::Declined(_) | Verdict::Doubtful(_) | Verdict::Failed(_) => Sighting::Unclear,
    }
}

/// Whether a hub that stopped forwarding said this.
fn tells_of_a_loop(relay: &Relay) -> bool {
    let ExtendedError { code, text } = ForwardError::Loop.extended();
    relay.errors().iter().any(|error| error.code == code && error.text == text)
}
