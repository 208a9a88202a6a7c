//! Tells those who listen what became of a query. Does nothing for one that nobody wants to hear of.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{
    decide::{Decided, Decision},
    tell::Outcome,
};
use crate::{
    base::{EndpointId, Rcode, RecordType, ViewName},
    querylog::{Observed, Observers, Wanted},
    telemetry::{AnswerSource, Limited, Proto},
};

/// Where a query came from, and who wants to hear of it.
#[derive(Clone, Copy)]
pub(super) struct Sighting {
    pub(super) wanted: Wanted,
    pub(super) client: SocketAddr,
    pub(super) listener: SocketAddr,
    pub(super) proto: Proto,
    pub(super) came: Instant,
}

/// What became of it.
#[derive(Clone, Copy)]
pub(super) struct Verdict<'t> {
    decision: &'static str,
    reason: &'static str,
    endpoint: Option<&'t EndpointId>,
    source: Option<AnswerSource>,
    upstream: Option<SocketAddr>,
    rcode: Option<Rcode>,
}

// === impl Sighting ===

impl Sighting {
    /// Tells it. `asked` is the name in wire form and the type, where a question could be read; then
    /// come the packets, the answer empty where there is none.
    pub(super) fn tell(
        &self,
        observers: &Observers,
        asked: Option<(&[u8], RecordType)>,
        view: &ViewName,
        verdict: Verdict<'_>,
        [packet, reply]: [&[u8]; 2],
    ) {
        let Self { wanted, client, listener, proto, came } = *self;
        let Verdict { decision, reason, endpoint, source, upstream, rcode } = verdict;
        let (came, took) = (came.into_std(), came.elapsed());
        observers.tell(
            wanted,
            &Observed {
                came,
                took,
                client,
                listener,
                proto,
                asked,
                view,
                decision,
                reason,
                endpoint,
                source,
                upstream,
                rcode,
                packet,
                reply,
            },
        );
    }
}

// === impl Verdict ===

impl<'t> Verdict<'t> {
    /// What was decided, and then told.
    pub(super) fn decided(decided: &Decided<'t>, told: &Outcome) -> Self {
        let (reason, endpoint) = match decided.decision {
            Decision::Answer(entry, _) => {
                (entry.claim().origin.word(), Some(&entry.claim().endpoint))
            }
            Decision::NoData(entry) => ("no_such_type", Some(&entry.claim().endpoint)),
            Decision::Cname(_) | Decision::Forward => (told.reason, None),
            Decision::Server(fact) => (fact.word(), None),
            Decision::Refuse(refusal) => (refusal.word(), None),
        };
        Self {
            decision: decided.decision.word(),
            reason,
            endpoint,
            source: Some(told.source),
            upstream: told.upstream,
            rcode: Some(told.rcode),
        }
    }

    /// What had to be asked for, and is told now.
    pub(super) fn forwarded(decision: &'static str, told: &Outcome) -> Self {
        Self {
            decision,
            reason: told.reason,
            endpoint: None,
            source: Some(told.source),
            upstream: told.upstream,
            rcode: Some(told.rcode),
        }
    }

    /// A query that is answered with a code alone.
    pub(super) fn rejected(rcode: Rcode) -> Self {
        let reason = match rcode {
            Rcode::FORMERR => "malformed",
            Rcode::NOTIMP => "opcode",
            Rcode::BADVERS => "edns_version",
            Rcode::REFUSED => "not_allowed",
            // What has a cookie and no question.
            _ => "no_question",
        };
        let source = Some(AnswerSource::Local);
        Self {
            decision: "reject",
            reason,
            endpoint: None,
            source,
            upstream: None,
            rcode: Some(rcode),
        }
    }

    /// A query of a client above its rate.
    pub(super) fn limited(limited: Limited) -> Self {
        let rcode = match limited {
            Limited::Dropped => None,
            Limited::Truncated => Some(Rcode::NOERROR),
            Limited::Refused => Some(Rcode::REFUSED),
        };
        Self {
            decision: "limit",
            reason: limited.word(),
            endpoint: None,
            source: rcode.map(|_| AnswerSource::Local),
            upstream: None,
            rcode,
        }
    }
}
