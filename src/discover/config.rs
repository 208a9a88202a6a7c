//! Where the facts come from.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf, time::Duration};

use crate::base::{AccountId, Region, SourceName, VpcId};

/// One `[[source]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    /// `name`, unlike every other source's.
    pub name: SourceName,
    /// `kind` and what belongs to it.
    pub kind: SourceKind,
    /// `vpc_ids`: only endpoints in these; empty means all.
    pub vpc_ids: Vec<VpcId>,
    /// `tags`: only endpoints that have all of these; empty means all.
    pub tags: BTreeMap<String, String>,
    /// Whether its subnets are asked for, since zones are discovered.
    pub subnets: bool,
    /// `interval_secs`: between two looks at it; `None` for that of all sources.
    pub interval: Option<Duration>,
}

/// How a source is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// The EC2 API.
    Ec2 {
        /// `region`; `None` takes the environment's, the profile's or the metadata service's.
        region: Option<Region>,
        /// Assumed before asking.
        role: Option<Role>,
        /// `endpoint_url`: another EC2 API than AWS's.
        endpoint_url: Option<String>,
    },
    /// A folder with `subnets.json` where zones are discovered, and `vpc-endpoints.json`, `vpc-endpoint-services.json` and
    /// `network-interfaces.json` as the AWS CLI prints them.
    Files {
        /// `path`: the folder.
        path: PathBuf,
    },
    /// The recording inside the binary: what `hubdns demo` answers from.
    Demo,
}

/// A role that is assumed by STS, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Which one.
    pub name: RoleName,
    /// `external_id`: what the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// `session_name`: how the role's owner finds us in CloudTrail.
    pub session_name: String,
    /// `session_tags`: for conditions in policies.
    pub session_tags: BTreeMap<String, String>,
}

/// Which role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// `role_arn`.
    Arn(String),
    /// `role_name`, which may have a path before it, in one of `accounts`.
    In(AccountId, String),
}

// === impl SourceConfig ===

impl SourceConfig {
    /// Whether both find the same endpoints. How often it is asked, what it is asked for besides, and
    /// what a role's session is called and carries make no difference.
    pub fn finds_as(&self, other: &SourceConfig) -> bool {
        let Self { name, kind, vpc_ids, tags, subnets: _, interval: _ } = self;
        *name == other.name
            && kind.is_place_of(&other.kind)
            && *vpc_ids == other.vpc_ids
            && *tags == other.tags
    }
}

// === impl SourceKind ===

impl SourceKind {
    /// Whether both ask the same account and region, or read the same folder.
    pub fn is_place_of(&self, other: &SourceKind) -> bool {
        let without_session = |kind: &SourceKind| match kind {
            SourceKind::Ec2 { region, role, endpoint_url } => {
                let role = role.as_ref().map(|role| role.name.clone());
                (Some((region.clone(), role, endpoint_url.clone())), None)
            }
            SourceKind::Files { path } => (None, Some(path.clone())),
            SourceKind::Demo => (None, None),
        };
        without_session(self) == without_session(other)
    }
}

// === impl RoleName ===

impl RoleName {
    /// The role's ARN, in the partition of the region that is asked: no role is assumed across
    /// partitions.
    pub fn arn(&self, region: &Region) -> Cow<'_, str> {
        match self {
            RoleName::Arn(arn) => Cow::Borrowed(arn),
            RoleName::In(account, name) => {
                let partition = partition(region.as_str());
                Cow::Owned(format!("arn:{partition}:iam::{account}:role/{name}"))
            }
        }
    }
}

/// What regions of partitions other than `aws` begin with, the partition, and the domain of its APIs.
const OTHERS: [(&str, &str, &str); 7] = [
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
];

/// The partition that a region is in.
fn partition(region: &str) -> &'static str {
    other(region).map_or("aws", |(_, partition, _)| partition)
}

/// The domain that the APIs of a region have their names in.
#[cfg(feature = "ec2")]
pub(super) fn domain(region: &str) -> &'static str {
    other(region).map_or("amazonaws.com", |(_, _, domain)| domain)
}

fn other(region: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    OTHERS.iter().find(|(beginning, _, _)| region.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_does_not_depend_on_how_it_is_asked() {
        let role = Role {
            name: RoleName::Arn("arn:aws:iam::111122223333:role/hubdns-read".to_owned()),
            external_id: None,
            session_name: "hubdns".to_owned(),
            session_tags: BTreeMap::new(),
        };
        let of = |role: &Role| SourceKind::Ec2 {
            region: Some("eu-west-1".into()),
            role: Some(role.clone()),
            endpoint_url: None,
        };
        let source = SourceConfig {
            name: "hub".into(),
            kind: of(&role),
            vpc_ids: vec![],
            tags: BTreeMap::new(),
            subnets: false,
            interval: None,
        };
        let tags = BTreeMap::from([("team".to_owned(), "network".to_owned())]);
        let session = Role {
            external_id: Some("4711".to_owned()),
            session_name: "hub".to_owned(),
            session_tags: tags.clone(),
            ..role.clone()
        };
        let another = Role { name: RoleName::In("111122223333".into(), "x".to_owned()), ..role };
        for (other, same) in [
            (SourceConfig { interval: Some(Duration::from_secs(60)), ..source.clone() }, true),
            (SourceConfig { subnets: true, ..source.clone() }, true),
            (SourceConfig { kind: of(&session), ..source.clone() }, true),
            (SourceConfig { kind: of(&another), ..source.clone() }, false),
            (
                SourceConfig { kind: SourceKind::Files { path: "x".into() }, ..source.clone() },
                false,
            ),
            (SourceConfig { kind: SourceKind::Demo, ..source.clone() }, false),
            (SourceConfig { vpc_ids: vec!["vpc-1".into()], ..source.clone() }, false),
            (SourceConfig { tags, ..source.clone() }, false),
            (SourceConfig { name: "other".into(), ..source.clone() }, false),
        ] {
            assert_eq!(source.finds_as(&other), same, "{other:?}");
        }
    }

    #[test]
    fn a_role_in_an_account_is_in_the_partition_of_the_region() {
        let role = RoleName::In("111122223333".into(), "network/hubdns-read".to_owned());
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            let arn = format!("arn:{partition}:iam::111122223333:role/network/hubdns-read");
            assert_eq!(role.arn(&region.into()), arn);
        }
    }
}
