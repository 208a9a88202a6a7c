//! Writes replies: what is known, what was answered, or why nothing is told.
//!
//! Whoever comes with an answer, at once or after an upstream was asked, it is written here.

use std::{net::SocketAddr, slice};

use super::{
    chain::Failure,
    decide::{Asked, Decided, Decision, Refusal, ServerFact, Told, Vantage, decide},
    records::{POINTER, write_absence, write_text, write_told},
    settings::Settings,
};
use crate::{
    base::{Ede, ExtendedError, Name, Rcode, RecordType},
    coverage::Mark,
    forward::Answered,
    table::{AnswerTable, Entry},
    telemetry::{AnswerSource, DnsMetrics},
    wire::{Channel, Limit, QUESTION_POINTER, Query, Reply},
};

/// Why a question is answered from the table, where the decision does not say more.
const OURS: &str = "ours";
/// Why a question is forwarded, in a word.
const NOT_OURS: &str = "not_ours";

/// What a reply depends on beside its answer.
pub(super) struct Teller<'t> {
    pub(super) table: &'t AnswerTable,
    pub(super) settings: &'t Settings,
    pub(super) dns: &'t DnsMetrics,
    pub(super) vantage: &'t Vantage,
    pub(super) way: Way,
    /// Where the addresses of this answer begin.
    pub(super) rotation: usize,
}

/// What was told.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    pub(super) rcode: Rcode,
    pub(super) source: AnswerSource,
    /// Why, in a word for the query log, where the decision does not say it.
    pub(super) reason: &'static str,
    /// Who said it just now.
    pub(super) upstream: Option<SocketAddr>,
    /// What it is counted for, if a name of AWS leaks by it.
    pub(super) leak: Option<Mark>,
}

/// What a reply goes through.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) limit: Limit,
    pub(super) channel: Channel,
}

// === impl Outcome ===

impl Outcome {
    /// Told from the table.
    pub(super) fn ours(rcode: Rcode) -> Self {
        Self { rcode, source: AnswerSource::Table, reason: OURS, upstream: None, leak: None }
    }

    /// Told by ourselves.
    pub(super) fn local(rcode: Rcode) -> Self {
        Self { rcode, source: AnswerSource::Local, reason: "", upstream: None, leak: None }
    }
}

// === impl Teller ===

impl<'t> Teller<'t> {
    /// Writes what we have of a name of ours; without records, that we have none of the type.
    pub(super) fn ours(
        &self,
        query: &Query<'_>,
        entry: &Entry,
        told: Option<Told<'_>>,
        az: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Rcode {
        let mut reply = self.start(query, out);
        match told {
            Some(told) => {
                write_told(&mut reply, entry, told, QUESTION_POINTER, az, self.rotation);
            }
            None => write_absence(&mut reply, entry, QUESTION_POINTER),
        }
        self.end(reply, Rcode::NOERROR, false, &[]);
        Rcode::NOERROR
    }

    /// Writes a refusal and why. Who may not ask gets the code for it and no more: whoever forges an
    /// address would have words sent there, and who we are is not for strangers.
    pub(super) fn refused(&self, query: &Query<'_>, refusal: Refusal, out: &mut Vec<u8>) -> Rcode {
        let (rcode, code) = (refusal.rcode(), refusal.ede());
        let reply = self.start(query, out);
        match refusal {
            Refusal::NotAllowed => {
                let error = ExtendedError { code, text: "".into() };
                reply.finish(rcode, false, self.way.limit, &[], &[error]);
            }
            Refusal::Class | Refusal::MetaType | Refusal::NoRecursion => {
                self.end(
                    reply,
                    rcode,
                    false,
                    &[ExtendedError { code, text: refusal.text().into() }],
                );
            }
        }
        rcode
    }

    /// Writes that the client should come by TCP.
    pub(super) fn truncated(&self, query: &Query<'_>, out: &mut Vec<u8>) {
        self.start(query, out).finish(Rcode::NOERROR, false, Limit::Question, &[], &[]);
    }

    /// Writes that the client has asked too much.
    pub(super) fn over_its_rate(&self, query: &Query<'_>, out: &mut Vec<u8>) {
        let text = "more questions a second than clients.rate allows".into();
        let error = ExtendedError { code: Ede::OTHER, text };
        self.end(self.start(query, out), Rcode::REFUSED, false, &[error]);
    }

    /// Tells what we were told to tell of ourselves; otherwise it is the class that is not served.
    pub(super) fn of_ourselves(
        &self,
        query: &Query<'_>,
        fact: ServerFact,
        out: &mut Vec<u8>,
    ) -> Rcode {
        let Some(text) = self.settings.about.text(fact, self.table) else {
            return self.refused(query, Refusal::Class, out);
        };
        let mut reply = self.start(query, out);
        reply.answer(1, |out| write_text(&text, out));
        self.end(reply, Rcode::NOERROR, false, &[]);
        Rcode::NOERROR
    }

    /// Writes what was answered to a name that is not ours.
    pub(super) fn answered(
        &self,
        query: &Query<'_>,
        answered: &Answered,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let mut reply = self.start(query, out);
        let lands = self.continue_chain(&mut reply, query.rtype, answered);
        let (rcode, validated) = match lands {
            // What we add is not signed, so the whole is not validated.
            true => (Rcode::NOERROR, false),
            false => {
                reply.relay(&answered.relay, answered.age);
                (answered.relay.rcode(), answered.relay.validated())
            }
        };
        let theirs = answered.relay.errors();
        match answered.source {
            AnswerSource::Stale => {
                // Ours first: where there is no room for all, it is the one that is told.
                let ours = ExtendedError { code: Ede::STALE_ANSWER, text: "".into() };
                let errors = [slice::from_ref(&ours), theirs].concat();
                self.end(reply, rcode, validated, &errors);
            }
            _ => self.end(reply, rcode, validated, theirs),
        }
        let Answered { source, upstream, mark, .. } = *answered;
        // What leads to a name of ours is told our addresses.
        let leak = mark.filter(|_| !lands);
        Outcome { rcode, source, reason: NOT_OURS, upstream, leak }
    }

    /// Writes that nothing was answered, and why.
    pub(super) fn failed(
        &self,
        query: &Query<'_>,
        failure: &Failure,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.end(self.start(query, out), failure.rcode, false, &failure.errors);
        let Failure { rcode, reason, .. } = *failure;
        Outcome { rcode, source: AnswerSource::Local, reason, upstream: None, leak: None }
    }

    /// If an alias of the answer leads to a name of ours, tells the aliases up to there and then
    /// what we have, in place of what the upstream says of that name.
    fn continue_chain(
        &self,
        reply: &mut Reply<'_, '_>,
        rtype: RecordType,
        answered: &Answered,
    ) -> bool {
        for hop in answered.relay.hops() {
            let Decided { decision, az, .. } = self.decide_behind(&hop.target, rtype);
            let owner = POINTER | hop.target_at;
            match decision {
                Decision::Answer(entry, told) => {
                    reply.relay_until(&answered.relay, hop, answered.age);
                    write_told(reply, entry, told, owner, az, self.rotation);
                    return true;
                }
                Decision::NoData(entry) => {
                    reply.relay_until(&answered.relay, hop, answered.age);
                    write_absence(reply, entry, owner);
                    return true;
                }
                // Followed already: the next alias is what it leads to.
                Decision::Cname(_) => (),
                Decision::Forward | Decision::Server(_) | Decision::Refuse(_) => (),
            }
        }
        false
    }

    /// What we would say to the question for what an alias leads to. The DS of a name of ours is
    /// not ours, at the end of a chain as at its start; [`decide`] knows.
    pub(super) fn decide_behind(&self, name: &Name, rtype: RecordType) -> Decided<'t> {
        let asked = Asked { name_wire: name.as_wire(), rtype, class: 1, recursion_desired: true };
        decide(self.table, &asked, self.vantage)
    }

    pub(super) fn start<'q, 'o>(
        &self,
        query: &'q Query<'q>,
        out: &'o mut Vec<u8>,
    ) -> Reply<'q, 'o> {
        let mut reply = Reply::start(query, out).through(self.way.channel);
        reply.cookie(self.settings.cookie(query, self.vantage, self.dns));
        reply
    }

    pub(super) fn end(
        &self,
        reply: Reply<'_, '_>,
        rcode: Rcode,
        validated: bool,
        errors: &[ExtendedError],
    ) {
        reply.finish(rcode, validated, self.way.limit, &self.settings.identity, errors);
    }
}
