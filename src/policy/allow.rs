//! What the operator takes out of the deny list: a service, or one resource of it.
//!
//! A service such as API Gateway has one wildcard for the resources of everybody. A rule for one
//! resource answers the names of that one and leaves the rest of the wildcard where it was.

use std::{fmt, sync::Arc};

use super::{
    AliasTarget, Lender, Origin, ServiceRule, alias::Given, names::Offer, select::Speaker,
    terms::Terms,
};
use crate::base::{EndpointId, Pattern};

/// The service whose endpoints also answer to `RESOURCE-ENDPOINT` below its wildcard.
pub(super) const EXECUTE_API: &str = "execute-api";

/// One rule of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowRule {
    /// The service as if nobody denied it.
    Service(ServiceRule),
    /// One resource of it.
    Resource(AllowedResource),
}

/// `SERVICE:ID`, or `SERVICE:ID@vpce-...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedResource {
    /// The service.
    pub service: ServiceRule,
    /// The label that stands for the resource in its name, in lower case.
    pub id: Arc<str>,
    /// The endpoint that has it; without one, whichever wins a conflict.
    pub endpoint: Option<EndpointId>,
}

// === impl AllowRule ===

impl AllowRule {
    /// Whether it allows all of this endpoint's service.
    pub(super) fn means(&self, speaker: &Speaker<'_>) -> bool {
        match self {
            AllowRule::Service(rule) => speaker.is_of(rule),
            AllowRule::Resource(_) => false,
        }
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllowRule::Service(rule) => rule.fmt(f),
            AllowRule::Resource(resource) => resource.fmt(f),
        }
    }
}

// === impl AllowedResource ===

impl AllowedResource {
    /// Its names, by the wildcards that the endpoints of its service publish, or the one that has
    /// it: in another region there may be another of the same id. None where none does.
    pub(super) fn given(&self, speakers: &[Speaker<'_>], terms: &Terms<'_>) -> Vec<Given> {
        let is_meant = |speaker: &&Speaker<'_>| {
            let id = &speaker.endpoint.id;
            speaker.is_of(&self.service) && self.endpoint.as_ref().is_none_or(|meant| meant == id)
        };
        let mut all: Vec<Given> = Vec::new();
        for speaker in speakers.iter().filter(is_meant) {
            for parent in speaker.offers.iter().filter_map(Offer::wildcard) {
                let lender = match &self.endpoint {
                    Some(id) => Lender::Endpoint(id.clone()),
                    None => Lender::Service(ServiceRule::of(&speaker.endpoint.service)),
                };
                let mut give = |label: &str, of: Lender| {
                    // Too long to be asked for.
                    let Ok(name) = parent.child(label) else { return };
                    let target = AliasTarget::Endpoint { of, zone: None };
                    let given =
                        Given { pattern: Pattern::Exact(name), target, origin: Origin::Allowed };
                    if !all.contains(&given) {
                        all.push(given);
                    }
                };
                give(&self.id, lender);
                let id = &speaker.endpoint.id;
                if speaker.short == EXECUTE_API && speaker.refusal(terms).is_none() {
                    give(&format!("{}-{id}", self.id), Lender::Endpoint(id.clone()));
                }
            }
        }
        all
    }
}

impl fmt::Display for AllowedResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.id)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, "@{endpoint}"),
            None => Ok(()),
        }
    }
}
