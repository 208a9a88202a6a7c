//! The fewest domains that hold all that we answer.
//!
//! The endpoints' own names, below `vpce.amazonaws.com` and the like, need nobody's help: everybody
//! resolves them to the same private addresses.

use std::collections::BTreeSet;

use crate::{
    base::{Name, Pattern},
    coverage::Known,
    policy::{Claim, Origin, is_region},
    table::{AnswerTable, ViewTable},
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

/// Who is asked for which domains. Of those that hold a name the most specific one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// Sent to us. None is within another, but for names of ours within an exception.
    pub forward: Vec<Name>,
    /// The exceptions: within these domains, and the VPC's own resolver goes on answering them.
    pub system: Vec<Name>,
}

/// What a VPC's resolver answers from the VPC itself, below a region's domain: file systems' names
/// exist only where their mount targets are.
const OF_THE_VPC_IN_A_REGION: [&str; 2] = ["efs", "fsx"];

/// The same below a partition's domain: names that mean private addresses in their own VPC.
const OF_THE_VPC_IN_A_PARTITION: [&str; 6] =
    ["compute", "compute-1", "eks", "elb", "rds", "redshift"];

/// The domains to send to us for what a table answers, in one view or in all; none within another.
pub fn domains(table: &AnswerTable, view: Option<&str>, scope: Scope) -> Vec<Name> {
    let wanted = views(table, view).flat_map(|view| {
        let claims = view.entries().iter().filter_map(|entry| domain(entry.claim(), scope));
        // Such a name is the operator's own.
        claims.chain(view.cnames().iter().map(|cname| cname.pattern.name().clone()))
    });
    outermost(wanted.collect())
}

/// These domains, and what within them is not to be sent to us.
pub fn routes(table: &AnswerTable, view: Option<&str>, scope: Scope) -> Routes {
    let mut forward = domains(table, view, scope);
    let ours: BTreeSet<Name> = views(table, view).flat_map(lent).collect();
    let mut system = exceptions(&forward, &ours, scope);
    // A domain has one rule: where an exception is a name of ours itself, ours comes first.
    system.retain(|domain| !ours.contains(domain));
    // What we answer within an exception would come to nobody who answers it.
    let within = |name: &Name| system.iter().any(|domain| name.is_within(domain));
    forward.extend(outermost(ours.into_iter().filter(within).collect()));
    forward.sort();
    Routes { forward, system: system.into_iter().collect() }
}

/// What the VPC's own resolver answers within these domains. A partition's other suffixes, of
/// dual-stack names and of products, have no such names.
fn exceptions(domains: &[Name], ours: &BTreeSet<Name>, scope: Scope) -> BTreeSet<Name> {
    let known = Known::table();
    let below = |domain: &Name, labels: &[&str]| -> Vec<Name> {
        labels.iter().filter_map(|label| domain.child(label).ok()).collect()
    };
    let of_region = |region: &Name| match region.parent() {
        Some(suffix) if known.is_partition(&suffix) => below(region, &OF_THE_VPC_IN_A_REGION),
        _ => Vec::new(),
    };
    match scope {
        Scope::Names => BTreeSet::new(),
        Scope::Region => {
            let regions = domains.iter().filter(|domain| starts_with_region(domain));
            regions.flat_map(of_region).collect()
        }
        Scope::Partition => {
            let held = |region: &Name| region.parent().is_some_and(|it| domains.contains(&it));
            let regions = ours.iter().filter_map(region_of).filter(held);
            let partitions = domains.iter().filter(|domain| known.is_partition(domain));
            let of_partitions = partitions.flat_map(|it| below(it, &OF_THE_VPC_IN_A_PARTITION));
            let of_regions = regions.flat_map(|region| of_region(&region));
            of_regions.chain(of_partitions).collect()
        }
    }
}

fn views<'t>(table: &'t AnswerTable, view: Option<&str>) -> impl Iterator<Item = &'t ViewTable> {
    table.views().filter(move |it| view.is_none_or(|name| it.name().as_str() == name))
}

/// The names that only we resolve so, wildcards by the name above.
fn lent(view: &ViewTable) -> impl Iterator<Item = Name> {
    let claims =
        view.entries().iter().map(|entry| entry.claim()).filter(|claim| claim.origin.is_lent());
    let cnames = view.cnames().iter().map(|cname| &cname.pattern);
    claims.map(|claim| &claim.pattern).chain(cnames).map(|pattern| pattern.name().clone())
}

/// Those that are within no other.
fn outermost(names: BTreeSet<Name>) -> Vec<Name> {
    let is_within_another =
        |name: &&Name| names.iter().any(|other| other != *name && name.is_within(other));
    names.iter().filter(|name| !is_within_another(name)).cloned().collect()
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
