//! One `[[source]]` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{
    limits::INTERVAL_SECS,
    located::{Located, Text},
};

/// One account and region that is asked for its endpoints, several accounts that are asked alike,
/// or one folder of recorded answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Source {
    /// Its name in logs, metrics and `hubdns names`; unlike every other source's. With `accounts`
    /// each account is a source of its own, called NAME-ACCOUNT.
    #[schemars(required)]
    pub(in crate::config) name: Option<Text>,
    /// "ec2" asks the EC2 API, "files" reads recorded answers from `path`.
    #[schemars(required)]
    pub(in crate::config) kind: Option<Located<Kind>>,
    /// The AWS region (kind "ec2"). Without it: from the environment, the profile or the instance.
    pub(in crate::config) region: Option<Text>,
    /// A role to assume before asking (kind "ec2"), for another account's endpoints.
    pub(in crate::config) role_arn: Option<Text>,
    /// In place of `role_arn`: accounts in each of which the role `role_name` is assumed (kind
    /// "ec2"), so that each is a source of its own.
    pub(in crate::config) accounts: Option<Located<Vec<Text>>>,
    /// The role in each of `accounts`, with its path if it has one: "hubdns-read".
    pub(in crate::config) role_name: Option<Text>,
    /// What the role's trust policy asks for as sts:ExternalId.
    pub(in crate::config) external_id: Option<Text>,
    /// How the session is called in CloudTrail of the role's account. Without it: "hubdns".
    pub(in crate::config) session_name: Option<Text>,
    /// Session tags, for conditions in policies; the role's trust policy has to allow
    /// sts:TagSession.
    pub(in crate::config) session_tags: Option<BTreeMap<Text, Text>>,
    /// Another EC2 API than AWS's (kind "ec2").
    pub(in crate::config) endpoint_url: Option<Text>,
    /// A folder (kind "files"), relative to the one of this file, that holds vpc-endpoints.json,
    /// vpc-endpoint-services.json and network-interfaces.json, and where there are any
    /// vpc-endpoint-associations.json, as `aws ec2 describe-* --output json` prints them and as
    /// `hubdns discover --save` writes them.
    pub(in crate::config) path: Option<Text>,
    /// Between two looks at it. Without it: `refresh.interval_secs`.
    #[schemars(range(min = INTERVAL_SECS.min, max = INTERVAL_SECS.max))]
    pub(in crate::config) interval_secs: Option<Located<i64>>,
    /// Only endpoints in these VPCs. Without it: all.
    pub(in crate::config) vpc_ids: Option<Vec<Text>>,
    /// Only endpoints that have all of these tags. Without it: all.
    pub(in crate::config) tags: Option<BTreeMap<Text, Text>>,
}

/// How a source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Kind {
    Ec2,
    Files,
}
