//! The SDK's structures in the shape of a recording.
//!
//! Copies, and judges nothing: what is missing is left empty for `normalise` to refuse.

use aws_sdk_ec2::types;
use aws_smithy_types::date_time::Format;

use crate::discover::recorded::{
    RecordedAssociation, RecordedDnsEntry, RecordedDnsOptions, RecordedEndpoint, RecordedInterface,
    RecordedIpv6Address, RecordedIpv6Network, RecordedIpv6State, RecordedPrivateAddress,
    RecordedPrivateName, RecordedService, RecordedServiceType, RecordedSubnet, RecordedTag,
};

pub(super) fn endpoint(found: types::VpcEndpoint) -> RecordedEndpoint {
    RecordedEndpoint {
        vpc_endpoint_id: found.vpc_endpoint_id.unwrap_or_default(),
        // `as_str`, not the variants: EC2 spells its words in camel case, for which the SDK has
        // no variants and says `Unknown("available")`.
        vpc_endpoint_type: word(found.vpc_endpoint_type, |kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        vpc_id: found.vpc_id.unwrap_or_default(),
        service_name: found.service_name,
        service_region: found.service_region,
        service_network_arn: found.service_network_arn,
        resource_configuration_arn: found.resource_configuration_arn,
        state: word(found.state, |state| state.as_str().to_owned()).unwrap_or_default(),
        ip_address_type: word(found.ip_address_type, |kind| kind.as_str().to_owned()),
        dns_options: found.dns_options.map(|options| RecordedDnsOptions {
            dns_record_ip_type: word(options.dns_record_ip_type, |kind| kind.as_str().to_owned()),
            private_dns_only_for_inbound_resolver_endpoint: options
                .private_dns_only_for_inbound_resolver_endpoint,
        }),
        private_dns_enabled: found.private_dns_enabled,
        network_interface_ids: found.network_interface_ids.unwrap_or_default(),
        dns_entries: found
            .dns_entries
            .unwrap_or_default()
            .into_iter()
            .map(|entry| RecordedDnsEntry {
                dns_name: entry.dns_name,
                hosted_zone_id: entry.hosted_zone_id,
            })
            .collect(),
        creation_timestamp: found
            .creation_timestamp
            .and_then(|instant| instant.fmt(Format::DateTime).ok()),
        tags: found
            .tags
            .unwrap_or_default()
            .into_iter()
            .map(|tag| RecordedTag {
                key: tag.key.unwrap_or_default(),
                value: tag.value.unwrap_or_default(),
            })
            .collect(),
        owner_id: found.owner_id,
    }
}

pub(super) fn service(found: types::ServiceDetail) -> RecordedService {
    RecordedService {
        service_name: found.service_name.unwrap_or_default(),
        service_id: found.service_id,
        service_type: found
            .service_type
            .unwrap_or_default()
            .into_iter()
            .map(|kind| RecordedServiceType {
                service_type: word(kind.service_type, |kind| kind.as_str().to_owned())
                    .unwrap_or_default(),
            })
            .collect(),
        owner: found.owner,
        private_dns_name: found.private_dns_name,
        private_dns_names: found
            .private_dns_names
            .unwrap_or_default()
            .into_iter()
            .map(|name| RecordedPrivateName {
                private_dns_name: name.private_dns_name.unwrap_or_default(),
            })
            .collect(),
        private_dns_name_verification_state: word(
            found.private_dns_name_verification_state,
            |state| state.as_str().to_owned(),
        ),
    }
}

pub(super) fn interface(found: types::NetworkInterface) -> RecordedInterface {
    RecordedInterface {
        network_interface_id: found.network_interface_id.unwrap_or_default(),
        vpc_id: found.vpc_id,
        subnet_id: found.subnet_id,
        availability_zone: found.availability_zone,
        availability_zone_id: found.availability_zone_id,
        private_ip_address: found.private_ip_address,
        private_ip_addresses: found
            .private_ip_addresses
            .unwrap_or_default()
            .into_iter()
            .map(|address| RecordedPrivateAddress {
                primary: address.primary,
                private_ip_address: address.private_ip_address.unwrap_or_default(),
            })
            .collect(),
        ipv6_addresses: found
            .ipv6_addresses
            .unwrap_or_default()
            .into_iter()
            .map(|address| RecordedIpv6Address {
                ipv6_address: address.ipv6_address.unwrap_or_default(),
            })
            .collect(),
    }
}

pub(super) fn association(found: types::VpcEndpointAssociation) -> RecordedAssociation {
    let entry = |entry: types::DnsEntry| RecordedDnsEntry {
        dns_name: entry.dns_name,
        hosted_zone_id: entry.hosted_zone_id,
    };
    RecordedAssociation {
        id: found.id.unwrap_or_default(),
        vpc_endpoint_id: found.vpc_endpoint_id.unwrap_or_default(),
        service_network_arn: found.service_network_arn,
        associated_resource_accessibility: found.associated_resource_accessibility,
        dns_entry: found.dns_entry.map(entry),
        private_dns_entry: found.private_dns_entry.map(entry),
        associated_resource_arn: found.associated_resource_arn,
        resource_configuration_group_arn: found.resource_configuration_group_arn,
    }
}

pub(super) fn subnet(found: types::Subnet) -> RecordedSubnet {
    RecordedSubnet {
        subnet_id: found.subnet_id.unwrap_or_default(),
        vpc_id: found.vpc_id.unwrap_or_default(),
        availability_zone: found.availability_zone.unwrap_or_default(),
        availability_zone_id: found.availability_zone_id,
        cidr_block: found.cidr_block,
        ipv6_cidr_block_association_set: found
            .ipv6_cidr_block_association_set
            .unwrap_or_default()
            .into_iter()
            .map(|it| RecordedIpv6Network {
                ipv6_cidr_block: it.ipv6_cidr_block.unwrap_or_default(),
                ipv6_cidr_block_state: RecordedIpv6State {
                    state: word(it.ipv6_cidr_block_state.and_then(|it| it.state), |state| {
                        state.as_str().to_owned()
                    })
                    .unwrap_or_default(),
                },
            })
            .collect(),
    }
}

/// A word of one of the SDK's open lists, as EC2 spelled it.
fn word<T>(found: Option<T>, text: impl Fn(&T) -> String) -> Option<String> {
    found.as_ref().map(text)
}
