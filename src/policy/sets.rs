//! Ready-made sets of aliases: names that clients call and AWS does not publish.
//!
//! They are made of the names that a service does publish, so each is one of the endpoint's own
//! region and partition, and none has a suffix that is written down here.

use std::fmt;

use super::{
    AliasTarget, Lender, Origin, ServiceRule,
    alias::Given,
    config::region_of,
    select::{Speaker, is_dualstack},
};
use crate::base::{Name, Pattern, ServiceName};

/// The region that the global names of S3 and the oldest one of SQS belong to.
const FIRST_REGION: &str = "us-east-1";

/// One ready-made set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AliasSet {
    /// `REGION.queue.SUFFIX`, in us-east-1 `queue.SUFFIX` too: SQS as old clients call it.
    SqsLegacy,
    /// `s3.SUFFIX` and the buckets below it, by an endpoint in us-east-1.
    S3Global,
    /// `s3.dualstack.REGION.SUFFIX` and the like: S3 for clients of either family.
    S3Dualstack,
}

// === impl AliasSet ===

impl AliasSet {
    /// Every set.
    pub const ALL: [AliasSet; 3] = [AliasSet::SqsLegacy, AliasSet::S3Global, AliasSet::S3Dualstack];

    /// How it is written.
    pub fn word(self) -> &'static str {
        match self {
            AliasSet::SqsLegacy => "sqs-legacy",
            AliasSet::S3Global => "s3-global",
            AliasSet::S3Dualstack => "s3-dualstack",
        }
    }

    /// The set that has this name beside one that the service publishes.
    pub fn with(name: &Pattern, published: &Pattern, service: &ServiceName) -> Option<AliasSet> {
        let region = region_of(service)?;
        Self::ALL.into_iter().find(|set| set.beside(published, region).contains(name))
    }

    /// Whose endpoints it takes, for people.
    pub(super) fn target(self) -> &'static str {
        match self {
            AliasSet::SqsLegacy => "sqs",
            AliasSet::S3Global => "s3 in us-east-1",
            AliasSet::S3Dualstack => "s3",
        }
    }

    fn service(self) -> &'static str {
        match self {
            AliasSet::SqsLegacy => "sqs",
            AliasSet::S3Global | AliasSet::S3Dualstack => "s3",
        }
    }

    /// Its names for the services that these endpoints are of, in one order.
    pub(super) fn given(self, speakers: &[Speaker<'_>]) -> Vec<Given> {
        let mut all: Vec<Given> = Vec::new();
        for speaker in speakers.iter().filter(|speaker| speaker.short == self.service()) {
            let service = &speaker.endpoint.service;
            let (Some(region), Some(facts)) = (region_of(service), speaker.service) else {
                continue;
            };
            let published = facts.private_names.iter();
            let published = published.filter_map(|text| Pattern::parse(text).ok());
            for name in published.flat_map(|pattern| self.beside(&pattern, region)) {
                let of = Lender::Service(ServiceRule::of(service));
                let target = AliasTarget::Endpoint { of, zone: None };
                let given = Given { pattern: name, target, origin: Origin::AliasSet(self) };
                if !all.contains(&given) {
                    all.push(given);
                }
            }
        }
        all.sort_by(|a, b| a.pattern.cmp(&b.pattern));
        all
    }

    /// What belongs beside one published name of a region: none for most.
    fn beside(self, published: &Pattern, region: &str) -> Vec<Pattern> {
        let Some((family, suffix)) = split(published, region) else { return Vec::new() };
        let is_first = region == FIRST_REGION;
        let texts = match (self, published, &*family) {
            (AliasSet::SqsLegacy, Pattern::Exact(_), "sqs") => {
                let regional = format!("{region}.queue.{suffix}");
                let oldest = is_first.then(|| format!("queue.{suffix}"));
                [regional].into_iter().chain(oldest).collect()
            }
            (AliasSet::S3Global, Pattern::Below(_), "s3") if is_first => {
                vec![format!("s3.{suffix}"), format!("*.s3.{suffix}")]
            }
            (AliasSet::S3Dualstack, Pattern::Below(_), "s3") => {
                let name = format!("s3.dualstack.{region}.{suffix}");
                vec![format!("*.{name}"), name]
            }
            (AliasSet::S3Dualstack, Pattern::Below(_), "s3-control" | "s3-accesspoint") => {
                vec![format!("*.{family}.dualstack.{region}.{suffix}")]
            }
            (AliasSet::SqsLegacy | AliasSet::S3Global | AliasSet::S3Dualstack, _, _) => Vec::new(),
        };
        texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect()
    }
}

/// `FAMILY.REGION.SUFFIX` as family and suffix; `None` for a name of another shape, and for the
/// dual-stack ones, whose suffix the old names never had.
fn split(published: &Pattern, region: &str) -> Option<(String, Name)> {
    if is_dualstack(published) {
        return None;
    }
    let text = published.name().to_string();
    let (family, rest) = text.split_once('.')?;
    let suffix = rest.strip_prefix(region)?.strip_prefix('.')?;
    Some((family.to_owned(), suffix.parse().ok()?))
}

impl fmt::Display for AliasSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
