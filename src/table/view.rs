//! One view's names, looked up by the bytes of a question.

#![deny(clippy::indexing_slicing)]

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use foldhash::quality::FixedState;

use crate::{
    base::{NAME_LEN_MAX, Name, Pattern, RecordType, ServiceName, Ttl, ViewName},
    policy::{Address, Claim, CnameClaim, DeclinedList, ViewConfig, ViewPlan},
};

use super::records::{RecordSet, soa};

/// Keys are AWS's and the operator's, never a client's, so nobody can choose them to collide and
/// a seed that is the same everywhere does no harm.
const HASH_SEED: u64 = 0x6875_6264_6e73;

/// The names of one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewTable {
    name: ViewName,
    /// Who is in it; the last view has no rule.
    rule: Option<ViewConfig>,
    /// Sorted by pattern.
    entries: Vec<Entry>,
    /// Likewise.
    cnames: Vec<CnameClaim>,
    declined: DeclinedList,
    exact: Index,
    below: Index,
    /// By octets: whether any name in `below` is that long. Spares a question of a hundred labels
    /// a hundred hashes, and most names that are not ours all but one.
    below_lens: [bool; NAME_LEN_MAX + 1],
}

/// Names and their places in `entries`; those of `cnames` are counted on behind them.
type Index = HashMap<Name, usize, FixedState>;

/// What answers a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'t> {
    /// Addresses of an endpoint.
    Entry(&'t Entry),
    /// Whatever another name has.
    Cname(&'t CnameClaim),
}

/// A name that is ours, with all we send for it. Two pointers: what a question needs is in a few
/// octets that many names share, and stays in the processor's caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    answers: Arc<Answers>,
    claim: Arc<Claim>,
}

/// What is sent for a name, and for every other one with the same addresses and times.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    a: Option<RecordSet>,
    aaaa: Option<RecordSet>,
    soa: Arc<[u8]>,
    /// What answers are counted by: whoever shares addresses is one endpoint, of one service.
    service: ServiceName,
}

/// What has been encoded for a table so far, by the addresses and the two times. A plan's claims
/// share addresses, so where these stand is enough to know them by: what is encoded has its claim
/// in the table, so nothing else comes to stand there.
#[derive(Default)]
pub(super) struct Encoded {
    answers: HashMap<(*const [Address], Ttl, Ttl), Arc<Answers>>,
    soas: HashMap<Ttl, Arc<[u8]>>,
    /// One of each, by which answers are counted: names of a service share its text, whatever
    /// endpoint they lead to, and with the table before.
    services: HashSet<ServiceName>,
    /// What views before have said.
    entries: HashMap<(*const [Address], Pattern), Entry>,
}

// === impl ViewTable ===

impl ViewTable {
    /// The view of a plan, with what is as it was `before` in common with that one.
    pub(super) fn new(
        plan: ViewPlan,
        rule: Option<ViewConfig>,
        encoded: &mut Encoded,
        before: Option<&Arc<ViewTable>>,
    ) -> Arc<Self> {
        let known = before.map_or(&[][..], |view| view.entries());
        let entries = entries(plan.claims, known, encoded);
        if let Some(before) = before
            && before.rule == rule
            && before.declined == plan.declined
            && before.cnames == plan.cnames
            && before.entries.len() == entries.len()
            && before.entries.iter().zip(&entries).all(|(old, new)| old.is_shared_with(new))
        {
            return Arc::clone(before);
        }
        let ViewPlan { name, cnames, declined, .. } = plan;
        let mut view = Self { rule, entries, cnames, declined, ..Self::empty(name) };
        view.index();
        Arc::new(view)
    }

    /// Makes the entries findable.
    fn index(&mut self) {
        let claimed = self.entries.iter().map(|entry| &entry.claim.pattern);
        let patterns = claimed.chain(self.cnames.iter().map(|cname| &cname.pattern));
        let exact = patterns.clone().filter(|it| matches!(it, Pattern::Exact(_))).count();
        self.exact.reserve(exact);
        self.below.reserve(self.entries.len() + self.cnames.len() - exact);
        for (at, pattern) in patterns.enumerate() {
            match pattern {
                Pattern::Exact(name) => self.exact.insert(name.clone(), at),
                Pattern::Below(name) => {
                    if let Some(known) = self.below_lens.get_mut(name.as_wire().len()) {
                        *known = true;
                    }
                    self.below.insert(name.clone(), at)
                }
            };
        }
    }

    pub(super) fn empty(name: ViewName) -> Self {
        Self {
            name,
            rule: None,
            entries: Vec::new(),
            cnames: Vec::new(),
            declined: DeclinedList::default(),
            exact: Index::with_hasher(FixedState::with_seed(HASH_SEED)),
            below: Index::with_hasher(FixedState::with_seed(HASH_SEED)),
            below_lens: [false; NAME_LEN_MAX + 1],
        }
    }

    /// Who answers a name, given in wire form and lower case: the name itself, else the wildcard
    /// with the longest name above it. `None` when it is not ours.
    ///
    /// A wildcard also reaches below an exact name under it: RFC 4592 section 4.5 would stop
    /// there in one zone, but each of our names stands for a zone of its own.
    pub fn find(&self, name_wire: &[u8]) -> Option<Found<'_>> {
        let at = *self.exact.get(name_wire).or_else(|| self.nearest_wildcard(name_wire))?;
        match at.checked_sub(self.entries.len()) {
            None => self.entries.get(at).map(Found::Entry),
            Some(at) => self.cnames.get(at).map(Found::Cname),
        }
    }

    fn nearest_wildcard(&self, name_wire: &[u8]) -> Option<&usize> {
        let mut rest = name_wire;
        while let [len, tail @ ..] = rest
            && *len != 0
        {
            rest = tail.get(usize::from(*len)..)?;
            if self.below_lens.get(rest.len()) == Some(&true)
                && let Some(at) = self.below.get(rest)
            {
                return Some(at);
            }
        }
        None
    }

    /// The view's name.
    pub fn name(&self) -> &ViewName {
        &self.name
    }

    /// Every name that has addresses, sorted by pattern.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every name that stands for another, sorted by pattern.
    pub fn cnames(&self) -> &[CnameClaim] {
        &self.cnames
    }

    /// What is not answered, and why.
    pub fn declined(&self) -> &DeclinedList {
        &self.declined
    }

    /// The number of names answered.
    pub fn len(&self) -> usize {
        self.entries.len() + self.cnames.len()
    }

    /// Whether no name is answered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Who is in this view; `None` for the last one, which takes everybody else.
    pub fn rule(&self) -> Option<&ViewConfig> {
        self.rule.as_ref()
    }
}

/// The entries of claims, each in common with `known` where it is the same. Both are sorted.
fn entries(claims: Vec<Claim>, known: &[Entry], encoded: &mut Encoded) -> Vec<Entry> {
    let mut known = known.iter().peekable();
    let entry = |claim: Claim| {
        while known.next_if(|entry| entry.claim.pattern < claim.pattern).is_some() {}
        match known.next_if(|entry| *entry.claim == claim) {
            Some(entry) => entry.clone(),
            None => encoded.entry(claim),
        }
    };
    claims.into_iter().map(entry).collect()
}

// === impl Found ===

impl<'t> Found<'t> {
    /// The entry, if it is one.
    pub fn entry(self) -> Option<&'t Entry> {
        match self {
            Found::Entry(entry) => Some(entry),
            Found::Cname(_) => None,
        }
    }

    /// What was matched.
    pub fn pattern(self) -> &'t Pattern {
        match self {
            Found::Entry(entry) => &entry.claim.pattern,
            Found::Cname(cname) => &cname.pattern,
        }
    }
}

// === impl Entry ===

impl Entry {
    /// Whether both are one, which is sooner told than whether they are equal.
    pub(super) fn is_shared_with(&self, other: &Entry) -> bool {
        Arc::ptr_eq(&self.claim, &other.claim)
    }

    /// Where the answer comes from.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// The endpoint's service.
    pub fn service(&self) -> &ServiceName {
        &self.answers.service
    }

    /// The records of a type; `None` means that the name has none of it.
    pub fn records(&self, rtype: RecordType) -> Option<&RecordSet> {
        match rtype {
            RecordType::A => self.answers.a.as_ref(),
            RecordType::AAAA => self.answers.aaaa.as_ref(),
            _ => None,
        }
    }

    /// The SOA record, encoded, for the authority section of an empty answer. Its owner is a
    /// pointer to the question's name.
    pub fn soa(&self) -> &[u8] {
        &self.answers.soa
    }
}

// === impl Encoded ===

impl Encoded {
    /// Beside a table with these services.
    pub(super) fn beside(services: &[ServiceName]) -> Self {
        Self { services: services.iter().cloned().collect(), ..Self::default() }
    }

    /// The entry of a claim, in common with the view before that has the same.
    fn entry(&mut self, claim: Claim) -> Entry {
        let key = (Arc::as_ptr(&claim.addresses), claim.pattern.clone());
        if let Some(entry) = self.entries.get(&key).filter(|entry| *entry.claim == claim) {
            return entry.clone();
        }
        let entry = Entry { answers: self.answers(&claim), claim: Arc::new(claim) };
        self.entries.insert(key, entry.clone());
        entry
    }

    fn answers(&mut self, claim: &Claim) -> Arc<Answers> {
        let Claim { ttl, negative_ttl, addresses, .. } = claim;
        let known = self.answers.entry((Arc::as_ptr(addresses), *ttl, *negative_ttl));
        let answers = known.or_insert_with(|| {
            let set = |rtype| RecordSet::new(rtype, *ttl, addresses);
            let soa = self.soas.entry(*negative_ttl).or_insert_with(|| soa(*negative_ttl));
            let (a, aaaa) = (set(RecordType::A), set(RecordType::AAAA));
            let service = self.services.get(&claim.service).unwrap_or(&claim.service).clone();
            self.services.insert(service.clone());
            Arc::new(Answers { a, aaaa, soa: Arc::clone(soa), service })
        });
        Arc::clone(answers)
    }
}
