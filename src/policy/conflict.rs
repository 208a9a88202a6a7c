//! Who has a name that several endpoints could answer.
//!
//! The operator's alias first, then the source that stands first in the configuration, then the
//! oldest endpoint, then the lowest id. The losers are declined with the winner named.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use crate::base::{EndpointId, Pattern};

use super::{
    Address, Claim, CnameClaim, Declined, Origin, Precedence, Reason, alias::Given,
    cname::CnameContender, names::caveats, select::Speaker, terms::Terms,
};

/// An endpoint that has addresses for a name and may answer it.
pub(super) struct Contender<'s> {
    /// The name as it was published.
    text: Arc<str>,
    pattern: Pattern,
    origin: Origin,
    /// The alias's place in the configuration; none for a name that AWS gave.
    alias: Option<usize>,
    speaker: &'s Speaker<'s>,
    /// Not empty.
    addresses: Arc<[Address]>,
}

/// What decides, first difference first; the lower wins. Unknown comes last everywhere.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Standing<'s> {
    alias: (bool, Option<usize>),
    source: usize,
    age: (bool, Option<Timestamp>),
    id: &'s EndpointId,
}

/// Who has what.
pub(super) struct Settled {
    /// Sorted by pattern.
    pub(super) claims: Vec<Claim>,
    /// Likewise.
    pub(super) cnames: Vec<CnameClaim>,
    pub(super) lost: Vec<Declined>,
}

/// Gives each name to one contender and declines the others.
pub(super) fn settle(
    mut contenders: Vec<Contender<'_>>,
    cnames: Vec<CnameContender>,
    terms: &Terms<'_>,
) -> Settled {
    contenders
        .sort_by(|a, b| a.pattern.cmp(&b.pattern).then_with(|| a.standing().cmp(&b.standing())));
    // From the last on, so that of two for one name the first stays.
    let cnames = cnames.into_iter().rev();
    let mut cnames: BTreeMap<_, _> = cnames.map(|it| (it.pattern.clone(), it)).collect();
    let mut claims = Vec::with_capacity(contenders.len());
    let mut lost = Vec::new();
    let mut contenders = contenders.into_iter().peekable();
    while let Some(winner) = contenders.next() {
        let cname = cnames.get(&winner.pattern);
        if let Some(cname) = cname.filter(|it| winner.alias.is_none_or(|rank| it.rank < rank)) {
            while let Some(loser) = contenders.next_if(|it| it.pattern == winner.pattern) {
                lost.push(loser.declined(Reason::Aliased(cname.target.clone())));
            }
            lost.push(winner.declined(Reason::Aliased(cname.target.clone())));
            continue;
        }
        if let Some(cname) = cnames.remove(&winner.pattern) {
            lost.push(cname.lost_to(&winner.speaker.endpoint.id));
        }
        while let Some(loser) = contenders.next_if(|it| it.pattern == winner.pattern) {
            lost.push(loser.lost_to(&winner));
        }
        claims.push(winner.into_claim(terms));
    }
    let cnames = cnames.into_values().map(|it| it.into_claim(terms)).collect();
    Settled { claims, cnames, lost }
}

// === impl Contender ===

impl<'s> Contender<'s> {
    /// Fails where the endpoint has no address for the name.
    pub(super) fn new(
        speaker: &'s Speaker<'s>,
        text: Arc<str>,
        pattern: Pattern,
        origin: Origin,
    ) -> Result<Self, Reason> {
        let addresses = speaker.addresses_for(&pattern, &origin);
        if addresses.is_empty() {
            return Err(Reason::NoAddress);
        }
        Ok(Self { text, pattern, origin, alias: None, speaker, addresses })
    }

    /// The same for a name that the configuration gives at `rank`, with the addresses of one
    /// zone, by name or id, or with all.
    pub(super) fn by_alias(
        speaker: &'s Speaker<'s>,
        given: &Given,
        zone: Option<&str>,
        rank: usize,
    ) -> Result<Self, Reason> {
        let Given { pattern, origin, .. } = given;
        let text = Arc::from(pattern.to_string());
        let mut contender = Self::new(speaker, text, pattern.clone(), origin.clone())?;
        if let Some(zone) = zone {
            let of_zone = contender.addresses.iter().filter(|address| address.az.is_called(zone));
            contender.addresses = of_zone.cloned().collect();
            if contender.addresses.is_empty() {
                return Err(Reason::NoAddress);
            }
        }
        Ok(Self { alias: Some(rank), ..contender })
    }

    /// The name.
    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The endpoint and the name.
    pub(super) fn pair(&self) -> (EndpointId, Pattern) {
        (self.speaker.endpoint.id.clone(), self.pattern.clone())
    }

    fn standing(&self) -> Standing<'s> {
        let endpoint = self.speaker.endpoint;
        Standing {
            alias: (self.alias.is_none(), self.alias),
            source: self.speaker.rank,
            age: (endpoint.created.is_none(), endpoint.created),
            id: &endpoint.id,
        }
    }

    fn lost_to(self, winner: &Contender<'_>) -> Declined {
        let (ours, theirs) = (self.standing(), winner.standing());
        let by = if ours.alias != theirs.alias {
            Precedence::Alias
        } else if ours.source != theirs.source {
            Precedence::Source
        } else if ours.age != theirs.age {
            Precedence::Age
        } else {
            Precedence::Id
        };
        self.declined(Reason::Conflict { winner: winner.speaker.endpoint.id.clone(), by })
    }

    fn declined(self, why: Reason) -> Declined {
        self.speaker.declined(Some(self.text), why)
    }

    fn into_claim(self, terms: &Terms<'_>) -> Claim {
        let endpoint = self.speaker.endpoint;
        Claim {
            caveats: caveats(self.speaker, &self.pattern, &self.origin),
            pattern: self.pattern,
            origin: self.origin,
            source: self.speaker.source().clone(),
            endpoint: endpoint.id.clone(),
            service: endpoint.service.clone(),
            ttl: terms.ttl(),
            negative_ttl: terms.negative_ttl(),
            addresses: self.addresses,
        }
    }
}
