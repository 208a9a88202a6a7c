//! Services with their published names, interfaces with their addresses, subnets with their networks.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::endpoint::open_words;
use crate::base::{Az, EniId, ServiceName, SubnetId, VpcId};

/// An endpoint service as DescribeVpcEndpointServices tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// `ServiceName`.
    pub name: ServiceName,
    /// `PrivateDnsNames[].PrivateDnsName`, verbatim, sorted, without repeats.
    pub private_names: Vec<String>,
    /// `PrivateDnsNameVerificationState`.
    pub verification: Verification,
    /// `Owner`: `amazon`, or an account.
    pub owner: Option<String>,
}

open_words! {
    /// `PrivateDnsNameVerificationState`: whether the owner proved that the name is its own.
    Verification {
        /// It did; AWS's own services always have.
        Verified = "verified",
        /// Not yet.
        PendingVerification = "pendingVerification",
        /// It could not.
        Failed = "failed",
    }
}

/// A network interface of an endpoint as DescribeNetworkInterfaces tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// `NetworkInterfaceId`.
    pub id: EniId,
    /// `AvailabilityZone` and `AvailabilityZoneId`.
    pub az: Az,
    /// `PrivateIpAddresses[].PrivateIpAddress`, the primary first.
    pub ipv4: Vec<Ipv4Addr>,
    /// `Ipv6Addresses[].Ipv6Address`, in AWS's order.
    pub ipv6: Vec<Ipv6Addr>,
}

/// A subnet as DescribeSubnets tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// `SubnetId`.
    pub id: SubnetId,
    /// `VpcId`.
    pub vpc: VpcId,
    /// `AvailabilityZone` and `AvailabilityZoneId`.
    pub az: Az,
    /// `CidrBlock` and the associated `Ipv6CidrBlock`s, sorted.
    pub networks: Vec<IpNet>,
}
