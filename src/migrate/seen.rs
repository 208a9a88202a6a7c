//! What clients of one VPC see when a zone leaves it.

use std::collections::BTreeSet;

use super::{
    Judged,
    finding::{Finding, What},
    zone::Zone,
};
use crate::base::Pattern;

/// Names told of a step; the rest is a number, and stands with the zone.
const SEEN_MAX: usize = 12;

/// What answers in the hub's own VPC, where no rule is.
const OF_THE_VPC: &str = "what the VPC's resolver says";

/// Who does not ask that resolver.
const UNLESS: &str = "unless DHCP options name the hub";

/// A text a name. `below` are the zones in this one that are in the VPC still: they answer for what
/// is in them, before the step and after it.
pub(super) fn seen(judged: &Judged, hub: bool, below: &[&Zone]) -> Vec<String> {
    let zone = &judged.zone;
    let (held, open): (Vec<&Finding>, Vec<&Finding>) =
        judged.findings.iter().partition(|it| below.iter().any(|zone| has(zone, &it.name)));
    let (same, changed): (Vec<&Finding>, Vec<&Finding>) =
        open.into_iter().partition(|it| !hub && it.what == What::Same);
    let mut lines = Vec::new();
    match same.len() {
        0 => (),
        1 => lines.push("1 answer as before, now by the hub".to_owned()),
        same => lines.push(format!("{same} answers as before, now by the hub")),
    }
    lines.extend(changed.iter().take(SEEN_MAX).map(|finding| match hub {
        true => {
            format!("{} {}: {} -> {OF_THE_VPC}, {UNLESS}", finding.name, finding.rtype, finding.now)
        }
        false => finding.change(),
    }));
    let more = changed.len().saturating_sub(SEEN_MAX);
    if 0 < more {
        lines.push(format!("{more} more, listed with the zone"));
    }
    let holders: BTreeSet<String> = below
        .iter()
        .filter(|zone| held.iter().any(|it| has(zone, &it.name)))
        .map(|zone| zone.name.to_string())
        .collect();
    if !holders.is_empty() {
        lines.push(format!("as before in zones of their own, which are still here: {}", {
            holders.into_iter().collect::<Vec<_>>().join(", ")
        }));
    }
    // Where the zone or we have a wildcard, that is among the findings.
    let others = format!("*.{}", zone.name);
    if !judged.findings.iter().any(|it| it.name == others) {
        let then = if hub { OF_THE_VPC } else { "what the upstream says" };
        lines.push(format!("any other name in {}: NXDOMAIN -> {then}", zone.name));
    }
    lines
}

/// Whether a zone has a finding's name, or all names of its wildcard.
fn has(zone: &Zone, name: &str) -> bool {
    Pattern::parse(name).is_ok_and(|pattern| pattern.name().is_within(&zone.name))
}
