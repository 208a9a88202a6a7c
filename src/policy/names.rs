//! Which names an endpoint offers, and where each comes from.
//!
//! Names are taken verbatim and never made from a service's name; the one exception is the apex
//! of S3's wildcards. Decides nothing about whether they are answered.

use std::{collections::HashSet, sync::Arc};

use crate::base::{Az, Name, NameError, Pattern};

use super::{Caveat, Origin, Reason, select::Speaker};
use crate::inventory::{Association, Endpoint, EndpointKind};

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
    /// Why its endpoint cannot answer it with addresses, whatever a view says.
    pub(super) hindrance: Option<Reason>,
    /// A public name of the same thing, for which it can stand then.
    pub(super) stands_for: Option<Name>,
}

/// Every name of an endpoint, each once: what the service publishes, the apexes of S3, then what
/// of `DnsEntries` is not among those. Two spellings of one name are one name.
pub(super) fn offers(speaker: &Speaker<'_>) -> Vec<Offer> {
    if speaker.endpoint.kind.has_associations() {
        return of_associations(speaker.endpoint);
    }
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

/// Whether all addresses of an endpoint lead to the same.
pub(super) fn leads_to_one(endpoint: &Endpoint) -> bool {
    match &endpoint.kind {
        EndpointKind::Resource => endpoint.associations.as_ref().is_some_and(|all| all.len() == 1),
        EndpointKind::ServiceNetwork => false,
        EndpointKind::Interface
        | EndpointKind::Gateway
        | EndpointKind::GatewayLoadBalancer
        | EndpointKind::Tunnel
        | EndpointKind::Other(_) => true,
    }
}

/// The names of what a Resource or ServiceNetwork endpoint leads to. Of one resource alone EC2 tells
/// the addresses: they are all that the endpoint has. A service network's interfaces have those of
/// everything in it, and so have a group's.
fn of_associations(endpoint: &Endpoint) -> Vec<Offer> {
    let associations = endpoint.associations.as_deref().unwrap_or_default();
    let is_one = leads_to_one(endpoint);
    let mut offers = Vec::new();
    for Association { accessibility, dns_name, private_name, agreed, .. } in associations {
        let inaccessible = (!accessibility.is_accessible())
            .then(|| Reason::Inaccessible(Arc::from(accessibility.as_str())));
        let untold = || {
            let public = dns_name.as_deref().map(Arc::from);
            (!is_one).then_some(Reason::AddressUntold(public))
        };
        let hindrance = inaccessible.clone().or_else(untold);
        offers.extend(dns_name.iter().map(|text| Offer {
            hindrance: hindrance.clone(),
            ..Offer::verbatim(text, Origin::Association)
        }));
        let lost = inaccessible.or_else(|| (!agreed).then_some(Reason::NotAgreed));
        let public = dns_name.as_deref().filter(|_| lost.is_none());
        let hindrance = lost.or_else(untold);
        offers.extend(private_name.iter().map(|text| Offer {
            hindrance: hindrance.clone(),
            stands_for: public.and_then(|public| public.parse().ok()),
            ..Offer::verbatim(text, Origin::AssociationPrivate)
        }));
    }
    // Of two things with one name the one that can be used has it, be it by its public name.
    offers.sort_by_key(|offer| match (&offer.hindrance, &offer.stands_for) {
        (None, _) => 0,
        (Some(_), Some(_)) => 1,
        (Some(_), None) => 2,
    });
    let mut seen = HashSet::new();
    offers.retain(|offer| seen.insert(offer.text.to_ascii_lowercase()));
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
    let lent = origin.is_lent();
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
            // Services of another region are told apart by the zones' ids.
            let words = [Some(&az.name), az.id.as_ref()];
            words.into_iter().flatten().any(|word| {
                let head = own.strip_suffix(&word.to_ascii_lowercase());
                head.is_some_and(|head| head.is_empty() || head.ends_with('-'))
            })
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
        Self {
            text: Arc::from(text),
            pattern: Pattern::parse(text),
            origin,
            hindrance: None,
            stands_for: None,
        }
    }

    /// The name below which its service has all names: of a wildcard that is not the endpoint's
    /// own.
    pub(super) fn wildcard(&self) -> Option<&Name> {
        match (&self.origin, &self.pattern) {
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
                hindrance: None,
                stands_for: None,
            }),
            Ok(Pattern::Exact(_)) | Err(_) => None,
        }
    }
}
