//! Tells at once what needs nobody to be asked: what CNAMEs of ours lead to, and what the cache has.
//!
//! Where somebody has to be asked all the same it says how far it has come, and asks nobody.

use std::iter;

use tokio::time::Instant;

use super::{
    chain::{Chain, Failure, Landing, Lead, Progress},
    decide::Decision,
    records::{write_absence, write_cname, write_told},
    tell::{Outcome, Teller},
};
use crate::{
    base::{Name, Rcode, RecordType},
    forward::{Answered, ForwardError, Sought},
    policy::{CNAMES_MAX, CnameClaim},
    wire::{Asking, QUESTION_POINTER, Query},
};

// === impl Teller ===

impl<'t> Teller<'t> {
    /// Writes what the cache has of a name that is not ours, its aliases followed; or tells how far
    /// it has come with them, and an upstream has to be asked.
    pub(super) fn forwarded(
        &self,
        query: &Query<'_>,
        came: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Box<Chain>> {
        let (asking, forwarder) = (query.asking(), &self.settings.forwarder);
        if forwarder.has_returned(asking.name_wire, came) {
            return Ok(self.failed(query, &ForwardError::Loop.into(), out));
        }
        let cached = self.cached(asking, came);
        // Nearly always it is all there is to tell.
        if let Some(answered) = cached.as_ref().filter(|it| self.is_whole(it, query.rtype)) {
            return Ok(self.answered(query, answered, out));
        }
        self.along(query, Chain::new(asking.to_question()), cached, came, out)
    }

    /// Writes the CNAMEs of a name of ours from `first` on and what they lead to, if that is ours
    /// or the cache has it; or tells how far it has come.
    pub(super) fn by_cname(
        &self,
        query: &Query<'_>,
        first: &'t CnameClaim,
        came: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Box<Chain>> {
        let Some(lead) = self.lead_abroad(query, first) else {
            return Ok(Outcome::ours(self.at_home(query, first, out)));
        };
        let chain = match Chain::begun(query.asking().to_question(), &lead) {
            Ok(chain) => chain,
            Err(failure) => return Ok(self.failed(query, &failure, out)),
        };
        let forwarder = &self.settings.forwarder;
        if forwarder.has_returned(chain.wanted().name.as_wire(), came) {
            return Ok(self.failed(query, &ForwardError::Loop.into(), out));
        }
        let cached = self.cached(chain.wanted().into(), came);
        self.along(query, chain, cached, came, out)
    }

    /// The CNAMEs of ours from `first` on, if their end has to be asked for. Who asks for a CNAME,
    /// or for any one record (RFC 8482 section 4.2), or us not to ask others, gets what we have.
    pub(super) fn lead_abroad(&self, query: &Query<'_>, first: &'t CnameClaim) -> Option<Lead<'t>> {
        let follows = !matches!(query.rtype, RecordType::CNAME | RecordType::ANY);
        if !follows || !query.recursion_desired || self.ends_at_home(first, query.rtype) {
            return None;
        }
        let cnames = self.cnames(first, query.rtype).collect();
        Some(Lead { cnames, is_ours: false })
    }

    /// What a name that an alias leads to comes to, if it is ours.
    pub(super) fn landing(&self, name: &Name, rtype: RecordType) -> Option<Landing<'t>> {
        match self.decide_behind(name, rtype).decision {
            Decision::Answer(..) | Decision::NoData(_) => Some(Landing::Records),
            Decision::Cname(first) => Some(Landing::Cnames(Lead {
                cnames: self.cnames(first, rtype).collect(),
                is_ours: self.ends_at_home(first, rtype),
            })),
            Decision::Forward | Decision::Server(_) | Decision::Refuse(_) => None,
        }
    }

    /// Our CNAMEs from `first` on, as far as they lead to each other. Policy sees to it that there
    /// are no more of them than this takes.
    fn cnames(
        &self,
        first: &'t CnameClaim,
        rtype: RecordType,
    ) -> impl Iterator<Item = &'t CnameClaim> {
        let next =
            move |cname: &&'t CnameClaim| match self.decide_behind(&cname.target, rtype).decision {
                Decision::Cname(next) => Some(next),
                Decision::Answer(..)
                | Decision::NoData(_)
                | Decision::Forward
                | Decision::Server(_)
                | Decision::Refuse(_) => None,
            };
        iter::successors(Some(first), next).take(CNAMES_MAX)
    }

    /// Whether our CNAMEs from `first` on lead to a name of ours that has records or lacks them.
    fn ends_at_home(&self, first: &'t CnameClaim, rtype: RecordType) -> bool {
        self.cnames(first, rtype).last().is_some_and(|last| {
            let decided = self.decide_behind(&last.target, rtype);
            matches!(decided.decision, Decision::Answer(..) | Decision::NoData(_))
        })
    }

    /// Writes what we have ourselves of a name that stands for others.
    fn at_home(&self, query: &Query<'_>, first: &'t CnameClaim, out: &mut Vec<u8>) -> Rcode {
        let mut reply = self.start(query, out);
        if matches!(query.rtype, RecordType::CNAME | RecordType::ANY) {
            write_cname(&mut reply, first, QUESTION_POINTER);
        } else {
            let mut owner = QUESTION_POINTER;
            let mut end = first;
            for cname in self.cnames(first, query.rtype) {
                owner = write_cname(&mut reply, cname, owner);
                end = cname;
            }
            let decided = self.decide_behind(&end.target, query.rtype);
            match decided.decision {
                Decision::Answer(entry, told) => {
                    write_told(&mut reply, entry, told, owner, decided.az, self.rotation);
                }
                Decision::NoData(entry) => write_absence(&mut reply, entry, owner),
                Decision::Cname(_)
                | Decision::Forward
                | Decision::Server(_)
                | Decision::Refuse(_) => (),
            }
        }
        self.end(reply, Rcode::NOERROR, false, &[]);
        Rcode::NOERROR
    }

    /// Whether this is all that is to be told: it leaves no alias open, and none leads to CNAMEs of
    /// ours.
    fn is_whole(&self, answered: &Answered, rtype: RecordType) -> bool {
        let relay = &answered.relay;
        let meets_ours =
            |name: &Name| matches!(self.decide_behind(name, rtype).decision, Decision::Cname(_));
        // Most hubs have no CNAMEs, and most answers aliases: nothing is looked up twice for them.
        let meets = || relay.hops().iter().any(|hop| meets_ours(&hop.target));
        relay.open_end().is_none() && !(self.table.has_cnames() && meets())
    }

    /// What the cache has of what upstreams of the client's view have said.
    fn cached(&self, asking: Asking<'_>, came: Instant) -> Option<Answered> {
        let forwarder = &self.settings.forwarder;
        if !forwarder.has_realms() {
            return forwarder.cached(asking, came);
        }
        let (_, view) = self.table.view_for(self.vantage.client, self.vantage.listener);
        let realm = forwarder.realm(view.name(), asking.name_wire);
        forwarder.cached(Sought { realm, asking }, came)
    }

    /// Follows a chain through the cache, as far as it has answers.
    fn along(
        &self,
        query: &Query<'_>,
        mut chain: Chain,
        mut cached: Option<Answered>,
        came: Instant,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Box<Chain>> {
        while let Some(answered) = cached {
            let ended = chain.take(Ok(answered), |name| self.landing(name, query.rtype));
            let failure: Option<Failure> = match ended {
                Ok(Progress::Open) => {
                    cached = self.cached(chain.wanted().into(), came);
                    continue;
                }
                Ok(Progress::Ended) => None,
                Err(failure) => Some(failure),
            };
            return Ok(match failure.map_or_else(|| chain.answer(), Err) {
                Ok(answered) => self.answered(query, answered, out),
                Err(failure) => self.failed(query, &failure, out),
            });
        }
        Err(Box::new(chain))
    }
}
