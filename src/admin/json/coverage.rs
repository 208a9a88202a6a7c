//! Names of AWS that leaked, and what an endpoint could do about each: `/api/v1/coverage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Objection, Standing, Uncovered, uncovered},
    coverage::{Coverage, CoverageConfig, Covering, Known},
    table::AnswerTable,
};

/// Objections told of one name: of a hundred accounts with the same endpoint a few will do.
const OBJECTIONS_MAX: usize = 10;

/// Answers of upstreams with public addresses to names of AWS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverageDocument {
    /// Whether they are counted: `coverage.enabled`.
    pub enabled: bool,
    /// Whether the names that clients asked for are kept: `coverage.names`.
    pub names: bool,
    /// How long this process has counted.
    pub secs: u64,
    /// The version of botocore that the names SDKs call were made from.
    pub botocore: String,
    /// The most frequent first.
    pub leaks: Vec<LeakDocument>,
}

/// One name, or all that one wildcard covers, or all names of a region that no SDK calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeakDocument {
    /// The name, or `*.` and the name below which they are; nothing for those that no SDK calls.
    pub name: Option<String>,
    /// Its region; nothing for a name that is in none.
    pub region: Option<String>,
    /// The service, as `answers.deny` takes it; `other` for names that no SDK calls.
    pub service: String,
    /// How often it was answered with a public address.
    pub times: u64,
    /// `answered`, `declined`, `unpublished`, `missing`, `no_service` or `other`.
    pub standing: String,
    /// The same as a sentence.
    pub why: String,
    /// The endpoint service that has the name, if one is known and in the name's region.
    pub endpoint_service: Option<String>,
    /// How well that is known: `sure`, `likely`, `alias` (it takes one) or `none`.
    pub known: String,
    /// `unpublished`: the endpoints of the service that are there.
    pub endpoints: Vec<String>,
    /// `declined`: why the endpoints that are there do not answer it; the first of them.
    pub objections: Vec<ObjectionDocument>,
    /// Objections that are not told.
    pub more: usize,
    /// The names that clients asked for; nothing unless they are kept.
    pub asked: Vec<AskedDocument>,
}

/// Why an endpoint does not answer a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectionDocument {
    /// The endpoint; nothing for an alias whose target is not there.
    pub endpoint: Option<String>,
    /// The reason in a word, as `hubdns names` has it.
    pub reason: String,
    /// The same as a sentence.
    pub why: String,
    /// In which views.
    pub views: Vec<String>,
}

/// A name that clients asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedDocument {
    /// The name.
    pub name: String,
    /// How often it was answered with a public address since it is kept.
    pub times: u64,
}

// === impl CoverageDocument ===

impl CoverageDocument {
    /// What was counted in `secs`, beside what `table` says.
    pub fn new(coverage: &Coverage, table: &AnswerTable, secs: u64) -> Self {
        let CoverageConfig { enabled, names } = coverage.config();
        let leaks = uncovered(coverage.leaks(), table);
        Self {
            enabled,
            names,
            secs,
            botocore: Known::table().botocore().to_owned(),
            leaks: leaks.iter().map(LeakDocument::from).collect(),
        }
    }
}

// === impl LeakDocument ===

impl From<&Uncovered> for LeakDocument {
    fn from(uncovered: &Uncovered) -> Self {
        let Uncovered { leak, endpoint_service, standing } = uncovered;
        let (objections, endpoints) = match standing {
            Standing::Declined(objections) => (objections.as_slice(), &[][..]),
            Standing::Unpublished(endpoints) => (&[][..], endpoints.as_slice()),
            Standing::Answered | Standing::Missing | Standing::NoService | Standing::Other => {
                (&[][..], &[][..])
            }
        };
        let covering = leak.host.map_or(Covering::Unknown, |host| host.covering);
        let asked = leak.asked.iter().map(|(name, times)| (name.to_string(), *times));
        Self {
            name: leak.name.clone(),
            region: leak.region.map(str::to_owned),
            service: leak.service().to_owned(),
            times: leak.times,
            standing: standing.word().to_owned(),
            why: why(uncovered, covering),
            endpoint_service: endpoint_service.clone(),
            known: covering.word().to_owned(),
            endpoints: endpoints.iter().map(ToString::to_string).collect(),
            objections: objections.iter().take(OBJECTIONS_MAX).map(Into::into).collect(),
            more: objections.len().saturating_sub(OBJECTIONS_MAX),
            asked: asked.map(|(name, times)| AskedDocument { name, times }).collect(),
        }
    }
}

fn why(uncovered: &Uncovered, covering: Covering) -> String {
    let Uncovered { leak, endpoint_service, standing } = uncovered;
    let service = endpoint_service.as_deref().unwrap_or(leak.service());
    match (standing, covering) {
        (Standing::Answered, _) => "every view answers it by now".to_owned(),
        (Standing::Declined(objections), _) => match &objections[..] {
            [Objection { why, endpoint: Some(endpoint), .. }] => format!("{endpoint}: {why}"),
            [Objection { why, endpoint: None, .. }] => why.to_string(),
            all => format!("{} endpoints are there, and none answers it", all.len()),
        },
        (Standing::Unpublished(_), _) => {
            "the service's endpoint answers other names: give it this one by [[answers.alias]]"
                .to_owned()
        }
        (Standing::Missing, Covering::Sure | Covering::Unknown) => {
            format!("no source has an endpoint of {service}")
        }
        (Standing::Missing, Covering::Likely) => {
            format!("no source has an endpoint of {service}, which most likely would have it")
        }
        (Standing::Missing, Covering::ByAlias) => {
            format!("no source has an endpoint of {service}, which would have it by an alias")
        }
        (Standing::NoService, _) => "no endpoint service is known to have it".to_owned(),
        (Standing::Other, _) => {
            "no SDK calls these; coverage.names keeps which they are".to_owned()
        }
    }
}

impl From<&Objection> for ObjectionDocument {
    fn from(objection: &Objection) -> Self {
        Self {
            endpoint: objection.endpoint.as_ref().map(ToString::to_string),
            reason: objection.why.word().to_owned(),
            why: objection.why.to_string(),
            views: objection.views.iter().map(ToString::to_string).collect(),
        }
    }
}
