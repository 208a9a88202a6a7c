//! The documents of the JSON API, and of commands with `--format json`.
//!
//! Made from a table or an explanation, so that a command without a daemon prints the very
//! document that the daemon would have sent. Reading one ignores keys it does not know: the
//! daemon may be newer than the command.

mod addresses;
mod changes;
mod check;
mod cnames;
mod config;
mod coverage;
mod discover;
mod doctor;
mod explain;
mod forwarding;
mod lifecycle;
mod pages;
mod plan;
mod top;
mod status;
mod traffic;
mod upstreams;
mod views;
mod zones;

use std::net::{IpAddr, SocketAddr};

pub use changes::{ChangesDocument, PublicationDocument, RefreshDocument, SourceRoundDocument};
pub use check::{AskedOnceDocument, CheckedDocument, ProblemDocument};
pub use cnames::CnameDocument;
pub use config::ConfigDocument;
pub use coverage::{AskedDocument, CoverageDocument, LeakDocument, ObjectionDocument};
pub use discover::{
    DiscoverDocument, FoundAddressDocument, FoundEndpointDocument, FoundSourceDocument,
};
pub use doctor::{CheckDocument, CheckResult, DoctorDocument};
pub use explain::{ExplainDocument, GivenDocument, LiveDocument, StepDocument};
pub use forwarding::{AwsHostsDocument, AwsZoneDocument, BudgetDocument, LoopDocument};
use ipnet::IpNet;
pub use lifecycle::{DrainDocument, ReloadDocument};
pub use pages::{Only, Part, ROWS_MAX};
pub use plan::{
    AnswerChangeDocument, MoveDocument, PlanDocument, SaidDocument, ViewChangesDocument,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
pub use status::{
    RoundDocument, SourceDocument, SourcesDocument, StatusDocument, UnkeptDocument, ViewSummary,
};
pub use top::{RateDocument, TopDocument};
pub use traffic::{TrafficDocument, TrafficSampleDocument};
pub use upstreams::{UpstreamDocument, UpstreamsDocument};
pub use views::{ViewRuleDocument, ViewsDocument};
pub use zones::{DrainedZoneDocument, FlappingDocument, ZoneDocument};

use crate::policy::{Caveat, Claim, Declined};

/// A text that is not the document it should be.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not the document that was asked for")]
pub struct DocumentError(#[source] serde_json::Error);

/// What is answered and what is not: `/api/v1/names`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamesDocument {
    /// How many tables the daemon had put in force; nothing without a daemon.
    pub generation: Option<u64>,
    /// Equal wherever the same is answered.
    pub table_hash: String,
    /// The networks that may ask at all.
    #[schemars(with = "Vec<String>")]
    pub allow: Vec<IpNet>,
    /// In the order in which they match a client; the last is everybody else's.
    pub views: Vec<ViewDocument>,
    /// Names, CNAMEs and what is declined of all these views, on all pages. A daemon before this was
    /// told has none.
    #[serde(default)]
    pub rows: usize,
    /// Rows before the next page; nothing when this is the last.
    #[serde(default)]
    pub next: Option<usize>,
}

/// What a flush took: `/api/v1/flush`, on the control socket alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlushDocument {
    /// The name below which all is forgotten; nothing when all was.
    pub name: Option<String>,
    /// Answers that the cache had of it.
    pub answers: u64,
}

/// One view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewDocument {
    /// Its name.
    pub name: String,
    /// The networks whose clients are in it; none means whoever asks its listeners.
    #[schemars(with = "Vec<String>")]
    pub clients: Vec<IpNet>,
    /// The addresses of ours that its clients ask; none means any.
    pub listeners: Vec<SocketAddr>,
    /// What is answered with addresses, sorted by name.
    pub names: Vec<NameDocument>,
    /// What stands for other names, sorted by name. A daemon before this was told has none.
    #[serde(default)]
    pub cnames: Vec<CnameDocument>,
    /// What is not.
    pub declined: Vec<DeclinedDocument>,
}

/// A name that is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameDocument {
    /// The name, or `*.` and the name below which all are answered.
    pub name: String,
    /// Where it comes from: `published`, `s3_apex`, `regional`, `zonal`, `dns_entry`, `alias`,
    /// `allowed` or `alias_set`.
    pub origin: String,
    /// The types it has: `A`, `AAAA`. All others are answered as absent.
    pub types: Vec<String>,
    /// Its addresses, in the order of zones.
    pub addresses: Vec<AddressDocument>,
    /// Addresses that its endpoint has and that are not given. A daemon before this was told has
    /// none.
    #[serde(default)]
    pub left_out: Vec<AddressDocument>,
    /// Which endpoint has them.
    pub endpoint: String,
    /// That endpoint's service.
    pub service: String,
    /// The source that found it.
    pub source: String,
    /// How long an answer may be kept.
    pub ttl_secs: u32,
    /// How long an absence may be kept.
    pub negative_ttl_secs: u32,
    /// What to know of the name.
    pub caveats: Vec<CaveatDocument>,
}

/// An address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressDocument {
    /// The address.
    pub ip: IpAddr,
    /// Its availability zone.
    pub az: String,
    /// The zone's id, which is the same in all accounts, if it is known.
    pub az_id: Option<String>,
    /// The interface that has it.
    pub eni: String,
    /// In a word: `given`; `unheard`, which is given and has never answered a probe; `down_given` or
    /// `drained_given`, since there is no other; and of one that is not given `down` or `drained`.
    #[serde(default)]
    pub state: String,
}

/// Something to know of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaveatDocument {
    /// In a word.
    pub caveat: String,
    /// In a sentence.
    pub why: String,
    /// The addresses that it is about, if it is about some.
    pub addresses: Vec<IpAddr>,
}

/// A name, or a whole endpoint, that is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeclinedDocument {
    /// The name as it was published; nothing when the endpoint has none to give.
    pub name: Option<String>,
    /// The endpoint; nothing for an alias that leads to none.
    pub endpoint: Option<String>,
    /// Its service.
    pub service: Option<String>,
    /// The source that found it.
    pub source: Option<String>,
    /// Why not, in the word that metrics use.
    pub reason: String,
    /// Why not, in a sentence.
    pub why: String,
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDocument {
    /// In a sentence, with what is allowed.
    pub error: String,
}

/// A document as a person and a script can read it, a line a value.
pub fn to_text<D: Serialize>(document: &D) -> String {
    // Keys are texts and values are ours: nothing in it can fail to be written.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

/// A document from its text.
pub fn from_text<D: DeserializeOwned>(text: &str) -> Result<D, DocumentError> {
    serde_json::from_str(text).map_err(DocumentError)
}

// === impl NameDocument ===

impl From<&Claim> for NameDocument {
    fn from(claim: &Claim) -> Self {
        let has = |v6: bool| claim.addresses.iter().any(|address| address.ip.is_ipv6() == v6);
        let types = [("A", false), ("AAAA", true)].into_iter().filter(|(_, v6)| has(*v6));
        Self {
            name: claim.pattern.to_string(),
            origin: claim.origin.word().to_owned(),
            types: types.map(|(name, _)| name.to_owned()).collect(),
            addresses: addresses::given(claim),
            left_out: addresses::left_out(claim),
            endpoint: claim.endpoint.to_string(),
            service: claim.service.to_string(),
            source: claim.source.to_string(),
            ttl_secs: claim.ttl.as_secs(),
            negative_ttl_secs: claim.negative_ttl.as_secs(),
            caveats: claim.caveats.iter().map(CaveatDocument::from).collect(),
        }
    }
}

impl From<&Caveat> for CaveatDocument {
    fn from(caveat: &Caveat) -> Self {
        let addresses = caveat.addresses().iter().map(|address| address.ip).collect();
        Self { caveat: caveat.word().to_owned(), why: caveat.to_string(), addresses }
    }
}

// === impl DeclinedDocument ===

impl From<&Declined> for DeclinedDocument {
    fn from(declined: &Declined) -> Self {
        Self {
            name: declined.name.as_deref().map(str::to_owned),
            endpoint: declined.endpoint.as_ref().map(ToString::to_string),
            service: declined.service.as_ref().map(ToString::to_string),
            source: declined.source.as_ref().map(ToString::to_string),
            reason: declined.why.word().to_owned(),
            why: declined.why.to_string(),
        }
    }
}
