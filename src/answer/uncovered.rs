//! Says of each name of AWS that leaked what an endpoint could do about it.
//!
//! A look at the table in force: it decides nothing, and the counts are `coverage`'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    base::{EndpointId, Name, Pattern, ServiceName, ViewName},
    coverage::{Host, Leak},
    policy::{Declined, Reason, ServiceRule},
    table::{AnswerTable, ViewTable},
};

/// A leak and how it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncovered {
    /// What was counted.
    pub leak: Leak,
    /// The endpoint service that has the name, or most likely has: `com.amazonaws.eu-west-1.sqs`.
    pub endpoint_service: Option<String>,
    /// How it stands.
    pub standing: Standing,
}

/// What there is to a name that leaked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is answered in every view by now.
    Answered,
    /// An endpoint is there and does not speak, in some views or in all.
    Declined(Vec<Objection>),
    /// These endpoints of the service answer its other names, and not this one.
    Unpublished(Vec<EndpointId>),
    /// No source has an endpoint of the service.
    Missing,
    /// No endpoint service is known to have it.
    NoService,
    /// A name of AWS that no SDK calls.
    Other,
}

/// Why an endpoint does not answer the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The endpoint; none for an alias without a target.
    pub endpoint: Option<EndpointId>,
    /// Why not.
    pub why: Reason,
    /// In which views, in the order in which they match.
    pub views: Vec<ViewName>,
}

/// The objections found so far, and the views of each.
type Objections = BTreeMap<(Option<EndpointId>, Reason), Vec<ViewName>>;

/// What is found of one leak while views are looked through.
struct Case {
    host: &'static Host,
    region: Option<&'static str>,
    pattern: Pattern,
    /// Views that answer it.
    answered: usize,
    /// Whether the one that is looked at does.
    answered_here: bool,
    /// To the name, and to another name of the same service.
    declined: Objections,
    aside: Objections,
    speaks: BTreeSet<EndpointId>,
}

/// All leaks of names that SDKs call.
struct Cases<'t> {
    list: Vec<Case>,
    /// By what covers their names.
    by_pattern: HashMap<Pattern, Vec<usize>>,
    /// By service, filled as services come.
    by_service: HashMap<&'t ServiceName, Vec<usize>>,
}

/// How each leak stands with `table`, in their order. Takes as long as looking at all that the table
/// answers and declines.
pub fn uncovered(leaks: Vec<Leak>, table: &AnswerTable) -> Vec<Uncovered> {
    let mut cases = Cases::new(&leaks);
    if !cases.list.is_empty() {
        table.views().for_each(|view| cases.look_through(view));
    }
    let views = table.views().count();
    let mut list = cases.list.into_iter();
    let judged = leaks.into_iter().map(|leak| {
        let case = leak.host.and_then(|_| list.next());
        Uncovered {
            endpoint_service: leak.host.and_then(|host| host.endpoint_service(leak.region)),
            standing: case.map_or(Standing::Other, |case| case.standing(views)),
            leak,
        }
    });
    judged.collect()
}

// === impl Standing ===

impl Standing {
    /// One word, the same in every listing.
    pub fn word(&self) -> &'static str {
        match self {
            Standing::Answered => "answered",
            Standing::Declined(_) => "declined",
            Standing::Unpublished(_) => "unpublished",
            Standing::Missing => "missing",
            Standing::NoService => "no_service",
            Standing::Other => "other",
        }
    }
}

// === impl Cases ===

impl<'t> Cases<'t> {
    fn new(leaks: &[Leak]) -> Self {
        let list: Vec<Case> = leaks.iter().filter_map(Case::new).collect();
        let mut by_pattern: HashMap<Pattern, Vec<usize>> = HashMap::new();
        for (at, case) in list.iter().enumerate() {
            let mut above = case.pattern.name().parent();
            by_pattern.entry(case.pattern.clone()).or_default().push(at);
            while let Some(name) = above.filter(|name| !name.is_root()) {
                above = name.parent();
                by_pattern.entry(Pattern::Below(name)).or_default().push(at);
            }
        }
        Self { list, by_pattern, by_service: HashMap::new() }
    }

    fn look_through(&mut self, view: &'t ViewTable) {
        for case in &mut self.list {
            case.answered_here = is_answered(&case.pattern, view);
            case.answered += usize::from(case.answered_here);
        }
        for entry in view.entries() {
            let claim = entry.claim();
            for at in self.of_service(&claim.service) {
                if let Some(case) = self.list.get_mut(at) {
                    case.speaks.insert(claim.endpoint.clone());
                }
            }
        }
        for declined in view.declined().iter() {
            let pattern = declined.name.as_deref().and_then(|text| Pattern::parse(text).ok());
            let named = pattern.and_then(|pattern| self.by_pattern.get(&pattern)).cloned();
            let is_named = named.is_some();
            let service = || declined.service.as_ref().map(|it| self.of_service(it));
            for at in named.or_else(service).unwrap_or_default() {
                if let Some(case) = self.list.get_mut(at) {
                    case.object(declined, view.name(), is_named);
                }
            }
        }
    }

    /// The cases that endpoints of a service may be for.
    fn of_service(&mut self, service: &'t ServiceName) -> Vec<usize> {
        let list = &self.list;
        let known = self.by_service.entry(service).or_insert_with(|| {
            let places = list.iter().enumerate().filter(|(_, case)| case.is_of(service));
            places.map(|(at, _)| at).collect()
        });
        known.clone()
    }
}

// === impl Case ===

impl Case {
    /// None for what no SDK calls.
    fn new(leak: &Leak) -> Option<Self> {
        Some(Self {
            host: leak.host?,
            region: leak.region,
            pattern: leak.name.as_deref().and_then(|name| Pattern::parse(name).ok())?,
            answered: 0,
            answered_here: false,
            declined: Objections::new(),
            aside: Objections::new(),
            speaks: BTreeSet::new(),
        })
    }

    fn is_of(&self, service: &ServiceName) -> bool {
        let in_region = |region| service.as_str().split('.').any(|label| label == region);
        self.host.has_endpoint_service()
            && ServiceRule::new(self.host.service()).means(service)
            && self.region.is_none_or(in_region)
    }

    fn object(&mut self, declined: &Declined, view: &ViewName, is_named: bool) {
        if self.answered_here {
            return;
        }
        let objections = if is_named { &mut self.declined } else { &mut self.aside };
        let key = (declined.endpoint.clone(), declined.why.clone());
        let views = objections.entry(key).or_default();
        if views.last() != Some(view) {
            views.push(view.clone());
        }
    }

    fn standing(self, views: usize) -> Standing {
        if self.answered == views {
            return Standing::Answered;
        }
        if !self.declined.is_empty() {
            return Standing::Declined(listed(self.declined));
        }
        // Who answers other names has no objection to this one.
        if !self.speaks.is_empty() {
            return Standing::Unpublished(self.speaks.into_iter().collect());
        }
        if !self.aside.is_empty() {
            return Standing::Declined(listed(self.aside));
        }
        match self.host.has_endpoint_service() {
            true => Standing::Missing,
            false => Standing::NoService,
        }
    }
}

fn listed(objections: Objections) -> Vec<Objection> {
    let all = objections.into_iter();
    all.map(|((endpoint, why), views)| Objection { endpoint, why, views }).collect()
}

fn is_answered(pattern: &Pattern, view: &ViewTable) -> bool {
    match pattern {
        Pattern::Exact(name) => view.find(name.as_wire()).is_some(),
        // A label that is one of the names below.
        Pattern::Below(name) => {
            let below = Name::parse(&format!("*.{name}"));
            below.is_ok_and(|below| view.find(below.as_wire()).is_some())
        }
    }
}
