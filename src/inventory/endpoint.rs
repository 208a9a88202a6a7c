//! A VPC endpoint as DescribeVpcEndpoints tells of it.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::{AccountId, EndpointId, EniId, Region, ServiceName, VpcId};

/// One VPC endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `VpcEndpointId`.
    pub id: EndpointId,
    /// `VpcEndpointType`.
    pub kind: EndpointKind,
    /// `State`.
    pub state: EndpointState,
    /// `ServiceName`.
    pub service: ServiceName,
    /// `ServiceRegion`, where it differs from the endpoint's own.
    pub service_region: Option<Region>,
    /// `VpcId`.
    pub vpc: VpcId,
    /// `OwnerId`.
    pub owner: Option<AccountId>,
    /// `IpAddressType`; ipv4 where AWS does not say.
    pub ip_type: IpAddressType,
    /// `DnsOptions.DnsRecordIpType`; the same as `ip_type` where AWS does not say.
    pub record_ip_type: RecordIpType,
    /// `DnsOptions.PrivateDnsOnlyForInboundResolverEndpoint`: its owner wants on-premises
    /// clients answered and VPCs left alone.
    pub onprem_only: bool,
    /// `CreationTimestamp`.
    pub created: Option<Timestamp>,
    /// `Tags`.
    pub tags: BTreeMap<String, String>,
    /// `DnsEntries[].DnsName`, verbatim, in AWS's order without repeats: the endpoint's regional
    /// and zonal names, and its private ones where private DNS is on.
    pub dns_entries: Vec<String>,
    /// `NetworkInterfaceIds`, sorted.
    pub interfaces: Vec<EniId>,
    /// Of a Resource or ServiceNetwork endpoint what DescribeVpcEndpointAssociations tells, sorted
    /// by id; nothing where that could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub associations: Option<Vec<Association>>,
}

/// One thing that a Resource or ServiceNetwork endpoint leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Association {
    /// `Id`.
    pub id: Arc<str>,
    /// `AssociatedResourceAccessibility`.
    pub accessibility: Accessibility,
    /// `DnsEntry.DnsName`: its own name, which is public and leads to addresses of the endpoint.
    pub dns_name: Option<String>,
    /// `PrivateDnsEntry.DnsName`: the name that the resource's owner chose.
    pub private_name: Option<String>,
    /// Whether `PrivateDnsEnabled` is set on the endpoint, by which its owner agreed to names that
    /// others choose.
    pub agreed: bool,
}

/// A word of an open list: one we know, or another verbatim. AWS adds words without notice, and
/// spells them in camel case on the wire and otherwise in its models, so case never counts.
macro_rules! open_words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A word that AWS has added since, as it came.
            Other(Arc<str>),
        }

        impl $name {
            /// The word as AWS documents it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                $(if word.eq_ignore_ascii_case($word) {
                    return Self::$variant;
                })*
                Self::Other(Arc::from(word))
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}
pub(super) use open_words;

open_words! {
    /// `VpcEndpointType`.
    EndpointKind {
        /// Interfaces in subnets: the kind that has answers for us.
        Interface = "Interface",
        /// A route, no interface.
        Gateway = "Gateway",
        /// Traffic inspection; nothing asks for it by name.
        GatewayLoadBalancer = "GatewayLoadBalancer",
        /// A VPC Lattice resource, or a group of them.
        Resource = "Resource",
        /// A VPC Lattice service network: resources and services of it.
        ServiceNetwork = "ServiceNetwork",
        /// An AWS-managed tunnel.
        Tunnel = "Tunnel",
    }
    /// `State`.
    EndpointState {
        /// Waits for the service's owner to accept.
        PendingAcceptance = "pendingAcceptance",
        /// Being made.
        Pending = "pending",
        /// In use.
        Available = "available",
        /// On its way out.
        Deleting = "deleting",
        /// Gone; AWS lists it for a while.
        Deleted = "deleted",
        /// The service's owner said no.
        Rejected = "rejected",
        /// Could not be made.
        Failed = "failed",
        /// Was never accepted in time.
        Expired = "expired",
        /// Some of its parts are in use.
        Partial = "partial",
    }
    /// `AssociatedResourceAccessibility`.
    Accessibility {
        /// It can be reached.
        Accessible = "Accessible",
        /// The same as the filters of EC2 spell it.
        Available = "AVAILABLE",
        /// It cannot.
        Inaccessible = "Inaccessible",
    }
    /// `IpAddressType`: the addresses its interfaces have.
    IpAddressType {
        /// IPv4 alone.
        Ipv4 = "ipv4",
        /// IPv6 alone.
        Ipv6 = "ipv6",
        /// Both.
        Dualstack = "dualstack",
    }
    /// `DnsRecordIpType`: the record types its names have.
    RecordIpType {
        /// A alone.
        Ipv4 = "ipv4",
        /// AAAA alone.
        Ipv6 = "ipv6",
        /// Both.
        Dualstack = "dualstack",
        /// By the name: the service's dual-stack names have both, the others A.
        ServiceDefined = "service-defined",
    }
}

// === impl EndpointKind ===

impl EndpointKind {
    /// Whether names can lead to such an endpoint. Of others neither services nor interfaces are
    /// asked for.
    pub fn has_names(&self) -> bool {
        match self {
            Self::Interface | Self::Resource | Self::ServiceNetwork => true,
            Self::Gateway | Self::GatewayLoadBalancer | Self::Tunnel | Self::Other(_) => false,
        }
    }

    /// Whether such an endpoint's names come by associations: no service publishes any for it.
    pub fn has_associations(&self) -> bool {
        match self {
            Self::Resource | Self::ServiceNetwork => true,
            Self::Interface
            | Self::Gateway
            | Self::GatewayLoadBalancer
            | Self::Tunnel
            | Self::Other(_) => false,
        }
    }
}

// === impl Accessibility ===

impl Accessibility {
    /// Whether it leads anywhere now. A word that AWS adds later does not.
    pub fn is_accessible(&self) -> bool {
        match self {
            Self::Accessible | Self::Available => true,
            Self::Inaccessible | Self::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointKind, EndpointState};

    #[test]
    fn states_compare_without_case_and_new_ones_are_kept() {
        for spelling in ["available", "Available", "AVAILABLE"] {
            assert_eq!(EndpointState::from(spelling), EndpointState::Available);
        }
        assert_eq!(EndpointState::from("PendingAcceptance"), EndpointState::PendingAcceptance);
        assert_eq!(EndpointState::from("resting").as_str(), "resting");
        assert_eq!(EndpointKind::from("interface"), EndpointKind::Interface);
    }
}
