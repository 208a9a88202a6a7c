//! The outcome of policy: claims, and what was declined with its reason.

use std::{net::IpAddr, sync::Arc};

use super::{AliasSet, ClientZone, DeclinedList, allow::EXECUTE_API, config::short_name};
use crate::base::{
    Az, EndpointId, EniId, Name, Pattern, RecordType, ServiceName, SourceName, Ttl, ViewName,
};

/// What we say and decline to say, view by view. The last view is everybody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which views match; never empty.
    pub views: Vec<ViewPlan>,
    /// Which zones clients are in, sorted by network.
    pub zones: Vec<ClientZone>,
}

/// One view's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewPlan {
    /// The view.
    pub name: ViewName,
    /// One a pattern, sorted by it.
    pub claims: Vec<Claim>,
    /// Likewise, and none that `claims` has.
    pub cnames: Vec<CnameClaim>,
    /// Sorted by endpoint, then by name.
    pub declined: DeclinedList,
}

/// A name that is ours in a view, and the addresses it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub pattern: Pattern,
    /// Where the name comes from.
    pub origin: Origin,
    /// The source that found the endpoint.
    pub source: SourceName,
    /// The endpoint that answers.
    pub endpoint: EndpointId,
    /// Its service.
    pub service: ServiceName,
    /// How long an answer may be kept.
    pub ttl: Ttl,
    /// How long an absence may be kept.
    pub negative_ttl: Ttl,
    /// A and AAAA by family, each sorted by zone, then by address. Not empty. Names of one endpoint
    /// have them in common.
    pub addresses: Arc<[Address]>,
    /// What an operator should know of this name.
    pub caveats: Vec<Caveat>,
}

/// A name that is ours in a view and stands for another: whatever that one has, it has too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CnameClaim {
    /// What is claimed.
    pub pattern: Pattern,
    /// What it stands for; ours, or an upstream's. Following it ends within [`super::CNAMES_MAX`].
    pub target: Name,
    /// How long it may be kept that it does.
    pub ttl: Ttl,
    /// Whose association gave it the name; none for an alias of the operator's.
    pub lender: Option<CnameLender>,
}

/// The endpoint by which a name stands for another: several things are behind it, and the name that it
/// stands for leads to the one that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CnameLender {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its service.
    pub service: ServiceName,
    /// The source that found it.
    pub source: SourceName,
}

/// One address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// Its availability zone.
    pub az: Az,
    /// The address.
    pub ip: IpAddr,
    /// The interface that has it.
    pub eni: EniId,
}

/// Where a claimed name comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `PrivateDnsNames` of the service, verbatim.
    Published,
    /// The apex of an S3 wildcard, which clients call and AWS does not publish.
    S3Apex,
    /// The endpoint's regional `DnsEntries` name.
    Regional,
    /// The endpoint's `DnsEntries` name of one zone: that zone's interface alone.
    Zonal(Az),
    /// A private name in `DnsEntries` that the service does not publish.
    DnsEntry,
    /// The `DnsEntry` of what a Resource endpoint leads to: its own name.
    Association,
    /// The `PrivateDnsEntry` of the same: the name that the resource's owner chose.
    AssociationPrivate,
    /// `[[answers.alias]]`.
    Alias,
    /// A resource that `answers.allow` names.
    Allowed,
    /// A ready-made set of `answers.alias_sets`.
    AliasSet(AliasSet),
}

/// Something true of a claimed name that may surprise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caveat {
    /// One wildcard covers resources that other teams may expose elsewhere.
    SharedWildcard,
    /// GuardDuty makes and pays for such an endpoint in each VPC: nothing is gained here.
    MadePerVpc,
    /// Addresses that it has and are not given out, because they do not answer probes. Not empty.
    LeftOut(Arc<[Address]>),
    /// No address of the type's family answers probes: all are given out.
    FailingOpen(RecordType),
    /// None of the endpoint's addresses has ever answered a probe: it may listen on other ports than
    /// the one that is probed. All are given out, and that is no outage.
    Unheard,
    /// Addresses that it has and are not given out, because their zone is drained. Not empty.
    Drained(Arc<[Address]>),
    /// The type's addresses are given out though their zone is drained: there are no others, or
    /// none that answers probes.
    DrainOverruled(RecordType),
}

/// A name, or a whole endpoint, that we do not answer for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declined {
    /// The endpoint; `None` for an alias that names none we know.
    pub endpoint: Option<EndpointId>,
    /// Its service; `None` likewise.
    pub service: Option<ServiceName>,
    /// The source that found it; `None` likewise.
    pub source: Option<SourceName>,
    /// The name as it was published; `None` when the endpoint has none to give.
    pub name: Option<Arc<str>>,
    /// Why not.
    pub why: Reason,
}

/// Why a name is not answered. `word` is the label in metrics, log and `explain`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Another source tells of the same endpoint and answers for it.
    OtherSource(SourceName),
    /// The endpoint is not in a state that carries traffic.
    State(Arc<str>),
    /// This kind of endpoint has no addresses that a name could lead to.
    Kind(Arc<str>),
    /// The service is on the deny list.
    Denied(Arc<str>),
    /// The view's own `deny` has the service.
    DeniedByView(Arc<str>),
    /// The view takes only endpoints with other tags.
    ViewTags,
    /// Only endpoints of other VPCs.
    ViewVpc,
    /// Only endpoints of other accounts.
    ViewAccount,
    /// Only other endpoints.
    ViewEndpoint,
    /// AWS asks that the service's names are left alone, and nobody has said otherwise.
    NeedsOverride,
    /// The endpoint answers only on-premises clients, by its owner's wish.
    OnpremOnly,
    /// The service's owner has not proved that the name is its own.
    Unverified(Arc<str>),
    /// Not a DNS name at all.
    NotAName(Arc<str>),
    /// The service publishes no name, or was not found.
    NothingPublished,
    /// None of its interfaces has an address of the wanted family.
    NoAddress,
    /// Another endpoint has the name.
    Conflict {
        /// Who has it.
        winner: EndpointId,
        /// And by which rule.
        by: Precedence,
    },
    /// The endpoint's associations could not be asked for, or it has none.
    NothingAssociated,
    /// What the endpoint leads to cannot be reached now.
    Inaccessible(Arc<str>),
    /// Another chose the name, and private DNS is off on the endpoint: its owner did not agree.
    NotAgreed,
    /// The endpoint leads to several things, and EC2 does not tell which of its addresses is this
    /// one's. The public name that leads to them, if there is one.
    AddressUntold(Option<Arc<str>>),
    /// An alias whose service or endpoint is not there.
    AliasTargetMissing(Arc<str>),
    /// The operator has made it stand for that name.
    Aliased(Name),
    /// Following its CNAMEs, of which this is the first one's target, would not end.
    CnameEndless(Name),
}

/// The rule that decided between two endpoints with one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// The operator named it.
    Alias,
    /// AWS or the operator gave it the name; the other's was chosen by the owner of a resource.
    Given,
    /// Its source stands first in the configuration.
    Source,
    /// It is the older one.
    Age,
    /// Equal in age; the lower id.
    Id,
}

// === impl Claim ===

impl Claim {
    /// Whether its addresses can be probed. What VPC Lattice leads to has ports of its own choice,
    /// which EC2 does not tell: silence on another one says nothing.
    pub fn can_be_probed(&self) -> bool {
        !is_lattice(&self.service)
    }
}

/// Whether an endpoint's service is an ARN, as that of a Resource or ServiceNetwork endpoint is.
fn is_lattice(service: &ServiceName) -> bool {
    service.as_str().starts_with("arn:")
}

// === impl Declined ===

impl Declined {
    /// Whether this is about `name`: that name itself or a wildcard over it.
    pub fn concerns(&self, name: &Name) -> bool {
        let pattern = self.name.as_deref().and_then(|text| Pattern::parse(text).ok());
        pattern.is_some_and(|pattern| pattern.covers(name))
    }

    /// What would have come of it, for who asks why `name` is not answered: told where an endpoint
    /// would have taken what others serve.
    pub fn otherwise(&self, name: &Name) -> Option<String> {
        let (endpoint, service) = self.endpoint.as_ref().zip(self.service.as_ref())?;
        let short = short_name(service.as_str());
        let Ok(Pattern::Below(parent)) = Pattern::parse(self.name.as_deref()?) else { return None };
        if !self.why.is_denied() || short != EXECUTE_API {
            return None;
        }
        // Its label, without the endpoint that may stand behind it.
        let depth = parent.labels().count();
        let label = String::from_utf8_lossy(name.labels().rev().nth(depth)?).into_owned();
        let id = label.split("-vpce-").next().unwrap_or(&label);
        Some(format!(
            "were that answered, {endpoint} would take every name below {parent} from these \
             clients, and it serves private APIs alone: calls of public ones, whoever's they are, \
             would get 403; allow = [\"{short}:{id}\"] answers this API alone"
        ))
    }
}
