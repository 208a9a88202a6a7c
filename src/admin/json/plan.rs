//! What another configuration would change: the document of `hubdns plan --format json`.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::ReloadDocument;

/// What would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// With what the new configuration is compared.
    pub against: String,
    /// Whether anything would.
    pub changes: bool,
    /// Names and types of the views below that have no records now.
    pub added: usize,
    /// Those that would have none any more.
    pub removed: usize,
    /// Those with other records, for another time, or from another endpoint.
    pub changed: usize,
    /// Views that stay and would answer differently.
    pub views: Vec<ViewChangesDocument>,
    /// Clients that would come to another view.
    pub clients: Vec<MoveDocument>,
    /// What a reload would do beside all this; nothing where that is not known.
    pub reload: Option<ReloadDocument>,
}

/// A view that would answer differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewChangesDocument {
    /// Its name.
    pub view: String,
    /// What it would.
    pub answers: Vec<AnswerChangeDocument>,
}

/// One name and type that would be answered differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerChangeDocument {
    /// The name, or `*.` and the name below which all are answered.
    pub name: String,
    /// `A`, `AAAA` or `CNAME`.
    pub r#type: String,
    /// `added`, `removed` or `changed`.
    pub change: String,
    /// What is said now.
    pub before: Option<SaidDocument>,
    /// What would be said.
    pub after: Option<SaidDocument>,
}

/// What is said of one name and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidDocument {
    /// The addresses, in the order of zones; none for a CNAME.
    pub addresses: Vec<IpAddr>,
    /// What a CNAME leads to; nothing for addresses.
    pub cname: Option<String>,
    /// How long these may be kept.
    pub ttl_secs: u32,
    /// How long an absence may be kept; nothing for a CNAME, whose target says so.
    pub negative_ttl_secs: Option<u32>,
    /// Which endpoint has the addresses; nothing for a CNAME.
    pub endpoint: Option<String>,
    /// Its service; nothing likewise.
    pub service: Option<String>,
}

/// Clients that would come to another view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveDocument {
    /// Their networks, `10.0.0.0/8` or `10.0.0.0/8 but not 10.1.0.0/16`.
    pub networks: Vec<String>,
    /// The address of ours that they ask; nothing where that makes no difference.
    pub listener: Option<SocketAddr>,
    /// The view that they are in; nothing when they are refused.
    pub from: Option<String>,
    /// The view that they would be in; nothing when they would be refused.
    pub to: Option<String>,
    /// What they would be answered otherwise.
    pub answers: Vec<AnswerChangeDocument>,
}
