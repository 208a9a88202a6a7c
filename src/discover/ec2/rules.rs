//! The rules of Route 53 Resolver at one VPC, by two calls that are signed here.
//!
//! The SDK's crate for the service has some seventy operations; it would cost every build half a minute
//! for two lists that a person asks for now and then.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_runtime_api::client::{http::HttpConnector, orchestrator::HttpRequest};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    calls::Pages,
    errors::Context,
    http,
    session::{LIMITS, own},
};
use crate::{
    base::VpcId,
    discover::{
        config::domain,
        error::{Action, Cause, DiscoverError},
        lookup::HostLookup,
        trial::{ForwardingRule, Place},
    },
};

/// The name of the service in its addresses and in what is signed.
const SERVICE: &str = "route53resolver";
/// Items asked for at once: the most that it gives.
const PAGE_ITEMS: u32 = 100;
/// For one call, to its last octet.
const WITHIN: Duration = Duration::from_secs(10);
/// Octets of an answer: 100 rules with as many targets as a rule has (6) are some 100 kB.
const ANSWER_LEN_MAX: usize = 4 << 20;

/// A page of `ListResolverRuleAssociations`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Associations {
    #[serde(default)]
    resolver_rule_associations: Vec<Association>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Association {
    resolver_rule_id: String,
}

/// A page of `ListResolverRules`, which also has those that others share with us.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rules {
    #[serde(default)]
    resolver_rules: Vec<Rule>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    id: String,
    domain_name: String,
    rule_type: String,
    target_ips: Option<Vec<Target>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    ip: Option<IpAddr>,
    ipv6: Option<IpAddr>,
}

/// An error as the JSON protocol writes it.
#[derive(Debug, thiserror::Error, Deserialize)]
#[error("{message}")]
struct Told {
    #[serde(rename = "__type", default)]
    code: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// The service in one region, as this host.
struct Resolver {
    shared: aws_config::SdkConfig,
    url: String,
    http: http::ByHost,
}

// === impl Place ===

impl Place {
    /// The rules that send questions of `vpc` on, in the order of their ids. Asked as this host, in its
    /// own region and account.
    pub async fn rules(
        &self,
        vpc: &VpcId,
        lookup: &HostLookup,
    ) -> Result<Vec<ForwardingRule>, DiscoverError> {
        let resolver = Resolver::open(self, lookup).await?;
        let mut ids: BTreeSet<String> = BTreeSet::new();
        let filter = json!([{ "Name": "VPCId", "Values": [vpc.as_str()] }]);
        let action = Action::ListResolverRuleAssociations;
        let mut pages = Pages::new(action);
        while pages.more() {
            let order = json!({ "Filters": filter, "MaxResults": PAGE_ITEMS });
            let page: Associations = resolver.page(action, order, pages.token()).await?;
            ids.extend(page.resolver_rule_associations.into_iter().map(|it| it.resolver_rule_id));
            pages.go_on(page.next_token)?;
        }
        let mut rules: Vec<ForwardingRule> = Vec::new();
        let action = Action::ListResolverRules;
        let mut pages = Pages::new(action);
        while !ids.is_empty() && pages.more() {
            let order = json!({ "MaxResults": PAGE_ITEMS });
            let page: Rules = resolver.page(action, order, pages.token()).await?;
            let ours = page.resolver_rules.into_iter().filter(|rule| ids.contains(&rule.id));
            // Others say what is not sent on.
            rules.extend(ours.filter(|rule| rule.rule_type == "FORWARD").map(ForwardingRule::from));
            pages.go_on(page.next_token)?;
        }
        rules.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(rules)
    }
}

// === impl ForwardingRule ===

impl From<Rule> for ForwardingRule {
    fn from(rule: Rule) -> Self {
        let targets = rule.target_ips.unwrap_or_default().into_iter();
        let targets = targets.flat_map(|it| it.ip.into_iter().chain(it.ipv6)).collect();
        Self { id: rule.id, domain: rule.domain_name, targets }
    }
}

// === impl Resolver ===

impl Resolver {
    async fn open(place: &Place, lookup: &HostLookup) -> Result<Resolver, DiscoverError> {
        let shared = own(&place.region, lookup).await?;
        let url = match shared.endpoint_url() {
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            None => {
                let region = place.region.as_str();
                format!("https://{SERVICE}.{region}.{}/", domain(region))
            }
        };
        Ok(Resolver { shared, url, http: http::alone(lookup) })
    }

    /// One page of a list.
    async fn page<T: DeserializeOwned>(
        &self,
        action: Action,
        mut order: Value,
        token: Option<String>,
    ) -> Result<T, DiscoverError> {
        if let Some(token) = token {
            order["NextToken"] = token.into();
        }
        let context = Context { action, role: None, limits: &LIMITS };
        let credentials = match self.shared.credentials_provider() {
            Some(provider) => provider.provide_credentials().await,
            None => {
                Err(aws_credential_types::provider::error::CredentialsError::not_loaded_no_source())
            }
        };
        let credentials = credentials.map_err(|error| context.credentials(error.into()))?;
        let unusable = |source: Cause| DiscoverError::Garbage {
            action,
            what: "it is not of the JSON protocol".to_owned(),
            source: Some(source),
        };
        let request = self.signed(action, &order.to_string(), credentials).map_err(unusable)?;
        let called = timeout(WITHIN, async {
            let response = self.http.call(request).await;
            let response = response
                .map_err(|error| DiscoverError::Unreachable { action, source: error.into() })?;
            let good = response.status().is_success();
            let told = whole(response.into_body()).await.map_err(unusable)?;
            Ok((good, told))
        });
        let (good, told) = called.await.map_err(|elapsed| {
            let (after, source) = (WITHIN, elapsed.into());
            DiscoverError::TimedOut { action, after, source }
        })??;
        match good {
            true => serde_json::from_slice(&told).map_err(|error| unusable(error.into())),
            false => {
                let told: Told =
                    serde_json::from_slice(&told).map_err(|error| unusable(error.into()))?;
                let code = told.code.rsplit('#').next().unwrap_or_default().to_owned();
                Err(context.coded(action, &code, told.into()))
            }
        }
    }

    /// The request with the headers that prove who sends it.
    fn signed(
        &self,
        action: Action,
        body: &str,
        credentials: aws_credential_types::Credentials,
    ) -> Result<HttpRequest, Cause> {
        let target = format!("Route53Resolver.{action}");
        let headers =
            [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let identity = credentials.into();
        let now = self.shared.time_source().unwrap_or_default().now();
        let region = self.shared.region().map(|it| it.as_ref().to_owned()).unwrap_or_default();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()?
            .into();
        let body_signed = SignableBody::Bytes(body.as_bytes());
        let signable =
            SignableRequest::new("POST", &self.url, headers.iter().copied(), body_signed)?;
        let (signature, _) = sign(signable, &parameters)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST")?;
        request.set_uri(self.url.as_str())?;
        for (name, value) in headers.into_iter().chain(signature.headers()) {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned())?;
        }
        Ok(request)
    }
}

/// A body to its end.
async fn whole(body: SdkBody) -> Result<Vec<u8>, Cause> {
    let mut stream = ByteStream::new(body);
    let mut whole = Vec::new();
    while let Some(part) = stream.next().await {
        whole.extend_from_slice(&part?);
        if ANSWER_LEN_MAX < whole.len() {
            return Err(format!("it has more than {ANSWER_LEN_MAX} octets").into());
        }
    }
    Ok(whole)
}
