//! Why a look at a source failed, and the bounded words for it in metrics.
//!
//! Never the cause inside the message: it hangs behind it, and is printed once, at the edge.

use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

/// Whatever lies behind one of our errors.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a source gave no facts this time.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The caller may not make the call.
    #[error("AWS refused {action}: the caller lacks the permission {permission}", permission = action.permission())]
    Denied {
        /// The call.
        action: Action,
        /// The code AWS gave, one of [`CODES`].
        code: &'static str,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// The role of a source may not be assumed.
    #[error(
        "AWS refused AssumeRole: the caller lacks the permission sts:AssumeRole on {role}, or that role does not trust it"
    )]
    RoleDenied {
        /// The role's ARN.
        role: String,
        /// The code AWS gave, one of [`CODES`].
        code: &'static str,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// Too many calls, by us or by others in the account, for as long as we tried.
    #[error("AWS throttled {action} on every attempt")]
    Throttled {
        /// The call.
        action: Action,
        /// The code AWS gave, one of [`CODES`].
        code: &'static str,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// Nothing in the environment, the profile or the metadata service is a credential.
    #[error("no AWS credentials could be loaded")]
    NoCredentials {
        /// What was tried.
        #[source]
        source: Cause,
    },
    /// The credentials were good once, or the host's clock is off.
    #[error("the AWS credentials have expired, or this host's clock is wrong: {action} failed")]
    ExpiredCredentials {
        /// The call.
        action: Action,
        /// The code AWS gave, one of [`CODES`].
        code: &'static str,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// Neither the configuration nor the default chain names a region.
    #[error(
        "no AWS region: set `region` in the source, AWS_REGION, or a profile; the metadata service gave none"
    )]
    NoRegion,
    /// No whole answer in time.
    #[error("AWS did not answer {action} within {after:?}")]
    TimedOut {
        /// The call.
        action: Action,
        /// The limit that was hit.
        after: Duration,
        /// Which part was waited for.
        #[source]
        source: Cause,
    },
    /// No connection: no address for the host, nobody there, or TLS failed.
    #[error("cannot reach AWS for {action}")]
    Unreachable {
        /// The call.
        action: Action,
        /// What failed below.
        #[source]
        source: Cause,
    },
    /// An answer, but not one to act upon: unparsable, cut short, in a circle, or with holes.
    #[error("{action} gave an answer that cannot be used: {what}")]
    Garbage {
        /// The call, or `files`.
        action: Action,
        /// What is wrong with it.
        what: String,
        /// What the parser said.
        #[source]
        source: Option<Cause>,
    },
    /// AWS gave another error.
    #[error("AWS answered {action} with the error {code}")]
    Service {
        /// The call.
        action: Action,
        /// AWS's code, verbatim.
        code: String,
        /// What AWS said.
        #[source]
        source: Cause,
    },
    /// A file of a recording is not there.
    #[error("{path} is missing: `{command} > {path}` makes it", path = path.display())]
    FileMissing {
        /// The file.
        path: PathBuf,
        /// The AWS CLI command whose output it is.
        command: &'static str,
    },
    /// A file of a recording cannot be read or written.
    #[error("cannot {doing} {path}", path = path.display())]
    File {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// The file or the folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file of a recording is bigger than a recording can be.
    #[error("{path} has more than {limit} bytes", path = path.display())]
    FileTooBig {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A file of a recording is not the JSON that the AWS CLI prints.
    #[error("{path}:{line}:{column} is not what the AWS CLI prints", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The host has no certificate authorities to check AWS's certificate with.
    #[error(
        "no CA certificates on this host: install the package ca-certificates, or set SSL_CERT_FILE (looked in {looked})"
    )]
    NoCaCertificates {
        /// The places looked in.
        looked: String,
    },
    /// An `ec2` source in a program that cannot ask EC2.
    #[error("this hubdns was built without the feature ec2")]
    NotBuiltIn,
}

/// What was being done, by the API's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// `ec2:DescribeVpcEndpoints`.
    DescribeVpcEndpoints,
    /// `ec2:DescribeVpcEndpointServices`.
    DescribeVpcEndpointServices,
    /// `ec2:DescribeNetworkInterfaces`.
    DescribeNetworkInterfaces,
    /// `ec2:DescribeVpcEndpointAssociations`.
    DescribeVpcEndpointAssociations,
    /// `ec2:DescribeSubnets`.
    DescribeSubnets,
    /// `sts:AssumeRole`.
    AssumeRole,
    /// `sts:GetCallerIdentity`. No look calls this and the two below: [`ACTIONS`] lacks them.
    GetCallerIdentity,
    /// `route53resolver:ListResolverRuleAssociations`.
    ListResolverRuleAssociations,
    /// `route53resolver:ListResolverRules`.
    ListResolverRules,
    /// Finding region, credentials and certificates, before any call.
    Setup,
    /// Reading or writing a recording.
    Files,
}

/// Every word that [`DiscoverError::action`] can give for a look, so that counters exist at 0.
pub const ACTIONS: &[&str] = &[
    "DescribeVpcEndpoints",
    "DescribeVpcEndpointServices",
    "DescribeNetworkInterfaces",
    "DescribeVpcEndpointAssociations",
    "DescribeSubnets",
    "AssumeRole",
    "setup",
    "files",
];

/// Every word that [`DiscoverError::code`] can give: AWS's codes that we know, then our own.
pub const CODES: &[&str] = &[
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "OptInRequired",
    "Blocked",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "Unavailable",
    "InvalidParameterValue",
    "InvalidNextToken",
    "InvalidPaginationToken",
    "timeout",
    "connect",
    "garbage",
    "credentials",
    "region",
    "ca_certificates",
    "file",
    "not_built_in",
    "other",
];

/// The code as a word of [`CODES`]; `other` for one that is not there.
pub(super) fn bounded_code(code: &str) -> &'static str {
    CODES.iter().find(|known| **known == code).copied().unwrap_or("other")
}

// === impl DiscoverError ===

impl DiscoverError {
    /// What failed; in a look one of [`ACTIONS`].
    pub fn action(&self) -> &'static str {
        match self {
            Self::Denied { action, .. }
            | Self::Throttled { action, .. }
            | Self::ExpiredCredentials { action, .. }
            | Self::TimedOut { action, .. }
            | Self::Unreachable { action, .. }
            | Self::Garbage { action, .. }
            | Self::Service { action, .. } => action.as_str(),
            Self::RoleDenied { .. } => Action::AssumeRole.as_str(),
            Self::NoCredentials { .. }
            | Self::NoRegion
            | Self::NoCaCertificates { .. }
            | Self::NotBuiltIn => Action::Setup.as_str(),
            Self::FileMissing { .. }
            | Self::File { .. }
            | Self::FileTooBig { .. }
            | Self::Json { .. } => Action::Files.as_str(),
        }
    }

    /// Why, as one of [`CODES`]: bounded, whatever AWS answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { code, .. }
            | Self::RoleDenied { code, .. }
            | Self::Throttled { code, .. }
            | Self::ExpiredCredentials { code, .. } => code,
            Self::NoCredentials { .. } => "credentials",
            Self::NoRegion => "region",
            Self::TimedOut { .. } => "timeout",
            Self::Unreachable { .. } => "connect",
            Self::Garbage { .. } => "garbage",
            Self::Service { code, .. } => bounded_code(code),
            Self::FileMissing { .. }
            | Self::File { .. }
            | Self::FileTooBig { .. }
            | Self::Json { .. } => "file",
            Self::NoCaCertificates { .. } => "ca_certificates",
            Self::NotBuiltIn => "not_built_in",
        }
    }

    /// The IAM action that the caller lacks, if that is why.
    pub fn permission(&self) -> Option<&'static str> {
        match self {
            Self::Denied { action, .. } => Some(action.permission()),
            Self::RoleDenied { .. } => Some(Action::AssumeRole.permission()),
            Self::Throttled { .. }
            | Self::NoCredentials { .. }
            | Self::ExpiredCredentials { .. }
            | Self::NoRegion
            | Self::TimedOut { .. }
            | Self::Unreachable { .. }
            | Self::Garbage { .. }
            | Self::Service { .. }
            | Self::FileMissing { .. }
            | Self::File { .. }
            | Self::FileTooBig { .. }
            | Self::Json { .. }
            | Self::NoCaCertificates { .. }
            | Self::NotBuiltIn => None,
        }
    }

    /// An answer with a hole, told without a parser.
    pub(super) fn garbage(action: Action, what: impl Into<String>) -> Self {
        Self::Garbage { action, what: what.into(), source: None }
    }
}

// === impl Action ===

impl Action {
    /// The word of [`ACTIONS`], where it is there.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DescribeVpcEndpoints => "DescribeVpcEndpoints",
            Self::DescribeVpcEndpointServices => "DescribeVpcEndpointServices",
            Self::DescribeNetworkInterfaces => "DescribeNetworkInterfaces",
            Self::DescribeVpcEndpointAssociations => "DescribeVpcEndpointAssociations",
            Self::DescribeSubnets => "DescribeSubnets",
            Self::AssumeRole => "AssumeRole",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::ListResolverRuleAssociations => "ListResolverRuleAssociations",
            Self::ListResolverRules => "ListResolverRules",
            Self::Setup => "setup",
            Self::Files => "files",
        }
    }

    /// The IAM action that allows it; the word itself where IAM has no say.
    pub fn permission(self) -> &'static str {
        match self {
            Self::DescribeVpcEndpoints => "ec2:DescribeVpcEndpoints",
            Self::DescribeVpcEndpointServices => "ec2:DescribeVpcEndpointServices",
            Self::DescribeNetworkInterfaces => "ec2:DescribeNetworkInterfaces",
            Self::DescribeVpcEndpointAssociations => "ec2:DescribeVpcEndpointAssociations",
            Self::DescribeSubnets => "ec2:DescribeSubnets",
            Self::AssumeRole => "sts:AssumeRole",
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::ListResolverRuleAssociations => "route53resolver:ListResolverRuleAssociations",
            Self::ListResolverRules => "route53resolver:ListResolverRules",
            Self::Setup | Self::Files => self.as_str(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{ACTIONS, Action, CODES, DiscoverError};

    #[test]
    fn labels_stay_within_their_lists() {
        let error = |code: &str| DiscoverError::Service {
            action: Action::DescribeVpcEndpoints,
            code: code.to_owned(),
            source: "text".into(),
        };
        assert_eq!(error("AuthFailure").code(), "AuthFailure");
        assert_eq!(error("NewlyInvented-4711").code(), "other");
        for error in [
            error("NewlyInvented-4711"),
            DiscoverError::NoRegion,
            DiscoverError::NotBuiltIn,
            DiscoverError::garbage(Action::Files, "it"),
        ] {
            assert!(ACTIONS.contains(&error.action()), "{error}");
            assert!(CODES.contains(&error.code()), "{error}");
        }
    }

    #[test]
    fn a_denial_names_the_iam_action() {
        let error = DiscoverError::Denied {
            action: Action::DescribeNetworkInterfaces,
            code: "UnauthorizedOperation",
            source: "text".into(),
        };
        assert_eq!(
            error.to_string(),
            "AWS refused DescribeNetworkInterfaces: the caller lacks the permission \
             ec2:DescribeNetworkInterfaces"
        );
    }
}
