//! The HTTP client under the SDK: our certificates' library, our lookups, the host's proxy.

use std::fmt;

use aws_sdk_ec2::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{
    Builder, Connector, ConnectorBuilder, proxy::ProxyConfig, tls::Provider,
};
use aws_smithy_runtime_api::client::{
    dns::{DnsFuture, ResolveDns, ResolveDnsError},
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, Metadata},
    retries::RequestAttempts,
};

use super::errors::THROTTLED;
use crate::discover::{
    hosts::addresses,
    lookup::HostLookup,
    pace::{LimitOf, SourcePace},
};

/// A client for the SDK. `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are obeyed, but not for
/// addresses of this host and its link: the metadata service is not behind a proxy.
pub(super) fn client(lookup: &HostLookup) -> SharedHttpClient {
    SharedHttpClient::new(Client {
        proxied: one(lookup, ProxyConfig::from_env()),
        direct: one(lookup, ProxyConfig::disabled()),
    })
}

/// The same for requests that are no operation of the SDK's; the caller limits their time.
pub(super) fn alone(lookup: &HostLookup) -> ByHost {
    let one = |proxy| SharedHttpConnector::new(connector(lookup, proxy, Connector::builder()));
    ByHost { proxied: one(ProxyConfig::from_env()), direct: one(ProxyConfig::disabled()) }
}

fn one(lookup: &HostLookup, proxy: ProxyConfig) -> SharedHttpClient {
    let lookup = lookup.clone();
    // The builder's own way to a client with a resolver has no place for a proxy.
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder();
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector(&lookup, proxy.clone(), builder)
    })
}

fn connector(lookup: &HostLookup, proxy: ProxyConfig, builder: ConnectorBuilder) -> Connector {
    builder
        .proxy_config(proxy)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_with_resolver(Resolver(lookup.clone()))
}

/// Two clients, of which each request takes the one for its host.
#[derive(Debug)]
struct Client {
    proxied: SharedHttpClient,
    direct: SharedHttpClient,
}

/// The same for one set of timeouts.
#[derive(Debug)]
pub(super) struct ByHost {
    proxied: SharedHttpConnector,
    direct: SharedHttpConnector,
}

/// Our lookup as the SDK wants it.
#[derive(Clone)]
struct Resolver(HostLookup);

/// Refuses an answer that is not whole. A body cut short and framed anew by a proxy parses
/// without an error and with fewer items; its end is missing all the same.
#[derive(Debug)]
pub(super) struct WholeAnswers;

/// Tells the pace what the SDK does by itself: its second and third attempts, and each answer that
/// says "not so fast", be it followed by another attempt or not.
#[derive(Debug)]
pub(super) struct Paced(pub(super) SourcePace);

/// What [`WholeAnswers`] refuses.
#[derive(Debug, thiserror::Error)]
#[error("the answer does not end where EC2's answers end: it was cut short, or is another's")]
struct CutShort;

/// Whether the last tag is the one that closes an answer of the EC2 query protocol, such as
/// `</DescribeVpcEndpointsResponse>`. The tag that opens it ends alike.
fn is_whole(body: &[u8]) -> bool {
    let last_tag = body.iter().rposition(|byte| *byte == b'<');
    let last_tag = last_tag.and_then(|at| body.get(at..)).unwrap_or_default();
    last_tag.starts_with(b"</") && last_tag.trim_ascii_end().ends_with(b"Response>")
}

// === impl Client ===

impl HttpClient for Client {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ByHost {
            proxied: self.proxied.http_connector(settings, components),
            direct: self.direct.http_connector(settings, components),
        })
    }
}

// === impl ByHost ===

impl HttpConnector for ByHost {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match is_near(request.uri()) {
            true => self.direct.call(request),
            false => self.proxied.call(request),
        }
    }
}

/// Whether the URI's host is an address of this host, of its link, or the metadata service's.
fn is_near(uri: &str) -> bool {
    let authority = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    match host.parse() {
        Ok(std::net::IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        // fd00:ec2::/32 is AWS's own: metadata, time, resolver, and EKS's credentials.
        Ok(std::net::IpAddr::V6(address)) => {
            address.is_loopback() || address.segments().starts_with(&[0xfd00, 0x0ec2])
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

// === impl Resolver ===

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let found = addresses(&self.0, name).await;
            found.map_err(ResolveDnsError::new)
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

// === impl WholeAnswers ===

impl Intercept for WholeAnswers {
    fn name(&self) -> &'static str {
        "WholeAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        // Errors keep their codes: a half-read one changes nothing of what we do.
        match !response.status().is_success() || is_whole(body) {
            true => Ok(()),
            false => Err(CutShort.into()),
        }
    }
}

// === impl Paced ===

impl Intercept for Paced {
    fn name(&self) -> &'static str {
        "Paced"
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<RequestAttempts>().is_some_and(|it| 1 < it.attempts()) {
            self.0.debit();
        }
        Ok(())
    }

    // Before that the body is not read.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().unwrap_or_default();
        if !response.status().is_success() && is_throttled(body) {
            let action = config.load::<Metadata>().map_or("", Metadata::name);
            self.0.throttled(limit_of(action));
        }
        Ok(())
    }
}

/// Whose limit a call counts against: PrivateLink's are the organization's, too.
fn limit_of(action: &str) -> LimitOf {
    match action.starts_with("DescribeVpcEndpoint") {
        true => LimitOf::Organization,
        false => LimitOf::Account,
    }
}

/// Whether an error of EC2's, which is short, has a code that means "not so fast".
fn is_throttled(body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    THROTTLED.iter().any(|code| body.contains(&format!("<Code>{code}</Code>")))
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn the_metadata_services_are_not_behind_a_proxy() {
        for near in [
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.2/v2/credentials",
            "http://[fd00:ec2::254]/latest",
            "http://127.0.0.1:5000",
            "http://localhost:5000/",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in [
            "https://ec2.eu-west-1.amazonaws.com/",
            "http://10.0.0.1:3128",
            "https://[2a05:d018::1]:443/?a=[::1]",
        ] {
            assert!(!is_near(far), "{far}");
        }
    }
}
