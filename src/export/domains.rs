//! The fewest domains that hold all that we answer.
//!
//! The endpoints' own names, below `vpce.amazonaws.com` and the like, need nobody's help: everybody
//! resolves them to the same private addresses.

use std::collections::BTreeSet;

use crate::{
    base::{Name, Pattern},
    policy::{Claim, Origin, is_region},
    table::AnswerTable,
};

/// How much is sent to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `eu-west-1.amazonaws.com`: all of AWS's names of the regions that we answer for. A VPC's own
    /// endpoints and zones are more specific, and go on.
    Region,
    /// `amazonaws.com`: all of AWS's names.
    Partition,
    /// Each name of ours, and nothing else. This overrules a VPC's own endpoint of that name.
    Names,
}

/// What a VPC's resolver answers from the VPC itself, below a region's domain: file systems' names
/// exist only where their mount targets are.
const OF_THE_VPC_IN_A_REGION: [&str; 2] = ["efs", "fsx"];

/// The same below a partition's domain: names that mean private addresses in their own VPC.
const OF_THE_VPC_IN_A_PARTITION: [&str; 6] =
    ["compute", "compute-1", "eks", "elb", "rds", "redshift"];

/// The domains to send to us for what a table answers, in one view or in all; none within another.
pub fn domains(table: &AnswerTable, view: Option<&str>, scope: Scope) -> Vec<Name> {
    let views = table.views().filter(|it| view.is_none_or(|name| it.name().as_str() == name));
    let wanted = views.flat_map(|view| {
        let claims = view.entries().iter().filter_map(|entry| domain(entry.claim(), scope));
        // Such a name is the operator's own.
        claims.chain(view.cnames().iter().map(|cname| cname.pattern.name().clone()))
    });
    let wanted: BTreeSet<Name> = wanted.collect();
    let all = wanted.clone();
    let is_within_another =
        |name: &Name| all.iter().any(|other| other != name && name.is_within(other));
    wanted.into_iter().filter(|name| !is_within_another(name)).collect()
}

/// Domains that the VPC's own resolver must go on answering though a wider one is sent to us; none
/// that holds a name of ours.
pub fn exceptions(domains: &[Name], table: &AnswerTable, scope: Scope) -> Vec<Name> {
    let regions = regions(table);
    let mut found = BTreeSet::new();
    for domain in domains {
        let below = |labels: &[&str], domain: &Name| -> Vec<Name> {
            labels.iter().filter_map(|label| domain.child(label).ok()).collect()
        };
        match scope {
            Scope::Names => (),
            Scope::Region if starts_with_region(domain) => {
                found.extend(below(&OF_THE_VPC_IN_A_REGION, domain));
            }
            Scope::Region => (),
            Scope::Partition => {
                let of_it: Vec<&Name> =
                    regions.iter().filter(|it| it.parent().as_ref() == Some(domain)).collect();
                if !of_it.is_empty() {
                    found.extend(below(&OF_THE_VPC_IN_A_PARTITION, domain));
                }
                for region in of_it {
                    found.extend(below(&OF_THE_VPC_IN_A_REGION, region));
                }
            }
        }
    }
    let is_ours = |name: &Name| {
        table.views().flat_map(|view| view.entries()).any(|entry| {
            entry.claim().origin.is_lent() && entry.claim().pattern.name().is_within(name)
        })
    };
    found.into_iter().filter(|name| !is_ours(name)).collect()
}

/// The domains of regions that we have names in.
fn regions(table: &AnswerTable) -> BTreeSet<Name> {
    let claims = table.views().flat_map(|view| view.entries()).map(|entry| entry.claim());
    claims
        .filter(|claim| is_of_aws(claim))
        .filter_map(|claim| region_of(claim.pattern.name()))
        .collect()
}

fn domain(claim: &Claim, scope: Scope) -> Option<Name> {
    if !claim.origin.is_lent() {
        return None;
    }
    let own = match &claim.pattern {
        Pattern::Exact(name) | Pattern::Below(name) => name.clone(),
    };
    // A vendor's domain and one's own are theirs; no more of them is sent to us than must be.
    let region = Some(&own).filter(|_| is_of_aws(claim)).and_then(region_of);
    Some(match (scope, region) {
        (Scope::Region, Some(region)) => region,
        (Scope::Partition, Some(region)) => region.parent().unwrap_or(region),
        (Scope::Names, Some(_)) | (_, None) => own,
    })
}

/// Whether it is AWS itself that has published the name.
fn is_of_aws(claim: &Claim) -> bool {
    let published = matches!(claim.origin, Origin::Published | Origin::S3Apex | Origin::Allowed);
    published && !claim.service.as_str().split('.').any(|label| label.starts_with("vpce-svc-"))
}

/// The domain that begins with a region's name: `eu-west-1.amazonaws.com`.
fn region_of(name: &Name) -> Option<Name> {
    let mut found = Some(name.clone());
    while let Some(domain) = found {
        if starts_with_region(&domain) {
            return Some(domain);
        }
        found = domain.parent();
    }
    None
}

fn starts_with_region(name: &Name) -> bool {
    let first = name.labels().next().and_then(|label| std::str::from_utf8(label).ok());
    first.is_some_and(is_region)
}
