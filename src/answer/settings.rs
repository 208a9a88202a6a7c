//! What a responder is told by the configuration, and a reload may replace.

use std::sync::Arc;

use super::{
    cookies::Cookies,
    decide::{ServerFact, Vantage},
    exempt::Exempt,
    rates::Rates,
};
use crate::{
    forward::Forwarder,
    querylog::Observers,
    table::AnswerTable,
    telemetry::DnsMetrics,
    wire::{FullCookie, Query},
};

/// What a reload may replace.
pub struct Settings {
    /// Asks upstreams.
    pub forwarder: Forwarder,
    /// What NSID tells.
    pub identity: Arc<[u8]>,
    /// Makes and knows cookies.
    pub cookies: Cookies,
    /// Whom no limit is for.
    pub exempt: Exempt,
    /// Holds clients to their rates; none if nobody is limited.
    pub rates: Option<Arc<Rates>>,
    /// What it tells of itself.
    pub about: About,
    /// Who is told of queries.
    pub observers: Arc<Observers>,
}

/// What a server tells of itself in class CH: nothing that it was not told to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `server.version`.
    pub version: Option<Arc<str>>,
    /// `server.identity`, if it is written: the host's name is for those who ask for an NSID.
    pub identity: Option<Arc<str>>,
}

// === impl Settings ===

impl Settings {
    /// The cookie to tell, if the client sent one.
    pub(super) fn cookie(
        &self,
        query: &Query<'_>,
        vantage: &Vantage,
        dns: &DnsMetrics,
    ) -> Option<FullCookie> {
        let cookie = query.edns?.cookie?;
        let (_, cookie) = self.cookies.answer(&cookie, vantage.client, dns);
        Some(cookie)
    }
}

// === impl About ===

impl About {
    /// What is told. The table's hash says nothing to who does not know the table, so it needs no
    /// key of the configuration.
    pub(super) fn text(&self, fact: ServerFact, table: &AnswerTable) -> Option<Arc<str>> {
        match fact {
            ServerFact::Version => self.version.clone(),
            ServerFact::Identity => self.identity.clone(),
            ServerFact::TableHash => Some(Arc::from(table.hash().to_string())),
        }
    }
}
