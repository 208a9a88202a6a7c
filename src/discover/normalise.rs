//! Turns what EC2 answered into facts.
//!
//! Pure, and the only way from a recording to the inventory, whichever source it came from: no
//! page order, no repeat and no unrelated item of the account shows in the result.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    base::{AccountId, Az, EndpointId, EniId, Region, ServiceName, VpcId},
    inventory::{
        Association, Endpoint, EndpointKind, EndpointState, Interface, IpAddressType, RecordIpType,
        Service, SourceFacts, Verification,
    },
};

use super::{
    config::{SourceConfig, SourceKind},
    error::{Action, DiscoverError},
    recorded::{
        Recorded, RecordedAssociation, RecordedDnsEntry, RecordedEndpoint, RecordedInterface,
        RecordedService,
    },
    subnets::subnets,
};

/// The facts in one source's answers. `region` is the one that was asked; a recording that came
/// without is asked where its interfaces or services say they are.
///
/// Only endpoints that the source is configured to take are kept, with the services and the
/// interfaces that they name. EC2's lists agree with each other only in the end: an endpoint may
/// name an interface that the interfaces' list does not have yet, or no longer. Such an endpoint
/// is kept as it is; `refresh` mends it by what it knew before.
pub fn normalise(
    source: &SourceConfig,
    region: Option<Region>,
    recorded: &Recorded,
) -> Result<SourceFacts, DiscoverError> {
    let files = match &source.kind {
        SourceKind::Ec2 { .. } => None,
        SourceKind::Files { .. } | SourceKind::Demo => Some(Action::Files),
    };
    recorded.check(files)?;
    let region = region.or_else(|| region_told_by(recorded));

    // Of two items with one id `SourceFacts` keeps the first: sorted whole, the first is the same
    // in any order of pages.
    let endpoints: BTreeSet<&RecordedEndpoint> =
        recorded.endpoints.iter().filter(|endpoint| wanted(source, endpoint)).collect();
    let named: BTreeSet<&str> = endpoints.iter().map(|item| item.service()).collect();
    let used: BTreeSet<&str> = endpoints
        .iter()
        .flat_map(|item| item.network_interface_ids.iter().map(String::as_str))
        .collect();
    // The first of two services with one name is the one for interfaces.
    let mut services: Vec<&RecordedService> = recorded
        .services
        .iter()
        .filter(|service| named.contains(service.service_name.as_str()))
        .collect();
    services.sort_by_key(|service| (!service.takes_interfaces(), *service));
    let interfaces: BTreeSet<&RecordedInterface> = recorded
        .interfaces
        .iter()
        .filter(|interface| used.contains(interface.network_interface_id.as_str()))
        .collect();

    let of = |call: Action| files.unwrap_or(call);
    Ok(SourceFacts::new(
        source.name.clone(),
        region.clone(),
        endpoints
            .into_iter()
            .map(|item| {
                let action = of(Action::DescribeVpcEndpoints);
                let associations = associations(item, recorded.associations.as_deref());
                endpoint(item, region.as_ref(), action).map(|it| Endpoint { associations, ..it })
            })
            .collect::<Result<_, _>>()?,
        services.into_iter().map(service).collect(),
        interfaces
            .into_iter()
            .map(|item| interface(item, of(Action::DescribeNetworkInterfaces)))
            .collect::<Result<_, _>>()?,
    )
    .with_subnets(
        recorded
            .subnets
            .as_deref()
            .map(|list| subnets(list, of(Action::DescribeSubnets)))
            .transpose()?,
    ))
}

/// Whether the source is configured to take this endpoint, by its VPC and its tags.
pub(super) fn wanted(source: &SourceConfig, endpoint: &RecordedEndpoint) -> bool {
    let in_vpc = source.vpc_ids.is_empty()
        || source.vpc_ids.iter().any(|vpc| vpc.as_str() == endpoint.vpc_id);
    let tagged = source
        .tags
        .iter()
        .all(|(key, value)| endpoint.tags.iter().any(|tag| tag.key == *key && tag.value == *value));
    in_vpc && tagged
}

fn endpoint(
    item: &RecordedEndpoint,
    region: Option<&Region>,
    action: Action,
) -> Result<Endpoint, DiscoverError> {
    let id = &item.vpc_endpoint_id;
    let created = item
        .creation_timestamp
        .as_deref()
        .map(|text| parsed::<Timestamp>(text, "CreationTimestamp", id, action))
        .transpose()?;
    let ip_type = IpAddressType::from(item.ip_address_type.as_deref().unwrap_or("ipv4"));
    let options = item.dns_options.clone().unwrap_or_default();
    let record_ip_type = match options.dns_record_ip_type.as_deref() {
        Some(word) => RecordIpType::from(word),
        None => RecordIpType::from(ip_type.as_str()),
    };
    let mut interfaces: Vec<EniId> =
        item.network_interface_ids.iter().map(|id| EniId::from(id.as_str())).collect();
    interfaces.sort();
    interfaces.dedup();
    let mut seen = BTreeSet::new();
    Ok(Endpoint {
        id: EndpointId::from(id.as_str()),
        kind: EndpointKind::from(item.vpc_endpoint_type.as_str()),
        state: EndpointState::from(item.state.as_str()),
        service: ServiceName::from(item.service()),
        service_region: item
            .service_region
            .as_deref()
            .map(Region::from)
            .filter(|its| Some(its) != region),
        vpc: VpcId::from(item.vpc_id.as_str()),
        owner: item.owner_id.as_deref().map(AccountId::from),
        ip_type,
        record_ip_type,
        onprem_only: options.private_dns_only_for_inbound_resolver_endpoint.unwrap_or(false),
        created,
        tags: item.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
        dns_entries: item
            .dns_entries
            .iter()
            .filter_map(|entry| entry.dns_name.clone())
            .filter(|name| seen.insert(name.clone()))
            .collect(),
        interfaces,
        associations: None,
    })
}

/// What is told of an endpoint that has associations; nothing for one that has not, or where
/// nothing could be told.
fn associations(
    item: &RecordedEndpoint,
    told: Option<&[RecordedAssociation]>,
) -> Option<Vec<Association>> {
    let told = told.filter(|_| item.has_associations())?;
    let name = |entry: &Option<RecordedDnsEntry>| entry.as_ref()?.dns_name.clone();
    let its = told.iter().filter(|it| it.vpc_endpoint_id == item.vpc_endpoint_id);
    let mut associations: Vec<Association> = its
        .map(|it| Association {
            id: Arc::from(it.id.as_str()),
            accessibility: it
                .associated_resource_accessibility
                .as_deref()
                .unwrap_or_default()
                .into(),
            dns_name: name(&it.dns_entry),
            private_name: name(&it.private_dns_entry),
            agreed: item.private_dns_enabled.unwrap_or(false),
        })
        .collect();
    associations.sort();
    associations.dedup_by(|b, a| a.id == b.id);
    Some(associations)
}

fn service(item: &RecordedService) -> Service {
    let mut private_names: Vec<String> = item
        .private_dns_names
        .iter()
        .map(|name| name.private_dns_name.clone())
        .filter(|name| !name.is_empty())
        .collect();
    // The list came in 2021; what was recorded earlier has the single name alone.
    if private_names.is_empty() {
        private_names.extend(item.private_dns_name.clone());
    }
    private_names.sort();
    private_names.dedup();
    let verification = match item.private_dns_name_verification_state.as_deref() {
        Some(word) => Verification::from(word),
        // Said of every name that needs proof, and not said where there is none to prove.
        None => match item.owner.as_deref() {
            Some("amazon") => Verification::Verified,
            Some(_) | None => Verification::PendingVerification,
        },
    };
    Service {
        name: ServiceName::from(item.service_name.as_str()),
        private_names,
        verification,
        owner: item.owner.clone(),
    }
}

fn interface(item: &RecordedInterface, action: Action) -> Result<Interface, DiscoverError> {
    let id = &item.network_interface_id;
    let Some(az) = item.availability_zone.as_deref() else {
        let what = format!("the interface {id} lacks AvailabilityZone");
        return Err(DiscoverError::garbage(action, what));
    };
    let mut addresses: Vec<_> = item.private_ip_addresses.iter().collect();
    // The sort is stable: the others stay in AWS's order.
    addresses.sort_by_key(|address| address.primary != Some(true));
    let mut ipv4 = addresses
        .into_iter()
        .map(|address| {
            let text = &address.private_ip_address;
            parsed::<Ipv4Addr>(text, "PrivateIpAddress", id, action)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if let (true, Some(text)) = (ipv4.is_empty(), item.private_ip_address.as_deref()) {
        ipv4.push(parsed(text, "PrivateIpAddress", id, action)?);
    }
    let ipv6 = item
        .ipv6_addresses
        .iter()
        .map(|address| parsed::<Ipv6Addr>(&address.ipv6_address, "Ipv6Address", id, action))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Interface {
        id: EniId::from(id.as_str()),
        az: Az { name: Arc::from(az), id: item.availability_zone_id.as_deref().map(Arc::from) },
        ipv4,
        ipv6,
    })
}

fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    text: &str,
    key: &str,
    of: &str,
    action: Action,
) -> Result<T, DiscoverError> {
    text.parse().map_err(|error: T::Err| DiscoverError::Garbage {
        action,
        what: format!("{of} has the {key} {text:?}"),
        source: Some(Box::new(error)),
    })
}

/// The region of a recording: where all its interfaces' zones are; without interfaces, the one
/// that all its endpoints' services name. `None` where they do not agree.
fn region_told_by(recorded: &Recorded) -> Option<Region> {
    let zones = recorded
        .interfaces
        .iter()
        .filter_map(|item| item.availability_zone.as_deref())
        .filter_map(region_of_zone);
    let names = recorded
        .endpoints
        .iter()
        .filter_map(|item| item.service().split('.').find(|part| is_region(part)));
    the_one(zones).or_else(|| the_one(names)).map(Region::from)
}

fn the_one<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = words.next()?;
    words.all(|word| word == first).then_some(first)
}

/// `eu-west-1` of `eu-west-1a` and of `eu-west-1-lon-1a` alike: up to the first digit's part.
fn region_of_zone(zone: &str) -> Option<&str> {
    let digit = zone.find(|c: char| c.is_ascii_digit())?;
    let digits = zone.get(digit..)?;
    let len = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    zone.get(..digit + len).filter(|text| is_region(text))
}

/// Whether the text looks like `eu-west-1` or `us-gov-west-1`: words, then a number.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [words @ .., number] => {
            2 <= words.len()
                && words
                    .iter()
                    .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests;
