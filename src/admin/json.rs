//! The documents of the JSON API, and of commands with `--format json`.
//!
//! Made from a table or an explanation, so that a command without a daemon prints the very
//! document that the daemon would have sent. Reading one ignores keys it does not know: the
//! daemon may be newer than the command.

mod changes;
mod cnames;
mod doctor;
mod explain;
mod forwarding;
mod lifecycle;
mod plan;
mod top;
mod zones;

use std::net::{IpAddr, SocketAddr};

pub use changes::{ChangesDocument, PublicationDocument, RefreshDocument, SourceRoundDocument};
pub use cnames::CnameDocument;
pub use doctor::{CheckDocument, CheckResult, DoctorDocument};
pub use explain::{ExplainDocument, GivenDocument, LiveDocument, StepDocument};
pub use forwarding::{AwsHostsDocument, AwsZoneDocument, BudgetDocument, LoopDocument};
use ipnet::IpNet;
pub use lifecycle::{DrainDocument, ReloadDocument};
pub use plan::{
    AnswerChangeDocument, MoveDocument, PlanDocument, SaidDocument, ViewChangesDocument,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
pub use top::{RateDocument, TopDocument};
pub use zones::{DrainedZoneDocument, FlappingDocument, ZoneDocument};

use crate::{
    policy::{Address, Caveat, Declined},
    table::{AnswerTable, Entry, ViewTable},
};

/// A text that is not the document it should be.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not the document that was asked for")]
pub struct DocumentError(#[source] serde_json::Error);

/// What is answered and what is not: `/api/v1/names`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesDocument {
    /// How many tables the daemon had put in force; nothing without a daemon.
    pub generation: Option<u64>,
    /// Equal wherever the same is answered.
    pub table_hash: String,
    /// The networks that may ask at all.
    pub allow: Vec<IpNet>,
    /// In the order in which they match a client; the last is everybody else's.
    pub views: Vec<ViewDocument>,
}

/// What a flush took: `/api/v1/flush`, on the control socket alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushDocument {
    /// The name below which all is forgotten; nothing when all was.
    pub name: Option<String>,
    /// Answers that the cache had of it.
    pub answers: u64,
}

/// One view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDocument {
    /// Its name.
    pub name: String,
    /// The networks whose clients are in it; none means whoever asks its listeners.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressDocument {
    /// The address.
    pub ip: IpAddr,
    /// Its availability zone.
    pub az: String,
    /// The zone's id, which is the same in all accounts, if it is known.
    pub az_id: Option<String>,
    /// The interface that has it.
    pub eni: String,
}

/// Something to know of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaveatDocument {
    /// In a word.
    pub caveat: String,
    /// In a sentence.
    pub why: String,
    /// The addresses that it is about, if it is about some.
    pub addresses: Vec<IpAddr>,
}

/// A name, or a whole endpoint, that is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// How the daemon stands: `/api/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// The daemon's version.
    pub version: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
    /// How many tables it has put in force.
    pub generation: u64,
    /// Equal wherever the same is answered; nothing before the first table.
    pub table_hash: Option<String>,
    /// The DNS sockets that are bound.
    pub listeners: Vec<SocketAddr>,
    /// The views of the table in force.
    pub views: Vec<ViewSummary>,
    /// Where what we forward comes back to us. A daemon before this was told has none.
    #[serde(default)]
    pub loops: Vec<LoopDocument>,
    /// Packets to the upstreams that AWS limits; nothing when there is none.
    pub budget: Option<BudgetDocument>,
    /// Who is asked for the hosts of AWS that discovery calls.
    pub aws_hosts: Option<AwsHostsDocument>,
    /// In the order of the configuration.
    pub sources: Vec<SourceDocument>,
    /// Zones that a person has taken out of the answers.
    #[serde(default)]
    pub drained_zones: Vec<DrainedZoneDocument>,
    /// Addresses that go down and come up again and again.
    #[serde(default)]
    pub flapping: Vec<FlappingDocument>,
    /// The last round of discovery; nothing before the first has ended.
    pub last_round: Option<RoundDocument>,
}

/// How much a view has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewSummary {
    /// Its name.
    pub name: String,
    /// Names answered.
    pub names: usize,
    /// Names and endpoints not answered.
    pub declined: usize,
}

/// How a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDocument {
    /// Its name.
    pub name: String,
    /// Since it told the facts in force; nothing if it never has.
    pub age_secs: Option<u64>,
    /// Whether those come from the state file.
    pub from_state_file: bool,
    /// Endpoints among them.
    pub endpoints: usize,
    /// Why it could not be asked the last time.
    pub error: Option<String>,
    /// What it goes without, since it could not be had: the subnets, if zones are discovered.
    #[serde(default)]
    pub lack: Option<String>,
}

/// How a round of discovery ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundDocument {
    /// Since it ended.
    pub age_secs: u64,
    /// `published`, `unchanged` or `kept`.
    pub outcome: String,
    /// Why what was in force was kept.
    pub reason: Option<String>,
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

// === impl NamesDocument ===

impl NamesDocument {
    /// What a table says, in one view or in all. A view that it does not have leaves `views` empty.
    pub fn new(table: &AnswerTable, generation: Option<u64>, view: Option<&str>) -> Self {
        let wanted = |it: &&ViewTable| view.is_none_or(|name| it.name().as_str() == name);
        Self {
            generation,
            table_hash: table.hash().to_string(),
            allow: table.allowed().collect(),
            views: table.views().filter(wanted).map(ViewDocument::from).collect(),
        }
    }
}

// === impl ViewDocument ===

impl From<&ViewTable> for ViewDocument {
    fn from(view: &ViewTable) -> Self {
        let rule = view.rule();
        Self {
            name: view.name().to_string(),
            clients: rule.map(|rule| rule.clients.clone()).unwrap_or_default(),
            listeners: rule.map(|rule| rule.listeners.clone()).unwrap_or_default(),
            names: view.entries().iter().map(NameDocument::from).collect(),
            cnames: view.cnames().iter().map(CnameDocument::from).collect(),
            declined: view.declined().iter().map(DeclinedDocument::from).collect(),
        }
    }
}

// === impl NameDocument ===

impl From<&Entry> for NameDocument {
    fn from(entry: &Entry) -> Self {
        let claim = entry.claim();
        let has = |v6: bool| claim.addresses.iter().any(|address| address.ip.is_ipv6() == v6);
        let types = [("A", false), ("AAAA", true)].into_iter().filter(|(_, v6)| has(*v6));
        Self {
            name: claim.pattern.to_string(),
            origin: claim.origin.word().to_owned(),
            types: types.map(|(name, _)| name.to_owned()).collect(),
            addresses: claim.addresses.iter().map(AddressDocument::from).collect(),
            endpoint: claim.endpoint.to_string(),
            service: claim.service.to_string(),
            source: claim.source.to_string(),
            ttl_secs: claim.ttl.as_secs(),
            negative_ttl_secs: claim.negative_ttl.as_secs(),
            caveats: claim.caveats.iter().map(CaveatDocument::from).collect(),
        }
    }
}

impl From<&Address> for AddressDocument {
    fn from(address: &Address) -> Self {
        Self {
            ip: address.ip,
            az: address.az.to_string(),
            az_id: address.az.id.as_deref().map(str::to_owned),
            eni: address.eni.to_string(),
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
