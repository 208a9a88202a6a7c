//! The order in which zones go: what has to be before, one association after the other, and what
//! clients see at each.
//!
//! In a VPC the most specific zone or rule that holds a name answers it. So a broad rule to us changes
//! nothing where a zone is, a zone that goes gives its names to the next above, and a zone above
//! another has to go first: it would hide what it does not have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Judged,
    finding::Finding,
    seen::seen,
    zone::{Vpc, Zone},
};
use crate::base::{Name, VpcId};

/// A record that is kept longer than this is shortened first: a way back takes as long.
const TTL_SECS_MAX: u32 = 60;

/// The whole way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Steps {
    /// What has to be so before the first zone goes.
    pub before: Vec<String>,
    /// One association after the other.
    pub steps: Vec<Step>,
    /// What is left when all have gone.
    pub after: Vec<String>,
}

/// A zone and a VPC part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The zone's id.
    pub zone: String,
    /// The zone's name.
    pub name: String,
    /// The VPC.
    pub vpc: Vpc,
    /// Whether our endpoints are in that VPC.
    pub hub: bool,
    /// What to run; with a line before it where Route 53 would refuse.
    pub run: Vec<String>,
    /// What takes it back.
    pub undo: String,
    /// How long clients may go by what they were told before, in seconds.
    pub wait_secs: u32,
    /// What clients see then, a text a name.
    pub see: Vec<String>,
    /// What to know before.
    pub mind: Vec<String>,
}

// === impl Steps ===

impl Steps {
    pub(super) fn new(zones: &[Judged], hubs: &BTreeSet<VpcId>, rules: &[Name]) -> Self {
        // A zone whose VPCs are not known has no step, and a doubt instead.
        let goes = |it: &&Judged| it.verdict.goes() && it.zone.vpcs.is_some();
        let mut going: Vec<&Judged> = zones.iter().filter(goes).collect();
        // Behind all that are above it; among those that could go now, what nobody notices first.
        let all = going.clone();
        going.sort_by_cached_key(|it| {
            let above: Vec<_> =
                all.iter().filter(|other| is_above(&other.zone, &it.zone)).collect();
            let waits = above.iter().any(|other| other.is_noticed());
            let noticed = it.is_noticed();
            (waits || noticed, above.len(), noticed, it.zone.name.clone(), it.zone.id.clone())
        });
        let mut used: BTreeMap<&Vpc, usize> = BTreeMap::new();
        for vpc in zones.iter().flat_map(|it| it.zone.vpcs.iter().flatten()) {
            *used.entry(vpc).or_default() += 1;
        }
        let is_hub = |vpc: &Vpc| hubs.contains(&VpcId::from(vpc.id.as_str()));
        let mut steps = Vec::new();
        for judged in &going {
            let mut vpcs: Vec<&Vpc> = judged.zone.vpcs.iter().flatten().collect();
            // The one in which the fewest zones could be missed shows first how it goes.
            vpcs.sort_by_key(|vpc| (is_hub(vpc), used.get(*vpc).copied(), (*vpc).clone()));
            let last = vpcs.len();
            for (at, vpc) in vpcs.into_iter().enumerate() {
                let mut step = step(judged, vpc, is_hub(vpc), at + 1 == last, zones);
                step.mind.extend(superseded(&judged.zone, rules));
                steps.push(step);
            }
        }
        Self { before: before(&going, hubs, rules), after: after(&going), steps }
    }
}

fn step(judged: &Judged, vpc: &Vpc, hub: bool, last: bool, zones: &[Judged]) -> Step {
    let zone = &judged.zone;
    let change = |verb: &str| {
        format!(
            "aws route53 {verb} --hosted-zone-id {} --vpc VPCRegion={},VPCId={}",
            zone.id, vpc.region, vpc.id
        )
    };
    let mut run = Vec::new();
    if last {
        run.push(format!(
            "# its last VPC, which Route 53 lets go only when there is another: first give it one that \
             nobody is in\naws route53 associate-vpc-with-hosted-zone --hosted-zone-id {} --vpc \
             VPCRegion=REGION,VPCId=UNUSED-VPC",
            zone.id
        ));
    }
    run.push(change("disassociate-vpc-from-hosted-zone"));
    Step {
        zone: zone.id.clone(),
        name: zone.name.to_string(),
        vpc: vpc.clone(),
        hub,
        run,
        undo: change("associate-vpc-with-hosted-zone"),
        wait_secs: longest(zone),
        see: seen(judged, hub, &below(zone, vpc, zones)),
        mind: mind(judged, vpc, hub, zones),
    }
}

/// The zones in this one that are in the VPC when it leaves: those that go too go later.
fn below<'z>(zone: &Zone, vpc: &Vpc, zones: &'z [Judged]) -> Vec<&'z Zone> {
    let zones = zones.iter().map(|it| &it.zone);
    zones.filter(|it| !it.public && is_above(zone, it) && it.is_in(vpc)).collect()
}

/// How long anything that the zone says may be kept.
fn longest(zone: &Zone) -> u32 {
    let records = zone.records.iter().flatten().map(|set| set.ttl_secs);
    records.chain([zone.negative_ttl_secs]).max().unwrap_or(0)
}

fn mind(judged: &Judged, vpc: &Vpc, hub: bool, zones: &[Judged]) -> Vec<String> {
    let mut mind = Vec::new();
    let stays = zones.iter().filter(|it| {
        !it.verdict.goes()
            && !it.zone.public
            && is_above(&it.zone, &judged.zone)
            && it.zone.vpcs.as_ref().is_none_or(|vpcs| vpcs.contains(vpc))
    });
    for above in stays {
        mind.push(format!(
            "zone {} ({}) stays above it and says NXDOMAIN for these names: first make a rule for {}, \
             which comes before that zone",
            above.zone.name, above.zone.id, judged.zone.name
        ));
    }
    if hub {
        mind.push(
            "the hub's own VPC: no rule is there (it would be a loop), so its own machines get these \
             names by DHCP options that name the hub, or by private DNS of the endpoints"
                .to_owned(),
        );
        mind.push(
            "as long as it is there, names in this zone that are none of ours come back as NXDOMAIN \
             through the hub, too"
                .to_owned(),
        );
    }
    mind
}

/// A rule beats a zone of its own name, and one above it.
fn superseded(zone: &Zone, rules: &[Name]) -> Option<String> {
    let rule = rules.iter().find(|rule| rule.is_within(&zone.name))?;
    Some(format!(
        "the rule for {rule} is not less specific than this zone and took its place when it was \
         associated; the way back from that is to disassociate the rule"
    ))
}

fn before(going: &[&Judged], hubs: &BTreeSet<VpcId>, rules: &[Name]) -> Vec<String> {
    if going.is_empty() {
        return Vec::new();
    }
    let vpcs: BTreeSet<&str> = going
        .iter()
        .flat_map(|it| it.zone.vpcs.iter().flatten())
        .filter(|vpc| !hubs.contains(&VpcId::from(vpc.id.as_str())))
        .map(|vpc| vpc.id.as_str())
        .collect();
    let mut before = vec![
        "`hubdns doctor` on each hub is good".to_owned(),
        format!(
            "Route 53 rules to the hub ({}, by `hubdns export rules`) are associated with {}; clients \
             see nothing of it where a zone is more specific than the rule",
            rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            match vpcs.is_empty() {
                true => "every VPC that is not the hub's".to_owned(),
                false => vpcs.into_iter().collect::<Vec<_>>().join(", "),
            }
        ),
    ];
    for zone in going.iter().map(|it| &it.zone) {
        if superseded(zone, rules).is_some() {
            before.push(format!(
                "zone {} ({}) is not more specific than a rule: what is told at its step comes with \
                 the rule's association, VPC by VPC",
                zone.name, zone.id
            ));
        }
        for set in zone.records.iter().flatten().filter(|set| TTL_SECS_MAX < set.ttl_secs) {
            before.push(format!(
                "{} {} in {} has a TTL of {} s: make it {TTL_SECS_MAX} and wait so long, so that a \
                 way back is short",
                set.pattern, set.rtype, zone.id, set.ttl_secs
            ));
        }
    }
    for judged in going {
        for Finding { name, advice, .. } in
            judged.findings.iter().filter(|it| it.what.is_to_be_kept())
        {
            before.push(format!(
                "{name} has to be answered still: {}; or keep zone {}",
                advice.as_deref().unwrap_or("`hubdns explain` it"),
                judged.zone.id
            ));
        }
    }
    before.dedup();
    before
}

fn after(going: &[&Judged]) -> Vec<String> {
    going
        .iter()
        .map(|it| {
            format!(
                "when nobody has missed it for a week: delete the records of {} and \
                 `aws route53 delete-hosted-zone --id {}`",
                it.zone.name, it.zone.id
            )
        })
        .collect()
}

/// Whether a zone is strictly above another.
fn is_above(above: &Zone, zone: &Zone) -> bool {
    above.name != zone.name && zone.name.is_within(&above.name)
}
