//! The SDK's traps, sprung. Its HTTP client is ours, so nothing here needs a network or AWS, nor
//! a feature of the SDK that production lacks.

mod associations;
mod elsewhere;
mod pages;
mod sessions;
mod throttled;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_config::{ConfigLoader, retry::RetryConfig};
use aws_credential_types::Credentials;
use aws_sdk_ec2::config::RuntimeComponents;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use futures_util::FutureExt;

use super::{
    Ec2,
    errors::Limits,
    http,
    session::{Session, loader, retries},
};
use crate::{
    base::{Chain, SourceName, VpcId},
    discover::{
        ACTIONS, CODES, CallPace, DiscoverError, HostLookup, Recorded, Role, RoleName, Source,
        SourceConfig, SourceKind, normalise,
    },
    inventory::EndpointState,
};

/// Short enough for a test, long enough for a busy machine to connect to itself.
const SHORT: Limits = Limits {
    connect: Duration::from_secs(2),
    attempt: Duration::from_millis(150),
    operation: Duration::from_secs(5),
    credentials: Duration::from_secs(5),
};

/// An HTTP status and body for a request's form, or no connection. The status 0 never comes.
type Answers = dyn Fn(&str) -> Option<(u16, String)> + Send + Sync;

/// An EC2 API inside the program, which remembers what it was asked.
#[derive(Clone)]
struct Api {
    asked: Arc<Mutex<Vec<String>>>,
    answers: Arc<Answers>,
}

impl Api {
    fn new(answers: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Api {
        Api { asked: Arc::default(), answers: Arc::new(answers) }
    }

    /// How often a request with this text came.
    fn count(&self, text: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|form| form.contains(text)).count()
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Api")
    }
}

impl HttpClient for Api {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Api {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let form = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        self.asked.lock().unwrap().push(form.clone());
        HttpConnectorFuture::ready(match (self.answers)(&form) {
            Some((0, _)) => return HttpConnectorFuture::new(std::future::pending()),
            Some((status, body)) => {
                Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
            }
            None => Err(ConnectorError::io("refused".into())),
        })
    }
}

fn config(vpcs: &[&str], role_arn: Option<&str>, endpoint_url: Option<&str>) -> SourceConfig {
    SourceConfig {
        name: SourceName::from("hub"),
        kind: SourceKind::Ec2 {
            region: Some("eu-west-1".into()),
            role: role_arn.map(role),
            endpoint_url: endpoint_url.map(str::to_owned),
        },
        vpc_ids: vpcs.iter().map(|vpc| VpcId::from(*vpc)).collect(),
        tags: BTreeMap::new(),
        subnets: false,
        interval: None,
    }
}

fn role(arn: &str) -> Role {
    Role {
        name: RoleName::Arn(arn.to_owned()),
        external_id: None,
        session_name: "hubdns".to_owned(),
        session_tags: BTreeMap::new(),
    }
}

/// Nobody's lookup: a test that needs a name says so.
fn no_lookup() -> HostLookup {
    Arc::new(|host| async move { Err(io::Error::other(format!("no server knows {host}"))) }.boxed())
}

/// The production loader without the host's environment, and without its pauses.
fn quick(http: SharedHttpClient) -> ConfigLoader {
    let retries = retries().with_initial_backoff(Duration::from_millis(1));
    bare(http, retries).credentials_provider(Credentials::new("id", "secret", None, None, "test"))
}

fn bare(http: SharedHttpClient, retries: RetryConfig) -> ConfigLoader {
    // Without an environment there is no home, hence no profile either.
    loader(http, &SHORT, retries).empty_test_environment()
}

async fn source_with(config: SourceConfig, loader: ConfigLoader) -> Ec2 {
    source_paced(config, loader, &CallPace::new()).await
}

async fn source_paced(config: SourceConfig, loader: ConfigLoader, pace: &CallPace) -> Ec2 {
    let ec2 = Ec2::new(config, no_lookup(), pace);
    let session = Session::from_loader(&ec2.config, loader, SHORT, &ec2.pace).await.unwrap();
    Ec2 { session: Some(session), ..ec2 }
}

async fn source(api: &Api) -> Ec2 {
    source_with(config(&[], None, None), quick(SharedHttpClient::new(api.clone()))).await
}

async fn fetched(api: &Api) -> Result<Recorded, DiscoverError> {
    let fetched = source(api).await.fetch(true).await;
    fetched.map(|(_, recorded)| recorded)
}

/// The error as the log prints it, with its metric labels, which are checked to be bounded.
async fn told(mut ec2: Ec2) -> String {
    let error = ec2.fetch(true).await.unwrap_err();
    assert!(ACTIONS.contains(&error.action()), "{}", error.action());
    assert!(CODES.contains(&error.code()), "{}", error.code());
    format!("{} {}: {}", error.action(), error.code(), Chain(&error))
}

fn body(call: &str, set: &str, items: &[String], next: Option<&str>) -> Option<(u16, String)> {
    let items: String = items.iter().map(|item| format!("<item>{item}</item>")).collect();
    let next = next.map_or(String::new(), |token| format!("<nextToken>{token}</nextToken>"));
    Some((200, format!("<{call}Response><{set}>{items}</{set}>{next}</{call}Response>\n")))
}

fn endpoints(items: &[String], next: Option<&str>) -> Option<(u16, String)> {
    body("DescribeVpcEndpoints", "vpcEndpointSet", items, next)
}

fn endpoint(id: &str, service: &str, state: &str) -> String {
    format!(
        "<vpcEndpointId>vpce-{id}</vpcEndpointId><vpcEndpointType>Interface</vpcEndpointType>\
         <vpcId>vpc-1</vpcId><serviceName>{service}</serviceName><state>{state}</state>\
         <networkInterfaceIdSet><item>eni-{id}</item></networkInterfaceIdSet>\
         <creationTimestamp>2024-01-16T09:23:59.593Z</creationTimestamp>"
    )
}

/// The services and interfaces that a form's filter names.
fn details(form: &str) -> Option<(u16, String)> {
    let values: Vec<&str> = form
        .split('&')
        .filter_map(|pair| pair.strip_prefix("Filter.1.Value."))
        .filter_map(|pair| Some(pair.split_once('=')?.1))
        .collect();
    match form.contains("Action=DescribeVpcEndpointServices") {
        true => {
            let items: Vec<String> = values
                .iter()
                .map(|name| format!("<serviceName>{name}</serviceName><owner>amazon</owner>"))
                .collect();
            body("DescribeVpcEndpointServices", "serviceDetailSet", &items, None)
        }
        false => {
            let items: Vec<String> = values
                .iter()
                .map(|id| {
                    format!(
                        "<networkInterfaceId>{id}</networkInterfaceId>\
                         <availabilityZone>eu-west-1a</availabilityZone>\
                         <privateIpAddress>10.0.0.1</privateIpAddress>"
                    )
                })
                .collect();
            body("DescribeNetworkInterfaces", "networkInterfaceSet", &items, None)
        }
    }
}

/// An API whose endpoints are as told and whose other lists are as asked.
fn api(list: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Api {
    Api::new(move |form| match form.contains("Action=DescribeVpcEndpoints&") {
        true => list(form),
        false => details(form),
    })
}

fn refusal(status: u16, code: &str) -> Option<(u16, String)> {
    Some((
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>said EC2</Message></Error>\
             </Errors><RequestID>1</RequestID></Response>"
        ),
    ))
}

#[tokio::test]
async fn states_are_what_they_are_in_any_case() {
    let items = ["available", "Available", "pendingAcceptance", "somethingNew"];
    let items: Vec<String> = items
        .iter()
        .enumerate()
        .map(|(at, state)| endpoint(&at.to_string(), "sqs", state))
        .collect();
    let api = api(move |_| endpoints(&items, None));
    let recorded = fetched(&api).await.unwrap();
    let facts = normalise(&config(&[], None, None), Some("eu-west-1".into()), &recorded).unwrap();
    let states: Vec<EndpointState> = facts.endpoints.into_iter().map(|it| it.state).collect();
    assert_eq!(
        states,
        [
            EndpointState::Available,
            EndpointState::Available,
            EndpointState::PendingAcceptance,
            EndpointState::from("somethingNew"),
        ]
    );
}

#[tokio::test]
async fn services_are_asked_again_only_for_a_new_name_or_on_demand() {
    let names: Arc<Mutex<Vec<&str>>> = Arc::new(Mutex::new(vec!["sqs", "kms"]));
    let shown = names.clone();
    let api = api(move |_| {
        let items: Vec<String> =
            shown.lock().unwrap().iter().map(|name| endpoint(name, name, "available")).collect();
        endpoints(&items, None)
    });
    let mut ec2 = source(&api).await;
    let mut calls = async |ask: bool| {
        let (_, recorded) = ec2.fetch(ask).await.unwrap();
        (api.count("Action=DescribeVpcEndpointServices"), recorded.services.len())
    };
    assert_eq!(calls(false).await, (1, 2));
    assert_eq!(calls(false).await, (1, 2));
    *names.lock().unwrap() = vec!["sqs"];
    assert_eq!(calls(false).await, (1, 1));
    *names.lock().unwrap() = vec!["sqs", "logs"];
    assert_eq!(calls(false).await, (2, 2));
    assert_eq!(calls(true).await, (3, 2));
}

#[tokio::test]
async fn no_call_has_more_than_one_filter_or_two_hundred_values() {
    let items: Vec<String> =
        (0..201).map(|at| endpoint(&at.to_string(), &format!("s{at}"), "available")).collect();
    let api = api(move |_| endpoints(&items, None));
    let http = SharedHttpClient::new(api.clone());
    let mut ec2 = source_with(config(&["vpc-1", "vpc-2"], None, None), quick(http)).await;
    let (_, recorded) = ec2.fetch(true).await.unwrap();
    assert_eq!(recorded.services.len(), 201);
    assert_eq!(recorded.interfaces.len(), 201);
    assert_eq!(api.count("Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.2=vpc-2"), 1);
    assert_eq!(api.count("Filter.1.Name=service-name"), 2);
    assert_eq!(api.count("Filter.1.Name=network-interface-id"), 2);
    assert_eq!(api.count("Value.201="), 0);
    assert_eq!(api.count("Filter.2"), 0);
    assert_eq!(api.count("NetworkInterfaceId."), 0);
}

#[tokio::test]
async fn a_denied_call_names_the_iam_action_and_is_not_repeated() {
    let api = Api::new(|form| match form.contains("DescribeVpcEndpoints&") {
        true => endpoints(&[endpoint("1", "sqs", "available")], None),
        false => refusal(403, "UnauthorizedOperation"),
    });
    insta::assert_snapshot!(told(source(&api).await).await, @r#"DescribeVpcEndpointServices UnauthorizedOperation: AWS refused DescribeVpcEndpointServices: the caller lacks the permission ec2:DescribeVpcEndpointServices: service error: unhandled error (UnauthorizedOperation): Error { code: "UnauthorizedOperation", message: "said EC2" }"#);
    assert_eq!(api.count("Action="), 2);
}

#[tokio::test]
async fn a_throttled_call_is_tried_three_times() {
    let api = api(|_| refusal(503, "RequestLimitExceeded"));
    insta::assert_snapshot!(told(source(&api).await).await, @r#"DescribeVpcEndpoints RequestLimitExceeded: AWS throttled DescribeVpcEndpoints on every attempt: service error: unhandled error (RequestLimitExceeded): Error { code: "RequestLimitExceeded", message: "said EC2" }"#);
    assert_eq!(api.count("Action="), 3);
}

#[tokio::test]
async fn other_refusals_are_told_by_their_code() {
    let expired = api(|_| refusal(400, "RequestExpired"));
    insta::assert_snapshot!(told(source(&expired).await).await, @r#"DescribeVpcEndpoints RequestExpired: the AWS credentials have expired, or this host's clock is wrong: DescribeVpcEndpoints failed: service error: unhandled error (RequestExpired): Error { code: "RequestExpired", message: "said EC2" }"#);
    let unknown = api(|_| refusal(401, "AuthFailure"));
    insta::assert_snapshot!(told(source(&unknown).await).await, @r#"DescribeVpcEndpoints AuthFailure: AWS answered DescribeVpcEndpoints with the error AuthFailure: service error: unhandled error (AuthFailure): Error { code: "AuthFailure", message: "said EC2" }"#);
}

#[tokio::test]
async fn a_look_dropped_while_it_waits_keeps_what_was_known() {
    let api = api(|_| endpoints(&[endpoint("1", "sqs", "available")], None));
    let mut ec2 = source(&api).await;
    ec2.fetch(true).await.unwrap();
    let good = ec2.session.take();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (config, loader) = (config(&[], None, Some(&url)), quick(http::client(&no_lookup())));
    let session = Session::from_loader(&config, loader, SHORT, &ec2.pace).await;
    ec2.session = Some(session.unwrap());
    let dropped = tokio::time::timeout(Duration::from_millis(20), ec2.fetch(true)).await;
    assert!(dropped.is_err());
    assert!(ec2.session.is_none());
    ec2.session = good;
    let (_, recorded) = ec2.fetch(false).await.unwrap();
    assert_eq!((recorded.services.len(), api.count("Action=DescribeVpcEndpointServices")), (1, 1));
}

#[test]
fn a_look_can_be_sent_between_threads() {
    fn sendable<T: Send>(_: &T) {}
    let mut source = Source::new(config(&[], None, None), no_lookup(), CallPace::new());
    sendable(&source.fetch(true));
}
