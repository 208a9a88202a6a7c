//! What the operator wants said, as values that cannot be wrong.

use std::{fmt, sync::Arc};

use ipnet::IpNet;

use super::{AliasSet, AllowRule, ViewConfig};
use crate::base::{EndpointId, Name, Pattern, ServiceName, Ttl};

/// Everything that decides who is told what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// `clients.allow`: who is answered at all.
    pub allow: Vec<IpNet>,
    /// `answers.ttl_secs`.
    pub ttl: Ttl,
    /// `answers.negative_ttl_secs`.
    pub negative_ttl: Ttl,
    /// `answers.deny`: services whose names are left alone in every view.
    pub deny: Vec<ServiceRule>,
    /// `answers.allow`: what of those is answered all the same.
    pub allow_rules: Vec<AllowRule>,
    /// `answers.override`: whether names that AWS asks to leave alone may be answered.
    pub overrides: bool,
    /// `[[answers.alias]]`: names that AWS does not publish.
    pub aliases: Vec<Alias>,
    /// `answers.alias_sets`: the ready-made ones, each once.
    pub alias_sets: Vec<AliasSet>,
    /// `[[view]]` in the order of the file; the first that matches a client is its view.
    pub views: Vec<ViewConfig>,
    /// `[zones]`: client networks and the name or id of the availability zone they are in.
    pub zones: Vec<(IpNet, Arc<str>)>,
    /// `zones.discover`: whether the sources' subnets tell zones too.
    pub discover_zones: bool,
}

/// `[clients.rate]`: how much one client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateConfig {
    /// `questions_per_second`, at most 100,000; 0 limits nobody.
    pub questions_per_second: u32,
    /// `slip`: of so many datagrams above the rate one is told to come by TCP; 0 for none.
    pub slip: u32,
    /// `ipv4_prefix`: how many bits of an IPv4 address make one client.
    pub ipv4_prefix: u8,
    /// `ipv6_prefix`: the same of an IPv6 address.
    pub ipv6_prefix: u8,
}

/// A service as a person names it: whole (`com.amazonaws.eu-west-1.sqs`) or by what follows its
/// region (`sqs`, `ecr.api`, `dynamodb-streams`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceRule(Arc<str>);

/// One `[[answers.alias]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name or wildcard to answer.
    pub pattern: Pattern,
    /// What it stands for.
    pub target: AliasTarget,
}

/// What an alias stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasTarget {
    /// Addresses of an endpoint.
    Endpoint {
        /// Whose.
        of: Lender,
        /// `zone`: only those of the availability zone of this name or id.
        zone: Option<Arc<str>>,
    },
    /// `cname`: whatever that name has.
    Cname(Name),
}

/// Whose addresses an alias gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lender {
    /// Every usable endpoint of the service may answer; the one that wins a conflict does.
    Service(ServiceRule),
    /// That endpoint alone.
    Endpoint(EndpointId),
}

// === impl PolicyConfig ===

impl PolicyConfig {
    /// The view of whoever matches none of `views`: everything.
    pub const REST_VIEW: &'static str = "default";

    /// One that tells clients apart and decides nothing else: for tables that are told, not planned.
    pub fn bare(allow: Vec<IpNet>, views: Vec<ViewConfig>) -> Self {
        Self {
            allow,
            ttl: Ttl::ZERO,
            negative_ttl: Ttl::ZERO,
            deny: Vec::new(),
            allow_rules: Vec::new(),
            overrides: false,
            aliases: Vec::new(),
            alias_sets: Vec::new(),
            views,
            zones: Vec::new(),
            discover_zones: false,
        }
    }
}

// === impl RateConfig ===

impl RateConfig {
    /// The defaults: nobody is limited. Who is limited is an address, or what one IPv6 host has to
    /// choose from; one of two is told, so that a real client comes by TCP at its second try.
    pub const OFF: RateConfig =
        RateConfig { questions_per_second: 0, slip: 2, ipv4_prefix: 32, ipv6_prefix: 64 };
}

// === impl ServiceRule ===

impl ServiceRule {
    /// A rule from its text; any text is one.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text.to_ascii_lowercase()))
    }

    /// The rule that means this service alone.
    pub fn of(service: &ServiceName) -> Self {
        Self::new(service.as_str())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both may mean one service.
    pub fn resembles(&self, other: &ServiceRule) -> bool {
        short_name(&self.0) == short_name(&other.0)
    }

    /// Whether the service is meant. What precedes the rule's text in a short match has to be
    /// the region or a prefix of AWS's: `api` does not mean `com.amazonaws.eu-west-1.ecr.api`.
    pub fn means(&self, service: &ServiceName) -> bool {
        let name = service.as_str().to_ascii_lowercase();
        name == *self.0 || short_name(&name) == &*self.0
    }
}

/// How services' names begin in AWS's eight partitions.
const VENDORS: [&str; 7] = [
    // aws, aws-us-gov, and most services elsewhere
    "com.amazonaws.",
    "cn.com.amazonaws.",
    "eu.amazonaws.",
    "gov.ic.c2s.",
    "gov.sgov.sc2s.",
    "uk.adc-e.cloud.",
    "gov.ic.hci.csp.",
];

/// What follows the region in a service's name, or all after the vendor's prefix where there is
/// no region (`com.amazonaws.s3-global.accesspoint`); of VPC Lattice's ARNs the id at the end.
pub(super) fn short_name(service: &str) -> &str {
    if service.starts_with("arn:") {
        return service.rsplit('/').next().unwrap_or(service);
    }
    let mut rest = service;
    while let Some((label, tail)) = rest.split_once('.') {
        rest = tail;
        if is_region(label) {
            return rest;
        }
    }
    VENDORS.iter().find_map(|vendor| service.strip_prefix(vendor)).unwrap_or(service)
}

/// The region in a service's name.
pub(super) fn region_of(service: &ServiceName) -> Option<&str> {
    service.as_str().split('.').find(|label| is_region(label))
}

/// `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`: words joined by hyphens and a number behind.
pub fn is_region(label: &str) -> bool {
    let mut words = label.rsplit('-');
    let number = words.next().is_some_and(|last| last.parse::<u8>().is_ok());
    let names: Vec<&str> = words.collect();
    number
        && 2 <= names.len()
        && names.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
}

impl fmt::Display for ServiceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceRule;
    use crate::base::ServiceName;

    #[test]
    fn a_rule_means_the_whole_name_or_what_follows_the_region() {
        let means =
            |rule: &str, service: &str| ServiceRule::new(rule).means(&ServiceName::from(service));
        assert!(means("sqs", "com.amazonaws.eu-west-1.sqs"));
        assert!(means("ecr.api", "com.amazonaws.eu-west-1.ecr.api"));
        assert!(means("execute-api", "cn.com.amazonaws.cn-north-1.execute-api"));
        assert!(means("notebook", "aws.sagemaker.us-gov-west-1.notebook"));
        assert!(means("s3-global.accesspoint", "com.amazonaws.s3-global.accesspoint"));
        assert!(means("sqs", "eu.amazonaws.eusc-de-east-1.sqs"));
        assert!(means("ecr.api", "uk.adc-e.cloud.eu-isoe-west-1.ecr.api"));
        assert!(means("sqs", "gov.ic.hci.csp.us-isof-south-1.sqs"));
        assert!(means("sqs", "gov.sgov.sc2s.us-isob-east-1.sqs"));
        assert!(means("iam", "gov.ic.c2s.iam"));
        assert!(means("vpce-svc-1", "com.amazonaws.vpce.eu-west-1.vpce-svc-1"));
        assert!(means("rcfg-1", "arn:aws:vpc-lattice:eu-west-1:1:resourceconfiguration/rcfg-1"));
        assert!(means("COM.amazonaws.eu-west-1.sqs", "com.amazonaws.eu-west-1.sqs"));
        assert!(!means("api", "com.amazonaws.eu-west-1.ecr.api"));
        assert!(!means("dynamodb", "com.amazonaws.eu-west-1.dynamodb-streams"));
    }
}
