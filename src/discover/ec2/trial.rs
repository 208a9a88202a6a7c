//! Tries a source's calls one by one, and asks STS and the metadata service who and where we are.

use std::sync::{Arc, OnceLock};

use aws_config::{
    imds::{Client as Metadata, region::ImdsRegionProvider},
    provider_config::ProviderConfig,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_types::{DateTime, date_time::Format};
use tokio::time::Instant;

use super::{Ec2, calls::sent, http, session::Session};
use crate::{
    base::{Region, VpcId},
    discover::{
        error::{Action, DiscoverError},
        lookup::HostLookup,
        trial::{AwsTime, Place, Trial},
    },
};

/// Items asked for: the fewest that every one of the calls takes.
const ITEMS: i32 = 5;
/// The metadata service's place of the first interface, and of its VPC.
const MAC: &str = "/latest/meta-data/mac";

/// Keeps the time that an answer was sent with, even one that is an error: a clock that is wrong gets
/// nothing else.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<OnceLock<AwsTime>>);

// === impl Ec2 ===

impl Ec2 {
    /// Opens a session of its own and tries each call.
    pub(in crate::discover) async fn try_calls(&self) -> Result<Trial, DiscoverError> {
        let session = Session::open(&self.config, &self.lookup, &self.pace).await?;
        let clock = Clock::default();
        let sts = aws_sdk_sts::config::Builder::from(&session.shared).interceptor(clock.clone());
        let sts = aws_sdk_sts::Client::from_conf(sts.build());
        let asked = sts.get_caller_identity().send();
        let caller = sent(&session, Action::GetCallerIdentity, asked).await;
        let caller = caller.map(|it| it.arn.unwrap_or_default());
        let calls = match caller.as_ref().is_err_and(is_nobody) {
            true => Vec::new(),
            false => try_each(&session).await,
        };
        Ok(Trial {
            caller,
            time: clock.0.get().copied(),
            calls,
            region: session.region,
            role: session.role,
        })
    }
}

/// Whether there is nobody to call as. That STS is not reached is another matter: a host with
/// credentials of its own does not need it.
fn is_nobody(error: &DiscoverError) -> bool {
    matches!(
        error,
        DiscoverError::NoCredentials { .. }
            | DiscoverError::RoleDenied { .. }
            | DiscoverError::ExpiredCredentials { .. }
    ) || error.action() == Action::AssumeRole.as_str()
}

/// Each call for a few items, of which none is looked at.
async fn try_each(session: &Session) -> Vec<(Action, Result<(), DiscoverError>)> {
    let ec2 = &session.client;
    let endpoints = ec2.describe_vpc_endpoints().max_results(ITEMS).send();
    let services = ec2.describe_vpc_endpoint_services().max_results(ITEMS).send();
    let interfaces = ec2.describe_network_interfaces().max_results(ITEMS).send();
    let associations = ec2.describe_vpc_endpoint_associations().max_results(ITEMS).send();
    let subnets = ec2.describe_subnets().max_results(ITEMS).send();
    let (endpoints, services, interfaces, associations, subnets) = tokio::join!(
        sent(session, Action::DescribeVpcEndpoints, endpoints),
        sent(session, Action::DescribeVpcEndpointServices, services),
        sent(session, Action::DescribeNetworkInterfaces, interfaces),
        sent(session, Action::DescribeVpcEndpointAssociations, associations),
        sent(session, Action::DescribeSubnets, subnets),
    );
    vec![
        (Action::DescribeVpcEndpoints, endpoints.map(drop)),
        (Action::DescribeVpcEndpointServices, services.map(drop)),
        (Action::DescribeNetworkInterfaces, interfaces.map(drop)),
        (Action::DescribeVpcEndpointAssociations, associations.map(drop)),
        (Action::DescribeSubnets, subnets.map(drop)),
    ]
}

// === impl Place ===

impl Place {
    /// Asks the metadata service; `None` where there is none, or it is switched off.
    pub async fn ask(lookup: &HostLookup) -> Option<Place> {
        let config = ProviderConfig::without_region().with_http_client(http::client(lookup));
        let metadata = Metadata::builder().configure(&config).build();
        let region = ImdsRegionProvider::builder().configure(&config).imds_client(metadata.clone());
        let region = Region::from(region.build().region().await?.as_ref());
        Some(Place { region, vpc: vpc(&metadata).await })
    }
}

/// The VPC of the host's first interface.
async fn vpc(metadata: &Metadata) -> Option<VpcId> {
    let mac = metadata.get(MAC).await.ok()?;
    let path = format!("/latest/meta-data/network/interfaces/macs/{}/vpc-id", mac.as_ref().trim());
    let vpc = metadata.get(path).await.ok()?;
    Some(VpcId::from(vpc.as_ref().trim()))
}

// === impl Clock ===

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(date) = date.and_then(|it| DateTime::from_str(it, Format::HttpDate).ok()) {
            // Of several attempts the first tells as well as the last.
            let _ = self.0.set(AwsTime { unix_secs: date.secs(), told: Instant::now() });
        }
        Ok(())
    }
}
