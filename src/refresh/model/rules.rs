//! The rules of the control loop, said as simply as they can be.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{Answers, FEW, Facts, OfEach, OfName, PERCENT, Told, address};
use crate::policy::PolicyConfig;

/// What follows from what happened.
#[derive(Default)]
pub(super) struct Model {
    believed: OfEach<Option<Facts>>,
    held: OfEach<Option<(Facts, u8)>>,
    reported: OfEach<bool>,
    pub(super) redefined: OfEach<bool>,
    on_disk: OfEach<Option<Facts>>,
    pub(super) in_force: bool,
    pub(super) down: BTreeSet<IpAddr>,
    pub(super) drained: BTreeSet<usize>,
}

// === impl Model ===

impl Model {
    /// Each name with the source that answers it.
    fn tellers(believed: &OfEach<Option<Facts>>) -> BTreeMap<u8, usize> {
        let mut tellers = BTreeMap::new();
        for (source, facts) in believed.iter().enumerate() {
            let answered =
                facts.iter().flatten().filter(|(_, it)| it.serves && it.variant.is_some());
            for (name, _) in answered {
                tellers.entry(*name).or_insert(source);
            }
        }
        tellers
    }

    /// Whether too many of the source's names would go, or of a view's.
    fn shrinks(now: &BTreeMap<u8, usize>, then: &BTreeMap<u8, usize>, source: usize) -> bool {
        let exceeds = |lost: usize, of: usize| PERCENT * of < lost * 100;
        let in_views = |name: &u8| if *name < FEW { 1 } else { 2 };
        let own = now.iter().filter(|(_, teller)| **teller == source).map(|(name, _)| name);
        let of: usize = own.clone().map(in_views).sum();
        let lost: usize = own.filter(|name| then.get(name) != Some(&source)).map(in_views).sum();
        let of_view = |first: u8| {
            let names = now.keys().filter(|name| first <= **name);
            let lost = names.clone().filter(|name| !then.contains_key(name)).count();
            exceeds(lost, names.count())
        };
        exceeds(lost, of) || of_view(0) || of_view(FEW)
    }

    /// What a source tells, with what is late as it was, and what somebody changes.
    fn mended(&self, source: usize, told: &Told) -> Facts {
        let mended = |name: &u8| {
            let before = self.believed[source].as_ref().and_then(|facts| facts.get(name));
            let serves = !told.pending || before.is_some_and(|it| it.serves);
            let had = before.filter(|_| serves).and_then(|it| it.variant);
            OfName { serves, variant: if told.late { had } else { Some(told.variant) } }
        };
        told.names.iter().map(|name| (*name, mended(name))).collect()
    }

    pub(super) fn tell(&mut self, source: usize, told: &Told, accepted: bool) {
        self.reported[source] = true;
        let facts = &self.mended(source, told);
        let mut believed = self.believed.clone();
        believed[source] = Some(facts.clone());
        let (now, then) = (Self::tellers(&self.believed), Self::tellers(&believed));
        let known = self.believed[source].as_ref() == Some(facts);
        let vanishes = then.is_empty() && !now.is_empty();
        let seen = match &self.held[source] {
            Some((held, seen)) if held == facts => seen + 1,
            _ => 1,
        };
        let small = self.redefined[source] || !Self::shrinks(&now, &then, source);
        if !self.in_force || known || accepted || (!vanishes && (small || 3 <= seen)) {
            self.believed = believed;
            self.held[source] = None;
            self.redefined[source] = false;
        } else {
            self.held[source] = (!vanishes).then(|| (facts.clone(), seen));
        }
        self.begin();
    }

    pub(super) fn fail(&mut self, source: usize) {
        self.reported[source] = true;
        self.begin();
    }

    pub(super) fn late(&mut self) {
        self.in_force |= !Self::tellers(&self.believed).is_empty();
        self.keep();
    }

    /// The first table waits until every source has told something.
    fn begin(&mut self) {
        let any = self.believed.iter().any(Option::is_some);
        self.in_force |= any && self.reported.iter().all(|it| *it);
        self.keep();
    }

    fn keep(&mut self) {
        let mut sources = self.reported.iter().zip(&self.believed);
        if self.in_force && sources.all(|(reported, facts)| *reported || facts.is_some()) {
            self.on_disk = self.believed.clone();
        }
    }

    pub(super) fn restart(&mut self) {
        self.believed = self.on_disk.clone();
        self.in_force = self.believed.iter().any(Option::is_some);
        self.held = Default::default();
        self.reported = Default::default();
        self.redefined = Default::default();
        self.down.clear();
    }

    pub(super) fn answers(&self) -> Answers {
        let mut answers = Answers::new();
        if !self.in_force {
            return answers;
        }
        for (name, source) in Self::tellers(&self.believed) {
            let variant = self.believed[source].as_ref().unwrap()[&name].variant.unwrap();
            let all = [0, 1].map(|zone| (zone, address(source, name, zone, variant)));
            let up = |(_, ip): &(usize, IpAddr)| !self.down.contains(ip);
            let open = |(zone, _): &(usize, IpAddr)| !self.drained.contains(zone);
            let choices: [Vec<_>; 4] = [
                all.into_iter().filter(|it| up(it) && open(it)).collect(),
                all.into_iter().filter(up).collect(),
                all.into_iter().filter(open).collect(),
                all.to_vec(),
            ];
            let given = choices.into_iter().find(|choice| !choice.is_empty()).unwrap();
            let given: BTreeSet<IpAddr> = given.into_iter().map(|(_, ip)| ip).collect();
            let text = format!("n{name}.example");
            if FEW <= name {
                answers.insert(("few", text.clone()), given.clone());
            }
            answers.insert((PolicyConfig::REST_VIEW, text), given);
        }
        answers
    }
}
