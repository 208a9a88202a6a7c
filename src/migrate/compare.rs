//! A zone's answers beside ours, name by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Judged, Verdict,
    astray::{astray, right_names},
    finding::{Finding, What},
    lookup::{Found, look_up},
    zone::{RecordSet, Target, Zone},
};
use crate::{
    base::{EndpointId, Name, Pattern, RecordType},
    policy::{CNAMES_MAX, Origin},
    table::{Entry, Found as Ours, ViewTable},
};

/// The label of a name that a wildcard stands for, and that nobody has.
const ANY_LABEL: &str = "any-other-name";

/// What a zone says of a name and one type.
enum Says {
    /// These addresses, whose they are of our endpoints, and in which words.
    Addresses { ips: Vec<IpAddr>, endpoints: BTreeSet<EndpointId>, words: String },
    /// It leads to a name of which we know nothing.
    Elsewhere(String),
    /// No such record.
    Nothing,
}

/// What we say of a name.
enum OfOurs<'v> {
    /// It is an endpoint's.
    Entry(&'v Entry),
    /// It stands for a name that is none of ours.
    Elsewhere(&'v Name),
    /// It is none of ours.
    Nothing,
}

/// What becomes of a zone.
pub(super) fn judge(zone: Zone, view: &ViewTable) -> Judged {
    let judged = |zone, verdict, why: String, findings| Judged { zone, verdict, why, findings };
    if zone.public {
        let why = "it is public: whoever asks the world gets it";
        return judged(zone, Verdict::NotOurs, why.to_owned(), Vec::new());
    }
    if let Some(service) = &zone.service {
        let why = format!(
            "{service} made it and takes it away, for an endpoint with private DNS or the like"
        );
        return judged(zone, Verdict::NotOurs, why, Vec::new());
    }
    if zone.vpcs.as_ref().is_some_and(Vec::is_empty) {
        let why = "it is associated with no VPC: nobody is answered from it";
        return judged(zone, Verdict::NotNeeded, why.to_owned(), Vec::new());
    }
    let Some(records) = &zone.records else {
        let account = zone.account.as_ref().map(|it| format!(" in account {it}"));
        let why = format!(
            "run `aws route53 list-resource-record-sets --hosted-zone-id {}`{}",
            zone.id,
            account.unwrap_or_default()
        );
        return judged(zone, Verdict::Unread, why, Vec::new());
    };
    let findings = findings(&zone, records, view);
    let (verdict, why) = verdict(&zone, records, &findings, view);
    judged(zone, verdict, why, findings)
}

fn verdict(
    zone: &Zone,
    records: &[RecordSet],
    findings: &[Finding],
    view: &ViewTable,
) -> (Verdict, String) {
    let same = findings.iter().filter(|it| it.what == What::Same).count();
    let all = |whats: &[What]| findings.iter().all(|it| whats.contains(&it.what));
    if all(&[What::NotOurs]) {
        return (
            Verdict::NotOurs,
            "no name of ours is in it, and it leads to none of our endpoints".to_owned(),
        );
    }
    if records.is_empty() {
        return (
            Verdict::NotNeeded,
            "it has no records and does nothing but hide names".to_owned(),
        );
    }
    if all(&[What::WrongName]) {
        return (
            Verdict::NotNeeded,
            format!("no client asks for what is in it, but for {}", all_right_names(findings)),
        );
    }
    // A wrong name beside the right ones is nobody's loss.
    if all(&[What::Same, What::WrongName]) {
        return (
            Verdict::Same,
            match same {
                1 => "its one answer is the same".to_owned(),
                _ => format!("all {same} answers are the same"),
            },
        );
    }
    let mut counts: BTreeMap<What, usize> = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.what).or_default() += 1;
    }
    let counted: Vec<String> =
        counts.iter().map(|(what, n)| format!("{n} {}", what.words())).collect();
    let above = if is_above(zone, view) {
        "; it stands above names of ours and hides all others there"
    } else {
        ""
    };
    (Verdict::Differs, counted.join(", ") + above)
}

/// The right names that findings of wrong ones tell, each once.
fn all_right_names(findings: &[Finding]) -> String {
    let right: BTreeSet<&str> =
        findings.iter().filter_map(|it| right_names(it.advice.as_deref()?)).collect();
    right.into_iter().collect::<Vec<_>>().join(" and ")
}

/// Whether the zone is at no name of ours and has some below it.
fn is_above(zone: &Zone, view: &ViewTable) -> bool {
    let own = patterns(view).any(|it| *it.name() == zone.name || it.covers(&zone.name));
    !own && patterns(view).any(|it| it.name().is_within(&zone.name))
}

fn findings(zone: &Zone, records: &[RecordSet], view: &ViewTable) -> Vec<Finding> {
    let mut asked: BTreeSet<Pattern> =
        patterns(view).filter(|it| it.name().is_within(&zone.name)).cloned().collect();
    // A zone within a wildcard of ours: its own name and all below it are ours.
    if patterns(view).any(|it| matches!(it, Pattern::Below(above) if zone.name.is_within(above))) {
        asked.insert(Pattern::Below(zone.name.clone()));
        if view.find(zone.name.as_wire()).is_some() {
            asked.insert(Pattern::Exact(zone.name.clone()));
        }
    }
    asked.extend(records.iter().map(|set| set.pattern.clone()));
    let mut findings = Vec::new();
    for pattern in asked {
        let asked = match &pattern {
            Pattern::Exact(name) => name.clone(),
            Pattern::Below(above) => match above.child(ANY_LABEL) {
                Ok(name) => name,
                // Nothing is below a name as long as a name can be.
                Err(_) => continue,
            },
        };
        let found = look_up(zone, records, &asked);
        let ours = says_of_ours(&asked, view);
        for rtype in [RecordType::A, RecordType::AAAA] {
            findings.extend(finding(&pattern, &asked, rtype, &found, &ours, view));
        }
        findings.extend(other_types(&pattern, &found, &ours));
    }
    findings.sort();
    findings
}

/// One name and type beside ours; nothing where neither has records.
fn finding(
    pattern: &Pattern,
    asked: &Name,
    rtype: RecordType,
    found: &Found<'_>,
    ours: &OfOurs<'_>,
    view: &ViewTable,
) -> Option<Finding> {
    let says = says(found, rtype, view);
    let at = |what, now: String, then: String| {
        let (name, rtype) = (pattern.to_string(), rtype.to_string());
        Some(Finding { name, rtype, what, now, then, advice: None })
    };
    let entry = match ours {
        OfOurs::Entry(entry) => entry,
        OfOurs::Elsewhere(target) => {
            let then = format!("{CNAME_TO} {target}");
            return match says {
                Says::Nothing => at(What::Hidden, NXDOMAIN.to_owned(), then),
                Says::Elsewhere(now) if now == then => at(What::Same, now, then),
                Says::Elsewhere(now) => at(What::UnknownTarget, now, then),
                Says::Addresses { words, .. } => at(What::OtherEndpoint, words, then),
            };
        }
        OfOurs::Nothing => return beside_ours(pattern, asked, rtype, says, view),
    };
    let (mine, then) = (addresses(entry, rtype), told(entry, rtype));
    match says {
        Says::Nothing if mine.is_empty() => None,
        Says::Nothing => match (found, pattern) {
            (Found::NxDomain, Pattern::Below(_)) => {
                at(What::MissingWildcard, NXDOMAIN.to_owned(), then)
            }
            (Found::NxDomain, Pattern::Exact(_)) => at(What::Hidden, NXDOMAIN.to_owned(), then),
            (Found::NoData | Found::Sets(_), _) => at(What::MissingType, NODATA.to_owned(), then),
        },
        Says::Elsewhere(target) => at(What::UnknownTarget, target, then),
        Says::Addresses { words, .. } if mine.is_empty() => at(What::LostType, words, then),
        Says::Addresses { ips, endpoints, words } => {
            let theirs: BTreeSet<IpAddr> = ips.into_iter().collect();
            let what = match () {
                () if theirs == mine => What::Same,
                () if endpoints.iter().any(|it| *it != entry.claim().endpoint) => {
                    What::OtherEndpoint
                }
                () if theirs.is_subset(&mine) => What::FewerAddresses,
                () => What::OldAddress,
            };
            at(what, words, then)
        }
    }
}

/// A name that is none of ours, and may lead to what is.
fn beside_ours(
    pattern: &Pattern,
    asked: &Name,
    rtype: RecordType,
    says: Says,
    view: &ViewTable,
) -> Option<Finding> {
    let (now, endpoint) = match says {
        Says::Nothing => return None,
        Says::Elsewhere(target) => (target, None),
        Says::Addresses { endpoints, words, .. } => (words, endpoints.into_iter().next()),
    };
    let (what, advice) = match endpoint.map(|it| astray(pattern, asked, &it, view)) {
        Some((what, advice)) => (what, Some(advice)),
        None => (What::NotOurs, None),
    };
    let (name, rtype, then) = (pattern.to_string(), rtype.to_string(), UPSTREAM.to_owned());
    Some(Finding { name, rtype, what, now, then, advice })
}

/// What we say of a name, our CNAMEs followed.
fn says_of_ours<'v>(name: &Name, view: &'v ViewTable) -> OfOurs<'v> {
    let mut found = match view.find(name.as_wire()) {
        None => return OfOurs::Nothing,
        Some(found) => found,
    };
    for _ in 0..CNAMES_MAX {
        let target = match found {
            Ours::Entry(entry) => return OfOurs::Entry(entry),
            Ours::Cname(cname) => &cname.target,
        };
        found = match view.find(target.as_wire()) {
            None => return OfOurs::Elsewhere(target),
            Some(found) => found,
        };
    }
    OfOurs::Nothing
}

/// Everything that we answer.
fn patterns(view: &ViewTable) -> impl Iterator<Item = &Pattern> {
    let entries = view.entries().iter().map(|entry| &entry.claim().pattern);
    entries.chain(view.cnames().iter().map(|cname| &cname.pattern))
}

const NXDOMAIN: &str = "NXDOMAIN";
const NODATA: &str = "no such record";
const CNAME_TO: &str = "CNAME to";
const UPSTREAM: &str = "what the upstream says";

/// Records of types that we do not have.
fn other_types(pattern: &Pattern, found: &Found<'_>, ours: &OfOurs<'_>) -> Vec<Finding> {
    let Found::Sets(sets) = found else { return Vec::new() };
    let others = sets.iter().filter_map(|set| match &set.target {
        Target::Other(values) => Some((set, values.join(", "))),
        Target::Addresses(_) | Target::Alias(_) | Target::Cname(_) => None,
    });
    let (what, then) = match ours {
        OfOurs::Entry(_) | OfOurs::Elsewhere(_) => (What::LostType, NODATA),
        OfOurs::Nothing => (What::NotOurs, UPSTREAM),
    };
    others
        .map(|(set, now)| Finding {
            name: pattern.to_string(),
            rtype: set.rtype.clone(),
            what,
            now,
            then: then.to_owned(),
            advice: None,
        })
        .collect()
}

/// What a zone says of a type, a CNAME's target looked up with us.
fn says(found: &Found<'_>, rtype: RecordType, view: &ViewTable) -> Says {
    let Found::Sets(sets) = found else { return Says::Nothing };
    let of_type = sets.iter().find(|set| set.rtype == rtype.to_string() || set.rtype == "CNAME");
    let Some(set) = of_type else { return Says::Nothing };
    let (names, how) = match &set.target {
        Target::Addresses(ips) => {
            let (ips, endpoints, words) = (ips.clone(), owners(ips, view), listed(ips));
            return Says::Addresses { ips, endpoints, words };
        }
        Target::Alias(names) => (names, "alias to"),
        Target::Cname(names) => (names, CNAME_TO),
        Target::Other(_) => return Says::Nothing,
    };
    let targets = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // Of a routing policy's targets each has its share of clients.
    let entries: Option<Vec<&Entry>> = names.iter().map(|name| target(name, view)).collect();
    let Some(entries) = entries else { return Says::Elsewhere(format!("{how} {targets}")) };
    let ips: BTreeSet<IpAddr> = entries.iter().flat_map(|entry| addresses(entry, rtype)).collect();
    if ips.is_empty() {
        return Says::Nothing;
    }
    let ips: Vec<IpAddr> = ips.into_iter().collect();
    Says::Addresses {
        words: format!("{} ({how} {targets})", listed(&ips)),
        ips,
        endpoints: entries.iter().map(|entry| entry.claim().endpoint.clone()).collect(),
    }
}

/// Who answers for an alias's target: the name itself, else the endpoint that it is called after.
fn target<'v>(name: &Name, view: &'v ViewTable) -> Option<&'v Entry> {
    let own = view.find(name.as_wire()).and_then(Ours::entry);
    let called_after = || {
        let endpoint = Target::endpoint_of(name)?;
        view.entries().iter().find(|entry| {
            entry.claim().endpoint == endpoint && !matches!(entry.claim().origin, Origin::Zonal(_))
        })
    };
    own.or_else(called_after)
}

fn addresses(entry: &Entry, rtype: RecordType) -> BTreeSet<IpAddr> {
    let ips = entry.claim().addresses.iter().map(|address| address.ip);
    ips.filter(|ip| ip.is_ipv6() == (rtype == RecordType::AAAA)).collect()
}

/// The endpoints that have these addresses; none where one of them is nobody's.
fn owners(ips: &[IpAddr], view: &ViewTable) -> BTreeSet<EndpointId> {
    let claims = || view.entries().iter().map(|entry| entry.claim());
    let owner = |ip: &IpAddr| claims().find(|it| it.addresses.iter().any(|at| at.ip == *ip));
    let owners = ips.iter().map(|ip| owner(ip).map(|claim| claim.endpoint.clone()));
    owners.collect::<Option<_>>().unwrap_or_default()
}

fn told(entry: &Entry, rtype: RecordType) -> String {
    match addresses(entry, rtype) {
        none if none.is_empty() => NODATA.to_owned(),
        ips => {
            format!("{} ({})", listed(&ips.into_iter().collect::<Vec<_>>()), entry.claim().endpoint)
        }
    }
}

fn listed(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
