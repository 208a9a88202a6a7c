//! Who has a name that several endpoints could answer.
//!
//! The operator's alias first, then the source that stands first in the configuration, then the
//! oldest endpoint, then the lowest id. A name that the owner of a resource chose comes behind all of
//! them. The losers are declined with the winner named.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, HashSet},
    iter,
    sync::Arc,
};

use jiff::Timestamp;

use crate::base::{EndpointId, Name, Pattern};

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

/// A name that the owner of a resource chose, as the CNAME of a public one, and what becomes of it
/// where it is somebody else's.
pub(super) type StandIn = (CnameContender, Declined);

/// Gives each name to one contender and declines the others.
pub(super) fn settle(
    mut contenders: Vec<Contender<'_>>,
    mut cnames: Vec<CnameContender>,
    stand_ins: Vec<StandIn>,
    terms: &Terms<'_>,
) -> Settled {
    contenders.sort_by(Contender::order);
    let mut lost = Vec::new();
    if !stand_ins.is_empty() || contenders.iter().any(Contender::is_chosen) {
        give_way(&mut contenders, &mut cnames, stand_ins, &mut lost);
    }
    // From the last on, so that of two for one name the first stays.
    let cnames = cnames.into_iter().rev();
    let mut cnames: BTreeMap<_, _> = cnames.map(|it| (it.pattern.clone(), it)).collect();
    let mut claims = Vec::with_capacity(contenders.len());
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

/// Has names that owners of resources chose give way: whoever may make a resource would else have
/// any name of AWS's point to it. They lose to a name, and to a wildcard over it, that AWS has given to
/// an endpoint or the operator to anything. Among themselves, addresses come before a CNAME.
fn give_way(
    contenders: &mut Vec<Contender<'_>>,
    cnames: &mut Vec<CnameContender>,
    stand_ins: Vec<StandIn>,
    lost: &mut Vec<Declined>,
) {
    let (chosen, others): (Vec<_>, Vec<_>) = contenders.drain(..).partition(|it| it.is_chosen());
    let mut ahead: HashMap<Pattern, Reason> = HashMap::with_capacity(others.len());
    for other in &others {
        let winner = other.speaker.endpoint.id.clone();
        let conflict = Reason::Conflict { winner, by: Precedence::Given };
        ahead.entry(other.pattern.clone()).or_insert(conflict);
    }
    for cname in &*cnames {
        ahead.insert(cname.pattern.clone(), Reason::Aliased(cname.target.clone()));
    }
    let taken = |pattern: &Pattern| over(pattern).find_map(|it| ahead.get(&it));
    let mut named = HashSet::new();
    *contenders = others;
    for chosen in chosen {
        match taken(&chosen.pattern) {
            Some(why) => lost.push(chosen.declined(why.clone())),
            None => {
                named.insert(chosen.pattern.clone());
                contenders.push(chosen);
            }
        }
    }
    for (cname, instead) in stand_ins {
        match taken(&cname.pattern).is_some() || !named.insert(cname.pattern.clone()) {
            true => lost.push(instead),
            false => cnames.push(cname),
        }
    }
    contenders.sort_by(Contender::order);
}

/// A pattern, and the wildcards that hold all that it covers.
fn over(pattern: &Pattern) -> impl Iterator<Item = Pattern> {
    let above = iter::successors(pattern.name().parent(), Name::parent).map(Pattern::Below);
    iter::once(pattern.clone()).chain(above)
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

    /// Whether the owner of a resource chose the name.
    fn is_chosen(&self) -> bool {
        self.origin == Origin::AssociationPrivate
    }

    /// The endpoint and the name.
    pub(super) fn pair(&self) -> (EndpointId, Pattern) {
        (self.speaker.endpoint.id.clone(), self.pattern.clone())
    }

    /// By name, and of one name the winner first.
    fn order(&self, other: &Self) -> Ordering {
        self.pattern.cmp(&other.pattern).then_with(|| self.standing().cmp(&other.standing()))
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
