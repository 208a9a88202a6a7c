//! Which names an endpoint offers, and where each comes from.
//!
//! Names are taken verbatim and never made from a service's name; the one exception is the apex
//! of S3's wildcards. Decides nothing about whether they are answered.

use std::{collections::HashSet, sync::Arc};

use crate::base::{Az, Name, NameError, Pattern};

use super::{Caveat, Origin, select::Speaker};

/// The service whose published wildcards lack their apex.
const S3: &str = "s3";

/// Services whose one wildcard stands for resources of many owners.
const SHARED_WILDCARDS: [&str; 5] =
    ["execute-api", "grafana-workspace", "notebook", "studio", "transfer.server"];

/// Services whose endpoints GuardDuty makes by itself.
const MADE_PER_VPC: [&str; 2] = ["guardduty-data", "guardduty-data-fips"];

/// A name that an endpoint could answer.
pub(super) struct Offer {
    /// As it was published.
    pub(super) text: Arc<str>,
    /// What that means, if it is a name at all.
    pub(super) pattern: Result<Pattern, NameError>,
    /// Where it comes from.
    pub(super) origin: Origin,
}

/// Every name of an endpoint, each once: what the service publishes, the apexes of S3, then what
/// of `DnsEntries` is not among those. Two spellings of one name are one name.
pub(super) fn offers(speaker: &Speaker<'_>) -> Vec<Offer> {
    let published = speaker.service.map_or(&[][..], |s| &s.private_names[..]);
    let mut offers: Vec<Offer> =
        in_order(published).map(|text| Offer::verbatim(text, Origin::Published)).collect();
    if speaker.short == S3 {
        let apexes: Vec<Offer> = offers.iter().filter_map(Offer::apex).collect();
        offers.extend(apexes);
    }
    offers.extend(
        in_order(&speaker.endpoint.dns_entries)
            .map(|text| Offer::verbatim(text, dns_entry_origin(speaker, text))),
    );
    let mut seen = HashSet::new();
    let mut seen_text = HashSet::new();
    offers.retain(|offer| match &offer.pattern {
        Ok(pattern) => seen.insert(pattern.clone()),
        Err(_) => seen_text.insert(offer.text.clone()),
    });
    offers
}

/// Of two spellings of one name the same one is kept whatever the order of the list.
fn in_order(texts: &[String]) -> impl Iterator<Item = &str> {
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.sort_unstable();
    texts.into_iter()
}

/// What an operator should know of a name of this service.
pub(super) fn caveats(speaker: &Speaker<'_>, pattern: &Pattern, origin: &Origin) -> Vec<Caveat> {
    let lent = match origin {
        Origin::Published
        | Origin::S3Apex
        | Origin::DnsEntry
        | Origin::Alias
        | Origin::Allowed
        | Origin::AliasSet(_) => true,
        Origin::Regional | Origin::Zonal(_) => false,
    };
    let is_wildcard = matches!(pattern, Pattern::Below(_));
    let short = speaker.short.as_str();
    let mut caveats = Vec::new();
    if lent && is_wildcard && SHARED_WILDCARDS.contains(&short) {
        caveats.push(Caveat::SharedWildcard);
    }
    if lent && MADE_PER_VPC.contains(&short) {
        caveats.push(Caveat::MadePerVpc);
    }
    caveats
}

/// Tells the endpoint's own names, `ID-random.…` and `ID-random-ZONE.…`, from private ones.
///
/// A zone without an interface of this endpoint is still a zone: such a name has no address, and
/// must not be mistaken for the regional one.
fn dns_entry_origin(speaker: &Speaker<'_>, text: &str) -> Origin {
    let first = text.strip_prefix("*.").unwrap_or(text);
    let label = first.split('.').next().unwrap_or(first).to_ascii_lowercase();
    let id = speaker.endpoint.id.as_str().to_ascii_lowercase();
    let own = match label.strip_prefix(&id) {
        Some("") => return Origin::Regional,
        Some(tail) => tail.strip_prefix('-'),
        None => None,
    };
    let Some(own) = own else {
        return Origin::DnsEntry;
    };
    let zones = speaker.addresses.iter().map(|address| &address.az);
    let of_interface = zones
        .filter(|az| {
            let head = own.strip_suffix(&az.name.to_ascii_lowercase());
            head.is_some_and(|head| head.is_empty() || head.ends_with('-'))
        })
        .max_by_key(|az| az.name.len());
    match (of_interface, own.split_once('-')) {
        (Some(az), _) => Origin::Zonal(az.clone()),
        (None, Some((_random, zone))) => Origin::Zonal(Az { name: Arc::from(zone), id: None }),
        (None, None) => Origin::Regional,
    }
}

// === impl Offer ===

impl Offer {
    fn verbatim(text: &str, origin: Origin) -> Self {
        Self { text: Arc::from(text), pattern: Pattern::parse(text), origin }
    }

    /// The name below which its service has all names: of a wildcard that is not the endpoint's
    /// own.
    pub(super) fn wildcard(self) -> Option<Name> {
        match (self.origin, self.pattern) {
            (Origin::Published | Origin::DnsEntry, Ok(Pattern::Below(parent))) => Some(parent),
            _ => None,
        }
    }

    /// The apex of a wildcard.
    fn apex(&self) -> Option<Offer> {
        match &self.pattern {
            Ok(Pattern::Below(apex)) => Some(Offer {
                text: Arc::from(apex.to_string()),
                pattern: Ok(Pattern::Exact(apex.clone())),
                origin: Origin::S3Apex,
            }),
            Ok(Pattern::Exact(_)) | Err(_) => None,
        }
    }
}
