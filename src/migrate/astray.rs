//! Names of a zone that we do not answer though they lead to an endpoint of ours.

use super::finding::What;
use crate::{
    base::{EndpointId, Name, Pattern},
    coverage::Known,
    policy::{AliasSet, Claim, Origin},
    table::ViewTable,
};

/// Labels that a misspelt name has in common with the right one at least: `eu-west-1.amazonaws.com`.
const COMMON_LABELS_MIN: usize = 3;

/// What the advice for a misspelt name begins with.
const ASKED_FOR: &str = "clients ask for ";

/// What such a name is, and what to know before the zone goes. `asked` is a name of the pattern.
pub(super) fn astray(
    pattern: &Pattern,
    asked: &Name,
    endpoint: &EndpointId,
    view: &ViewTable,
) -> (What, String) {
    // An alias to what was declined would go round the reason.
    let declined = || view.declined().iter().filter(|it| it.concerns(asked));
    let of_it = declined().find(|it| it.endpoint.as_ref() == Some(endpoint));
    if let Some(declined) = of_it.or_else(|| declined().next()) {
        return (What::Declined, format!("hubdns declines it: {}", declined.why));
    }
    let right: Vec<&Claim> = published(endpoint, view).collect();
    let set_of = |claim: &&Claim| AliasSet::with(pattern, &claim.pattern, &claim.service);
    if let Some(set) = right.iter().find_map(set_of) {
        let advice = format!("clients call it: `alias_sets = [\"{set}\"]` answers it");
        return (What::Unpublished, advice);
    }
    let alias = format!("an `[[answers.alias]]` to {endpoint} answers it");
    if Known::table().has(asked) {
        return (What::Unpublished, format!("clients call it: {alias}"));
    }
    let common = |right: &Pattern| {
        let (ours, theirs) = (right.name().labels().rev(), pattern.name().labels().rev());
        ours.zip(theirs).take_while(|(a, b)| a == b).count()
    };
    match right.iter().any(|it| COMMON_LABELS_MIN <= common(&it.pattern)) {
        true => {
            let right: Vec<String> = right.iter().map(|it| it.pattern.to_string()).collect();
            (What::WrongName, format!("{ASKED_FOR}{}", right.join(" and ")))
        }
        false => (What::OwnName, alias),
    }
}

/// The right names that the advice for a misspelt one tells.
pub(super) fn right_names(advice: &str) -> Option<&str> {
    advice.strip_prefix(ASKED_FOR)
}

/// What the service of an endpoint publishes.
fn published<'v>(endpoint: &EndpointId, view: &'v ViewTable) -> impl Iterator<Item = &'v Claim> {
    let claims = view.entries().iter().map(|entry| entry.claim());
    claims.filter(move |claim| claim.endpoint == *endpoint).filter(|claim| match claim.origin {
        Origin::Published | Origin::S3Apex | Origin::Allowed => true,
        Origin::Regional
        | Origin::Zonal(_)
        | Origin::DnsEntry
        | Origin::Association
        | Origin::AssociationPrivate
        | Origin::Alias
        | Origin::AliasSet(_) => false,
    })
}
