//! What EC2 answered, in the shape in which the AWS CLI prints it.
//!
//! The one form that both kinds of source give to `normalise`, and that `save` writes. Keys that
//! we do not use are not kept. No opinion on what is there but one: an item without what makes it
//! an item means that the answer was cut short, and then the whole answer counts for nothing.

use serde::{Deserialize, Serialize};

use super::error::{Action, DiscoverError};
use crate::inventory::EndpointKind;

/// One source's raw lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// `VpcEndpoints` of `aws ec2 describe-vpc-endpoints`.
    pub endpoints: Vec<RecordedEndpoint>,
    /// `ServiceDetails` of `aws ec2 describe-vpc-endpoint-services`.
    pub services: Vec<RecordedService>,
    /// `NetworkInterfaces` of `aws ec2 describe-network-interfaces`.
    pub interfaces: Vec<RecordedInterface>,
    /// `VpcEndpointAssociations` of `aws ec2 describe-vpc-endpoint-associations`; nothing where
    /// they were not asked for or not told.
    pub associations: Option<Vec<RecordedAssociation>>,
    /// `Subnets` of `aws ec2 describe-subnets`; nothing where they were not asked for or not told.
    pub subnets: Option<Vec<RecordedSubnet>>,
}

/// `vpc-endpoints.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EndpointsFile {
    pub(super) vpc_endpoints: Vec<RecordedEndpoint>,
}

/// `vpc-endpoint-services.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ServicesFile {
    #[serde(default)]
    pub(super) service_names: Vec<String>,
    pub(super) service_details: Vec<RecordedService>,
}

/// `network-interfaces.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InterfacesFile {
    pub(super) network_interfaces: Vec<RecordedInterface>,
}

/// `vpc-endpoint-associations.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociationsFile {
    pub(super) vpc_endpoint_associations: Vec<RecordedAssociation>,
}

/// `subnets.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SubnetsFile {
    pub(super) subnets: Vec<RecordedSubnet>,
}

/// One of `VpcEndpoints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedEndpoint {
    pub vpc_endpoint_id: String,
    pub vpc_endpoint_type: String,
    pub vpc_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_network_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_configuration_arn: Option<String>,
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_options: Option<RecordedDnsOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_dns_enabled: Option<bool>,
    pub network_interface_ids: Vec<String>,
    pub dns_entries: Vec<RecordedDnsEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    pub tags: Vec<RecordedTag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
}

/// `DnsOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedDnsOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_record_ip_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_dns_only_for_inbound_resolver_endpoint: Option<bool>,
}

/// One of `DnsEntries`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedDnsEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_zone_id: Option<String>,
}

/// One of `Tags`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedTag {
    pub key: String,
    pub value: String,
}

/// One of `ServiceDetails`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedService {
    pub service_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<String>,
    pub service_type: Vec<RecordedServiceType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_dns_name: Option<String>,
    pub private_dns_names: Vec<RecordedPrivateName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_dns_name_verification_state: Option<String>,
}

/// One of a service's `ServiceType`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedServiceType {
    pub service_type: String,
}

/// One of `PrivateDnsNames`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedPrivateName {
    pub private_dns_name: String,
}

/// One of `NetworkInterfaces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedInterface {
    pub network_interface_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_ip_address: Option<String>,
    pub private_ip_addresses: Vec<RecordedPrivateAddress>,
    pub ipv6_addresses: Vec<RecordedIpv6Address>,
}

/// One of `PrivateIpAddresses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedPrivateAddress {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
    pub private_ip_address: String,
}

/// One of `Ipv6Addresses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedIpv6Address {
    pub ipv6_address: String,
}

/// One of `VpcEndpointAssociations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedAssociation {
    pub id: String,
    pub vpc_endpoint_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_network_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associated_resource_accessibility: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_entry: Option<RecordedDnsEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_dns_entry: Option<RecordedDnsEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associated_resource_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_configuration_group_arn: Option<String>,
}

/// One of `Subnets`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedSubnet {
    pub subnet_id: String,
    pub vpc_id: String,
    pub availability_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability_zone_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr_block: Option<String>,
    pub ipv6_cidr_block_association_set: Vec<RecordedIpv6Network>,
}

/// One of `Ipv6CidrBlockAssociationSet`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedIpv6Network {
    pub ipv6_cidr_block: String,
    pub ipv6_cidr_block_state: RecordedIpv6State,
}

/// `Ipv6CidrBlockState`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(missing_docs, reason = "the fields are EC2's, by EC2's names")]
pub struct RecordedIpv6State {
    pub state: String,
}

// === impl Recorded ===

impl Recorded {
    /// Fails when any item lacks what EC2 always gives. A body cut short on its way and framed
    /// anew by a proxy parses well, with its last item half filled: to skip that item would be to
    /// withdraw what it and its lost followers tell.
    pub fn check(&self, action: Option<Action>) -> Result<(), DiscoverError> {
        let of = |call: Action| action.unwrap_or(call);
        for (at, item) in self.endpoints.iter().enumerate() {
            item.check(of(Action::DescribeVpcEndpoints), at)?;
        }
        check_services(&self.services, of(Action::DescribeVpcEndpointServices))?;
        for (at, item) in self.interfaces.iter().enumerate() {
            item.check(of(Action::DescribeNetworkInterfaces), at)?;
        }
        let associations = self.associations.as_deref().unwrap_or_default();
        check_associations(associations, of(Action::DescribeVpcEndpointAssociations))
    }
}

/// The same for services alone: a look can do without those of another region.
pub(super) fn check_services(
    items: &[RecordedService],
    action: Action,
) -> Result<(), DiscoverError> {
    for (at, item) in items.iter().enumerate() {
        require(action, "ServiceDetails", at, "ServiceName", &item.service_name)?;
    }
    Ok(())
}

/// The same for the associations alone, which a look can do without.
pub(super) fn check_associations(
    items: &[RecordedAssociation],
    action: Action,
) -> Result<(), DiscoverError> {
    let list = "VpcEndpointAssociations";
    for (at, item) in items.iter().enumerate() {
        require(action, list, at, "Id", &item.id)?;
        require(action, list, at, "VpcEndpointId", &item.vpc_endpoint_id)?;
    }
    Ok(())
}

// === impl RecordedEndpoint ===

impl RecordedEndpoint {
    fn check(&self, action: Action, at: usize) -> Result<(), DiscoverError> {
        for (key, value) in [
            ("VpcEndpointId", &self.vpc_endpoint_id),
            ("VpcEndpointType", &self.vpc_endpoint_type),
            ("VpcId", &self.vpc_id),
            ("State", &self.state),
        ] {
            require(action, "VpcEndpoints", at, key, value)?;
        }
        for id in &self.network_interface_ids {
            require(action, "VpcEndpoints", at, "a NetworkInterfaceId", id)?;
        }
        require(action, "VpcEndpoints", at, "ServiceName", self.service())
    }

    /// Whether its names come by associations.
    pub(super) fn has_associations(&self) -> bool {
        EndpointKind::from(self.vpc_endpoint_type.as_str()).has_associations()
    }

    /// What it leads to: a service's name; for VPC Lattice, which has none, an ARN.
    pub(super) fn service(&self) -> &str {
        [&self.service_name, &self.resource_configuration_arn, &self.service_network_arn]
            .into_iter()
            .find_map(|name| name.as_deref())
            .unwrap_or_default()
    }
}

// === impl RecordedService ===

impl RecordedService {
    /// Whether interface endpoints lead to it. S3 and DynamoDB are listed twice under one name:
    /// as a service for gateway endpoints, which publishes nothing, and as one for interfaces.
    pub(super) fn takes_interfaces(&self) -> bool {
        self.service_type.iter().any(|kind| kind.service_type.eq_ignore_ascii_case("Interface"))
    }
}

// === impl RecordedInterface ===

impl RecordedInterface {
    fn check(&self, action: Action, at: usize) -> Result<(), DiscoverError> {
        let list = "NetworkInterfaces";
        require(action, list, at, "NetworkInterfaceId", &self.network_interface_id)?;
        for address in &self.private_ip_addresses {
            let text = &address.private_ip_address;
            require(action, list, at, "a PrivateIpAddress", text)?;
        }
        for address in &self.ipv6_addresses {
            require(action, list, at, "an Ipv6Address", &address.ipv6_address)?;
        }
        Ok(())
    }
}

fn require(
    action: Action,
    list: &str,
    at: usize,
    key: &str,
    value: &str,
) -> Result<(), DiscoverError> {
    match value.is_empty() {
        true => {
            let what = format!("item {} of {list} lacks {key}", at + 1);
            Err(DiscoverError::garbage(action, what))
        }
        false => Ok(()),
    }
}
