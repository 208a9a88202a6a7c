//! The calls, each read to its last page.
//!
//! At most one filter a call: what else the configuration filters by is applied to the answer.

use std::{collections::BTreeSet, error::Error, time::Duration};

use aws_sdk_ec2::{
    error::{ProvideErrorMetadata, SdkError},
    types::Filter,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::timeout;

use super::{errors::Context, map, session::Session};
use crate::{
    base::{Region, VpcId},
    discover::{
        error::{Action, DiscoverError},
        recorded::{
            RecordedAssociation, RecordedEndpoint, RecordedInterface, RecordedService,
            RecordedSubnet,
        },
    },
};

/// Items asked for at once: the most that EC2 gives.
const PAGE_ITEMS: i32 = 1_000;
/// Pages of one list. At 1,000 items a page this is far beyond any account; past it the server
/// makes up tokens and we would never be done.
const PAGES_MAX: usize = 500;
/// For one call of a list that a look can do without: one that hangs must not keep the endpoints'
/// changes waiting for longer.
const DISPENSABLE_WITHIN: Duration = Duration::from_secs(10);
/// Values of one filter: the most that EC2 takes.
const FILTER_VALUES_MAX: usize = 200;

/// Every endpoint, or every one in these VPCs.
pub(super) async fn endpoints(
    session: &Session,
    vpcs: &[VpcId],
) -> Result<Vec<RecordedEndpoint>, DiscoverError> {
    let action = Action::DescribeVpcEndpoints;
    let vpcs: Vec<&str> = vpcs.iter().map(VpcId::as_str).collect();
    let mut found = Vec::new();
    // Without VPCs to choose there is one chunk, with no filter.
    let everywhere: &[&[&str]] = &[&[]];
    let chunks: Vec<&[&str]> = match vpcs.is_empty() {
        true => everywhere.to_vec(),
        false => vpcs.chunks(FILTER_VALUES_MAX).collect(),
    };
    for chunk in chunks {
        let call = session
            .client
            .describe_vpc_endpoints()
            .set_filters(filter("vpc-id", chunk))
            .max_results(PAGE_ITEMS);
        let mut pages = Pages::new(action);
        while pages.more() {
            let call = call.clone().set_next_token(pages.token());
            let page = sent(session, action, call.send()).await?;
            found.extend(page.vpc_endpoints.unwrap_or_default().into_iter().map(map::endpoint));
            pages.go_on(page.next_token)?;
        }
    }
    Ok(found)
}

/// The services of these names in the session's region, or in another one, without which a look can
/// do. By filter, since one unknown name in `ServiceNames` fails the call.
pub(super) async fn services(
    session: &Session,
    elsewhere: Option<&Region>,
    names: &BTreeSet<String>,
) -> Result<Vec<RecordedService>, DiscoverError> {
    let action = Action::DescribeVpcEndpointServices;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for chunk in names.chunks(FILTER_VALUES_MAX) {
        let call = session
            .client
            .describe_vpc_endpoint_services()
            .set_filters(filter("service-name", chunk))
            .set_service_regions(elsewhere.map(|region| vec![region.to_string()]))
            .max_results(PAGE_ITEMS);
        let mut pages = Pages::new(action);
        while pages.more() {
            let call = call.clone().set_next_token(pages.token());
            let page = match elsewhere {
                None => sent(session, action, call.send()).await?,
                Some(_) => in_time(session, action, call.send()).await?,
            };
            found.extend(page.service_details.unwrap_or_default().into_iter().map(map::service));
            pages.go_on(page.next_token)?;
        }
    }
    Ok(found)
}

/// The interfaces of these ids. By filter: EC2 refuses `NetworkInterfaceIds` together with
/// `MaxResults`, and fails the call for one that has just gone.
pub(super) async fn interfaces(
    session: &Session,
    ids: &BTreeSet<String>,
) -> Result<Vec<RecordedInterface>, DiscoverError> {
    let action = Action::DescribeNetworkInterfaces;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for chunk in ids.chunks(FILTER_VALUES_MAX) {
        let call = session
            .client
            .describe_network_interfaces()
            .set_filters(filter("network-interface-id", chunk))
            .max_results(PAGE_ITEMS);
        let mut pages = Pages::new(action);
        while pages.more() {
            let call = call.clone().set_next_token(pages.token());
            let page = sent(session, action, call.send()).await?;
            found.extend(
                page.network_interfaces.unwrap_or_default().into_iter().map(map::interface),
            );
            pages.go_on(page.next_token)?;
        }
    }
    Ok(found)
}

/// What the Resource and ServiceNetwork endpoints of these ids lead to. A look can do without.
pub(super) async fn associations(
    session: &Session,
    ids: &BTreeSet<String>,
) -> Result<Vec<RecordedAssociation>, DiscoverError> {
    let action = Action::DescribeVpcEndpointAssociations;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for chunk in ids.chunks(FILTER_VALUES_MAX) {
        let call = session
            .client
            .describe_vpc_endpoint_associations()
            .set_filters(filter("vpc-endpoint-id", chunk))
            .max_results(PAGE_ITEMS);
        let mut pages = Pages::new(action);
        while pages.more() {
            let call = call.clone().set_next_token(pages.token());
            let page = in_time(session, action, call.send()).await?;
            let items = page.vpc_endpoint_associations.unwrap_or_default();
            found.extend(items.into_iter().map(map::association));
            pages.go_on(page.next_token)?;
        }
    }
    Ok(found)
}

/// Every subnet that the caller sees: those of its account, and those shared with it. A look can do
/// without.
pub(super) async fn subnets(session: &Session) -> Result<Vec<RecordedSubnet>, DiscoverError> {
    let action = Action::DescribeSubnets;
    let call = session.client.describe_subnets().max_results(PAGE_ITEMS);
    let mut found = Vec::new();
    let mut pages = Pages::new(action);
    while pages.more() {
        let call = call.clone().set_next_token(pages.token());
        let page = in_time(session, action, call.send()).await?;
        found.extend(page.subnets.unwrap_or_default().into_iter().map(map::subnet));
        pages.go_on(page.next_token)?;
    }
    Ok(found)
}

/// Makes one call in its turn.
pub(super) async fn sent<O, E>(
    session: &Session,
    action: Action,
    call: impl Future<Output = Result<O, SdkError<E, HttpResponse>>>,
) -> Result<O, DiscoverError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    session.pace.turn().await;
    call.await.map_err(|error| session.context(action).told(error))
}

/// The same for a list that a look can do without: waiting for its turn takes what it takes, and
/// the call itself not long.
async fn in_time<O, E>(
    session: &Session,
    action: Action,
    call: impl Future<Output = Result<O, SdkError<E, HttpResponse>>>,
) -> Result<O, DiscoverError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    session.pace.turn().await;
    match timeout(DISPENSABLE_WITHIN, call).await {
        Ok(told) => told.map_err(|error| session.context(action).told(error)),
        Err(elapsed) => {
            let (after, source) = (DISPENSABLE_WITHIN, elapsed.into());
            Err(DiscoverError::TimedOut { action, after, source })
        }
    }
}

fn filter(name: &str, values: &[&str]) -> Option<Vec<Filter>> {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let filter = Filter::builder().name(name).set_values(Some(values.clone()));
    (!values.is_empty()).then(|| vec![filter.build()])
}

/// Walks one list's tokens to the end, and notices a walk in a circle, which the SDK's own
/// paginators take for the end.
pub(super) struct Pages {
    action: Action,
    seen: BTreeSet<String>,
    step: Step,
}

/// Where the walk stands.
enum Step {
    /// Nothing was asked yet: the first page needs no token.
    First,
    /// The page of this token is the next.
    Token(String),
    /// The last page came.
    Done,
}

// === impl Pages ===

impl Pages {
    pub(super) fn new(action: Action) -> Pages {
        Pages { action, seen: BTreeSet::new(), step: Step::First }
    }

    /// Whether there is a page to ask for.
    pub(super) fn more(&self) -> bool {
        match self.step {
            Step::First | Step::Token(_) => true,
            Step::Done => false,
        }
    }

    /// The token to send for the next page.
    pub(super) fn token(&self) -> Option<String> {
        match &self.step {
            Step::Token(token) => Some(token.clone()),
            Step::First | Step::Done => None,
        }
    }

    /// Takes the token of the page that came.
    pub(super) fn go_on(&mut self, token: Option<String>) -> Result<(), DiscoverError> {
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            self.step = Step::Done;
            return Ok(());
        };
        if !self.seen.insert(token.clone()) {
            let what = "it gave the same NextToken twice";
            return Err(DiscoverError::garbage(self.action, what));
        }
        if PAGES_MAX <= self.seen.len() {
            let what = format!("it has more than {PAGES_MAX} pages");
            return Err(DiscoverError::garbage(self.action, what));
        }
        self.step = Step::Token(token);
        Ok(())
    }
}

// === impl Session ===

impl Session {
    /// What an error of this call needs to be told.
    fn context(&self, action: Action) -> Context<'_> {
        Context { action, role: self.role.as_deref(), limits: &self.limits }
    }
}
