//! Which endpoints may speak in a view, and with which addresses.
//!
//! Knows states and kinds, and asks the terms of the view; knows no name beyond asking which kind it is of.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use crate::{
    base::{EndpointId, EniId, Pattern, SourceName},
    inventory::{
        Endpoint, EndpointState, Interface, Inventory, RecordIpType, Service, SourceFacts,
        Verification,
    },
};

use super::{
    Address, CnameLender, Declined, Origin, Reason, ServiceRule,
    config::short_name,
    names::{Offer, offers},
    terms::Terms,
};

/// Ends of the dual-stack names in AWS's eight partitions, as its SDKs have them. They matter only
/// for endpoints whose record type is `service-defined`; another end gets A alone, which every
/// client of a dual-stack name can use.
const DUALSTACK_SUFFIXES: [&str; 9] = [
    // aws and aws-us-gov
    "api.aws",
    "on.aws",
    "api.amazonwebservices.com.cn",
    "on.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "api.aws.ic.gov",
    "api.aws.scloud",
    "api.cloud-aws.adc-e.uk",
    "api.aws.hci.ic.gov",
];

/// An endpoint with all that its source knows of it.
pub(super) struct Speaker<'i> {
    facts: &'i SourceFacts,
    /// The source's place in the configuration.
    pub(super) rank: usize,
    pub(super) endpoint: &'i Endpoint,
    pub(super) service: Option<&'i Service>,
    /// The service's name in lower case, and what follows the region in it.
    lower: String,
    pub(super) short: String,
    /// Its names.
    pub(super) offers: Vec<Offer>,
    /// What is declined of it as a whole, by the reason's word.
    whole: RefCell<BTreeMap<&'static str, Arc<[Declined]>>>,
    /// Both families, sorted by zone, then by address.
    pub(super) addresses: Arc<[Address]>,
    /// The source that answers for the endpoint, where another one has found the same.
    told_by: Option<&'i SourceName>,
}

/// Every endpoint of every source, in the sources' order and then by id. Where several sources tell
/// of one endpoint, the first that sees its interfaces answers for it: an account may be shown an
/// endpoint whose interfaces are another's.
pub(super) fn speakers(inventory: &Inventory) -> Vec<Speaker<'_>> {
    let mut tellers: HashMap<&EndpointId, (bool, &SourceName)> = HashMap::new();
    let mut speakers: Vec<Speaker<'_>> = Vec::new();
    for (rank, facts) in inventory.sources.iter().enumerate() {
        let interfaces: HashMap<&EniId, &Interface> =
            facts.interfaces.iter().map(|eni| (&eni.id, eni)).collect();
        let services: HashMap<_, _> = facts.services.iter().map(|s| (&s.name, s)).collect();
        let mut endpoints: Vec<&Endpoint> = facts.endpoints.iter().collect();
        endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        for endpoint in endpoints {
            let lower = endpoint.service.as_str().to_ascii_lowercase();
            let mut speaker = Speaker {
                facts,
                rank,
                endpoint,
                service: services.get(&endpoint.service).copied(),
                short: short_name(&lower).to_owned(),
                lower,
                offers: Vec::new(),
                whole: RefCell::default(),
                addresses: addresses(endpoint, &interfaces).into(),
                told_by: None,
            };
            let this = (!speaker.addresses.is_empty(), &facts.source);
            let teller = tellers.entry(&endpoint.id).or_insert(this);
            if this.0 && !teller.0 {
                *teller = this;
            }
            speaker.offers = offers(&speaker);
            speakers.push(speaker);
        }
    }
    for speaker in &mut speakers {
        let teller = tellers.get(&speaker.endpoint.id).map(|(_, source)| *source);
        speaker.told_by = teller.filter(|source| *source != speaker.source());
    }
    speakers
}

/// The speakers' places in the order in which what is declined of them is told.
pub(super) fn order_of(speakers: &[Speaker<'_>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..speakers.len()).collect();
    let key = |at: &usize| {
        let speaker = speakers.get(*at)?;
        Some((&speaker.endpoint.id, &speaker.endpoint.service, speaker.source()))
    };
    order.sort_by(|a, b| key(a).cmp(&key(b)));
    order
}

fn addresses(endpoint: &Endpoint, interfaces: &HashMap<&EniId, &Interface>) -> Vec<Address> {
    let mut found = Vec::new();
    for eni in endpoint.interfaces.iter().filter_map(|id| interfaces.get(id)) {
        let v4 = eni.ipv4.iter().copied().map(IpAddr::V4);
        let v6 = eni.ipv6.iter().copied().map(IpAddr::V6);
        found.extend(v4.chain(v6).map(|ip| Address {
            az: eni.az.clone(),
            ip,
            eni: eni.id.clone(),
        }));
    }
    found.sort();
    // An address stands once in an answer (RFC 2181 section 5), whatever the facts repeat.
    found.dedup_by(|b, a| a.ip == b.ip);
    found
}

/// Why an endpoint that may speak does not lend its addresses to a name of this origin. Its own
/// `vpce-` names and the operator's aliases are explicit: whoever uses them means this endpoint.
pub(super) fn private_name_refusal(
    speaker: &Speaker<'_>,
    origin: &Origin,
    terms: &Terms<'_>,
) -> Option<Reason> {
    let proved = match origin {
        Origin::Regional
        | Origin::Zonal(_)
        | Origin::Association
        | Origin::Alias
        | Origin::Allowed
        | Origin::AliasSet(_) => return None,
        // AWS puts a private name into DnsEntries only after it has checked the owner's proof.
        Origin::DnsEntry | Origin::AssociationPrivate => true,
        Origin::Published | Origin::S3Apex => false,
    };
    if let Some(why) = terms.denies(speaker) {
        return Some(why);
    }
    if let Some(service) = speaker.service
        && !proved
        && !is_verified(service)
    {
        return Some(Reason::Unverified(Arc::from(service.verification.as_str())));
    }
    (speaker.endpoint.onprem_only && !terms.is_onprem()).then_some(Reason::OnpremOnly)
}

/// AWS's own services need no proof, and some carry no state at all.
fn is_verified(service: &Service) -> bool {
    let by_aws = service.owner.as_deref().is_some_and(|owner| owner.eq_ignore_ascii_case("amazon"));
    by_aws || service.verification == Verification::Verified
}

// === impl Speaker ===

impl<'i> Speaker<'i> {
    /// Why nothing at all of this endpoint is answered in a view; `None` when it may speak.
    pub(super) fn refusal(&self, terms: &Terms<'_>) -> Option<Reason> {
        let endpoint = self.endpoint;
        if let Some(source) = self.told_by {
            return Some(Reason::OtherSource(source.clone()));
        }
        if !endpoint.kind.has_names() {
            return Some(Reason::Kind(Arc::from(endpoint.kind.as_str())));
        }
        match &endpoint.state {
            EndpointState::Available => (),
            // Some of its parts carry traffic; those that do have an address.
            EndpointState::Partial if !self.addresses.is_empty() => (),
            state @ (EndpointState::Partial
            | EndpointState::PendingAcceptance
            | EndpointState::Pending
            | EndpointState::Deleting
            | EndpointState::Deleted
            | EndpointState::Rejected
            | EndpointState::Failed
            | EndpointState::Expired
            | EndpointState::Other(_)) => return Some(Reason::State(Arc::from(state.as_str()))),
        }
        terms.passes_over(endpoint)
    }

    /// All of its names declined for one reason, in common with every view that has that reason.
    pub(super) fn declined_whole(&self, why: Reason) -> Arc<[Declined]> {
        let mut whole = self.whole.borrow_mut();
        let list = whole.entry(why.word()).or_insert_with(|| {
            let mut names: Vec<_> = self.offers.iter().map(|it| Some(it.text.clone())).collect();
            if names.is_empty() {
                names.push(None);
            }
            names.sort();
            names.into_iter().map(|name| self.declined(name, why.clone())).collect()
        });
        Arc::clone(list)
    }

    /// Whether a rule means its service.
    pub(super) fn is_of(&self, rule: &ServiceRule) -> bool {
        rule.as_str() == self.lower || rule.as_str() == self.short
    }

    /// One of its names declined; without a name, all that it could have had.
    pub(super) fn declined(&self, name: Option<Arc<str>>, why: Reason) -> Declined {
        Declined {
            endpoint: Some(self.endpoint.id.clone()),
            service: Some(self.endpoint.service.clone()),
            source: Some(self.source().clone()),
            name,
            why,
        }
    }

    /// What a CNAME to a name of the endpoint's comes of.
    pub(super) fn lender(&self) -> CnameLender {
        let (endpoint, service) = (self.endpoint.id.clone(), self.endpoint.service.clone());
        CnameLender { endpoint, service, source: self.source().clone() }
    }

    pub(super) fn source(&self) -> &'i SourceName {
        &self.facts.source
    }

    /// Why it has no private name at all: its service is unknown or publishes none, or nothing is
    /// associated with it.
    pub(super) fn nothing_told(&self) -> Option<Reason> {
        let Endpoint { kind, associations, .. } = self.endpoint;
        match kind.has_associations() {
            true => {
                associations.as_ref().is_none_or(Vec::is_empty).then_some(Reason::NothingAssociated)
            }
            false => self
                .service
                .is_none_or(|service| service.private_names.is_empty())
                .then_some(Reason::NothingPublished),
        }
    }

    /// The addresses for a name: of the wanted families, and of one zone for a zonal name.
    pub(super) fn addresses_for(&self, pattern: &Pattern, origin: &Origin) -> Arc<[Address]> {
        let (v4, v6) = self.families(pattern);
        let wanted = |address: &&Address| {
            let family = match address.ip {
                IpAddr::V4(_) => v4,
                IpAddr::V6(_) => v6,
            };
            let zone = match origin {
                Origin::Zonal(az) => address.az.name == az.name,
                Origin::Published
                | Origin::S3Apex
                | Origin::Regional
                | Origin::DnsEntry
                | Origin::Association
                | Origin::AssociationPrivate
                | Origin::Alias
                | Origin::Allowed
                | Origin::AliasSet(_) => true,
            };
            family && zone
        };
        match self.addresses.iter().all(|address| wanted(&address)) {
            true => Arc::clone(&self.addresses),
            false => self.addresses.iter().filter(wanted).cloned().collect(),
        }
    }

    /// Whether a name has A and whether it has AAAA.
    ///
    /// `service-defined` depends on the name: the dual-stack names of a service have both, the
    /// others A. An endpoint without any IPv4 address has AAAA on all its names: A alone would
    /// leave it none. A word that AWS adds later is taken as both, as far as addresses exist.
    fn families(&self, pattern: &Pattern) -> (bool, bool) {
        match &self.endpoint.record_ip_type {
            RecordIpType::Ipv4 => (true, false),
            RecordIpType::Ipv6 => (false, true),
            RecordIpType::Dualstack | RecordIpType::Other(_) => (true, true),
            RecordIpType::ServiceDefined => {
                let no_ipv4 = !self.addresses.iter().any(|address| address.ip.is_ipv4());
                (true, no_ipv4 || is_dualstack(pattern))
            }
        }
    }
}

pub(super) fn is_dualstack(pattern: &Pattern) -> bool {
    let name = pattern.name();
    let below = |suffix: &&str| {
        let labels = suffix.split('.').rev().map(str::as_bytes);
        name.labels().rev().take(labels.clone().count()).eq(labels)
    };
    DUALSTACK_SUFFIXES.iter().any(below) || name.labels().any(|label| label == b"dualstack")
}
