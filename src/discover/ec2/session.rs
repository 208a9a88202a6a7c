//! A client for one source: region, credentials, endpoint, limits.
//!
//! Made by the SDK's default chain where the configuration is silent. Opening may take seconds
//! where the metadata service is silent too; only the refresh waits for it.

use std::{path::PathBuf, time::Duration};

use aws_config::{
    AppName, BehaviorVersion, ConfigLoader, SdkConfig,
    identity::IdentityCache,
    retry::RetryConfig,
    sts::{AssumeRoleProvider, AssumeRoleProviderBuilder},
    timeout::TimeoutConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::Client;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use super::{
    Settings,
    errors::Limits,
    http::{self, Paced, WholeAnswers},
};
use crate::{
    base::Region,
    discover::{
        Role, SourceConfig, certificates::require_ca_certificates, disk::unblocked,
        error::DiscoverError, lookup::HostLookup, pace::SourcePace,
    },
};

/// The limits in production.
///
/// The SDK has none of its own on an answer. A page of 1,000 items comes in under a second; an
/// attempt of 10 s is one that hangs. Three attempts of 10 s with their pauses do not fit 30 s:
/// a call that hangs twice is given up during the third. Assuming a role is two calls at most,
/// of which one may hang.
pub(super) const LIMITS: Limits = Limits {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(10),
    operation: Duration::from_secs(30),
    credentials: Duration::from_secs(15),
};
/// Attempts of one call, the first counted. Standard retry, about 2 s of pauses in all; adaptive
/// retry would wait a minute in one call after four throttles.
const ATTEMPTS_MAX: u32 = 3;
/// How we call ourselves in CloudTrail.
const APP_NAME: &str = "hubdns";

/// A client and what it was made for.
pub(super) struct Session {
    pub(super) client: Client,
    /// What clients of other services are made of.
    pub(super) shared: SdkConfig,
    /// The region it asks.
    pub(super) region: Region,
    /// The role it asks as, for what to say when that fails.
    pub(super) role: Option<String>,
    pub(super) limits: Limits,
    /// What every call waits for.
    pub(super) pace: SourcePace,
}

// === impl Session ===

impl Session {
    /// Opens by the default chain.
    pub(super) async fn open(
        config: &SourceConfig,
        lookup: &HostLookup,
        pace: &SourcePace,
    ) -> Result<Session, DiscoverError> {
        certified().await?;
        let loader = loader(http::client(lookup), &LIMITS, retries());
        Session::from_loader(config, loader, LIMITS, pace).await
    }

    /// Opens by what `loader` finds, and what the source says.
    pub(super) async fn from_loader(
        config: &SourceConfig,
        mut loader: ConfigLoader,
        limits: Limits,
        pace: &SourcePace,
    ) -> Result<Session, DiscoverError> {
        let settings = Settings::of(config);
        if let Some(region) = settings.region {
            loader = loader.region(aws_config::Region::new(region.to_owned()));
        }
        let mut shared = loader.load().await;
        let Some(region) = shared.region().map(|region| Region::from(region.as_ref())) else {
            return Err(DiscoverError::NoRegion);
        };
        let arn = settings.role.map(|role| role.name.arn(&region).into_owned());
        if let (Some(role), Some(arn)) = (settings.role, &arn) {
            let provider = assuming(role, arn).configure(&shared).build().await;
            shared = shared
                .into_builder()
                .credentials_provider(SharedCredentialsProvider::new(provider))
                .build();
        }
        let mut ec2 = aws_sdk_ec2::config::Builder::from(&shared)
            .interceptor(WholeAnswers)
            .interceptor(Paced(pace.clone()));
        // For EC2 alone: STS has an address of its own, `AWS_ENDPOINT_URL_STS`.
        if let Some(url) = settings.endpoint_url {
            ec2 = ec2.endpoint_url(url);
        }
        Ok(Session {
            client: Client::from_conf(ec2.build()),
            shared,
            region,
            role: arn,
            limits,
            pace: pace.clone(),
        })
    }
}

/// What this host itself is to AWS, in `region`.
pub(super) async fn own(region: &Region, lookup: &HostLookup) -> Result<SdkConfig, DiscoverError> {
    certified().await?;
    let loader = loader(http::client(lookup), &LIMITS, retries());
    Ok(loader.region(aws_config::Region::new(region.as_str().to_owned())).load().await)
}

/// Assumes `role`, of this ARN, as what it is configured with.
fn assuming(role: &Role, arn: &str) -> AssumeRoleProviderBuilder {
    let mut provider = AssumeRoleProvider::builder(arn).session_name(&role.session_name);
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    // Even an empty list of tags would ask for sts:TagSession.
    match role.session_tags.is_empty() {
        true => provider,
        false => provider.tags(role.session_tags.clone()),
    }
}

async fn certified() -> Result<(), DiscoverError> {
    match unblocked(|| Ok(require_ca_certificates())).await {
        Ok(outcome) => outcome,
        Err(source) => Err(DiscoverError::File {
            doing: "look for CA certificates in",
            path: PathBuf::from("/etc/ssl/certs"),
            source,
        }),
    }
}

/// The default chain with our limits. The behaviour version is pinned: a new one may change
/// retries and timeouts, and is taken up by hand.
pub(super) fn loader(
    http: SharedHttpClient,
    limits: &Limits,
    retries: RetryConfig,
) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits.connect)
        .operation_attempt_timeout(limits.attempt)
        .operation_timeout(limits.operation)
        .build();
    let identities = IdentityCache::lazy().load_timeout(limits.credentials).build();
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries)
        .identity_cache(identities);
    match AppName::new(APP_NAME) {
        Ok(name) => loader.app_name(name),
        Err(_) => loader,
    }
}

pub(super) fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX)
}
