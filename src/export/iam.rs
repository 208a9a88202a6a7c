//! The permissions that the configured sources need, and no others.

use serde_json::{Value, json};

use crate::{
    base::Region,
    discover::{RoleName, SourceConfig, SourceKind},
};

/// For each look at the endpoints of an account.
const READ: [&str; 4] = [
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcEndpointAssociations",
    "ec2:DescribeVpcEndpointServices",
    "ec2:DescribeVpcEndpoints",
];
/// Where zones are discovered.
const READ_ZONES: &str = "ec2:DescribeSubnets";

/// No source asks AWS, so nothing is to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPolicy {
    /// For what hubdns runs as.
    #[error("no [[source]] asks AWS: hubdns needs no permission")]
    NoSource,
    /// For the roles that it assumes.
    #[error(
        "no [[source]] has a `role_arn`, or a `role_name` with `accounts`: there is no role that would \
         need a policy"
    )]
    NoRole,
}

/// The policy of what hubdns runs as: to read its own account where a source does, and to assume
/// the roles of the others. With `assumed`, the policy of each such role in place of it.
pub fn iam_policy(sources: &[SourceConfig], assumed: bool) -> Result<Value, NoPolicy> {
    let mut own = false;
    let mut subnets = false;
    let mut tags = false;
    let mut roles: Vec<String> = Vec::new();
    for source in sources {
        let (role, region) = match &source.kind {
            SourceKind::Ec2 { role, region, .. } => (role.as_ref(), region.as_ref()),
            SourceKind::Files { .. } | SourceKind::Demo => continue,
        };
        own |= role.is_none();
        subnets |= source.subnets && (assumed == role.is_some());
        tags |= role.is_some_and(|role| !role.session_tags.is_empty());
        // Where the region is the machine's own affair, so is the partition: `guessed` tells of it.
        let region = region.cloned().unwrap_or_else(|| Region::from(""));
        roles.extend(role.map(|role| role.name.arn(&region).into_owned()));
    }
    roles.sort_unstable();
    roles.dedup();
    let reads = if assumed { !roles.is_empty() } else { own };
    let mut statements = Vec::new();
    if reads {
        statements.push(statement("ReadEndpoints", json!(READ), json!("*")));
        if subnets {
            statements.push(statement("ReadZonesOfClients", json!(READ_ZONES), json!("*")));
        }
    }
    if !assumed && !roles.is_empty() {
        let assume = match tags {
            true => json!(["sts:AssumeRole", "sts:TagSession"]),
            false => json!("sts:AssumeRole"),
        };
        statements.push(statement("ReadOtherAccounts", assume, json!(roles)));
    }
    match (statements.is_empty(), assumed) {
        (true, true) => Err(NoPolicy::NoRole),
        (true, false) => Err(NoPolicy::NoSource),
        (false, _) => Ok(json!({ "Version": "2012-10-17", "Statement": statements })),
    }
}

/// The first source whose role's ARN is written for the partition `aws` though no region says that
/// it is there.
pub fn guessed(sources: &[SourceConfig]) -> Option<&SourceConfig> {
    sources.iter().find(|source| match &source.kind {
        SourceKind::Ec2 { role: Some(role), region: None, .. } => {
            matches!(role.name, RoleName::In(..))
        }
        SourceKind::Ec2 { .. } | SourceKind::Files { .. } | SourceKind::Demo => false,
    })
}

fn statement(sid: &str, action: Value, resource: Value) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource })
}
