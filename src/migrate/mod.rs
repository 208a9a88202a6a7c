//! Private hosted zones compared with what we answer, and the way to do without them.
//!
//! Pure: takes the texts that the AWS CLI printed and one view's names, and changes nothing
//! anywhere. What a zone answers is worked out as Route 53 does it (RFC 1034 and RFC 4592), so that
//! wildcards, names between and names that a zone hides are judged by what clients see.

mod astray;
mod compare;
mod finding;
mod lookup;
mod records;
mod recording;
mod seen;
mod steps;
mod text;
mod zone;
#[cfg(test)]
mod tests;

pub use finding::{Finding, What};
pub use recording::{Doubt, Recording, Text};
pub use steps::{Step, Steps};
pub use zone::{RecordSet, Target, Vpc, Zone};

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    base::{Name, VpcId},
    table::ViewTable,
};

/// What becomes of each zone, and in which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Migration {
    /// The view whose answers take the zones' place.
    pub view: String,
    /// Sorted by name, then by id.
    pub zones: Vec<Judged>,
    /// What could not be read, or not be read whole.
    pub doubts: Vec<Doubt>,
    /// The way to do without those zones that can go.
    pub steps: Steps,
}

/// A zone and what was found of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The zone.
    pub zone: Zone,
    /// In a word.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub why: String,
    /// Name by name, sorted.
    pub findings: Vec<Finding>,
}

/// What a zone is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Without it clients get the same.
    Same,
    /// Without it clients get something else.
    Differs,
    /// It is about names that are none of ours. It stays.
    NotOurs,
    /// Nobody gets anything by it that is of use.
    NotNeeded,
    /// Its records were not among what was read.
    Unread,
}

// === impl Migration ===

impl Migration {
    /// Compares the zones of a recording with a view. `hubs` are the VPCs in which our endpoints are,
    /// `rules` the names that Route 53 rules will forward to us.
    pub fn new(
        recording: Recording,
        view: &ViewTable,
        hubs: &BTreeSet<VpcId>,
        rules: &[Name],
    ) -> Self {
        let Recording { zones, mut doubts } = recording;
        let zones: Vec<Judged> = zones.into_iter().map(|zone| compare::judge(zone, view)).collect();
        doubts.extend(zones.iter().filter_map(Judged::without_vpcs));
        let steps = Steps::new(&zones, hubs, rules);
        Self { view: view.name().to_string(), zones, doubts, steps }
    }

    /// Whether all has been read and no client gets anything else without these zones.
    pub fn is_smooth(&self) -> bool {
        self.doubts.is_empty() && !self.zones.iter().any(Judged::is_noticed)
    }
}

// === impl Judged ===

impl Judged {
    /// Whether a client gets something else without it, or may do.
    fn is_noticed(&self) -> bool {
        match self.verdict {
            Verdict::Differs | Verdict::Unread => true,
            // It has nothing of use, and may hide what is.
            Verdict::NotNeeded => {
                self.findings.iter().any(|it| !matches!(it.what, What::Same | What::WrongName))
            }
            Verdict::Same | Verdict::NotOurs => false,
        }
    }

    /// The doubt of a zone that could go, did we know from where.
    fn without_vpcs(&self) -> Option<Doubt> {
        let Zone { id, name, account, vpcs, .. } = &self.zone;
        let account = account.as_ref().map(|it| format!(" in account {it}")).unwrap_or_default();
        (self.verdict.goes() && vpcs.is_none()).then(|| Doubt {
            about: id.clone(),
            why: format!(
                "which VPCs {name} is associated with is not known, and so not by which steps it goes: \
                 run `aws route53 get-hosted-zone --id {id}`{account}"
            ),
        })
    }
}

// === impl Verdict ===

impl Verdict {
    /// Whether the steps do without such a zone.
    pub fn goes(self) -> bool {
        match self {
            Verdict::Same | Verdict::Differs | Verdict::NotNeeded => true,
            Verdict::NotOurs | Verdict::Unread => false,
        }
    }

    /// As a person reads it.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Same => "same as ours",
            Verdict::Differs => "differs",
            Verdict::NotOurs => "not ours",
            Verdict::NotNeeded => "not needed",
            Verdict::Unread => "not read",
        }
    }
}
