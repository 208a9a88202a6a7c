//! How our own AWS calls find their hosts: by the upstreams, never through ourselves.
//!
//! Our host may well use us as its resolver. If the EC2 API were looked up through us, we would
//! need a table to get one. So neither the host's resolv.conf nor the forwarder has a part in it,
//! and a loop that stops the forwarder does not stop discovery.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use rustls::ClientConfig;

use super::{address::UpstreamAddress, config::LookupConfig, trust::Trust};
use crate::base::Name;

/// What the upstreams get to answer, two side by side, before they are asked again. With the two
/// retries that are the resolver's default a lookup fails within 3 * 2 s = 6 s, inside the SDK's
/// limit for an attempt.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long an absence is believed. Upstreams may say hours; a host of AWS's that is not there is a
/// resolver's trouble, and the first round after it is over should get through.
const ABSENCE_MAX: Duration = Duration::from_secs(1);

/// Looks hosts up, and in the host's own hosts file first. Cheap to clone.
#[derive(Clone)]
pub struct HostLookup {
    default: Way,
    /// The longest first, so that the first that holds a host decides.
    zones: Vec<(Name, Way)>,
}

/// Who is asked.
#[derive(Clone)]
enum Way {
    Ask(Box<TokioResolver>),
    /// Nobody, for this reason.
    Nobody(&'static str),
}

// === impl HostLookup ===

impl HostLookup {
    /// A lookup as `config` says, whose upstreams by TLS are believed for `trust`. Fails when the
    /// resolver cannot be made, or one is asked by TLS and nobody is believed.
    pub fn new(config: &LookupConfig, trust: &Trust) -> io::Result<HostLookup> {
        let nobody = "no upstream is configured to look hosts up with";
        let refused = "the configuration refuses to forward the host's zone";
        let zone = |(name, upstreams): (&Name, &[UpstreamAddress])| {
            Ok((name.clone(), Way::new(upstreams, trust, refused)?))
        };
        let zones = config.zones.iter().map(|it| (&it.name, it.upstreams.as_slice()));
        let mut zones = zones.map(zone).collect::<io::Result<Vec<_>>>()?;
        zones.sort_by_key(|(name, _)| std::cmp::Reverse(name.labels().count()));
        Ok(HostLookup { default: Way::new(&config.upstreams, trust, nobody)?, zones })
    }

    /// The addresses of `host`.
    pub async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        match self.way(host) {
            Way::Ask(resolver) => {
                let found = resolver.lookup_ip(host).await.map_err(io::Error::other)?;
                Ok(found.iter().collect())
            }
            Way::Nobody(why) => Err(io::Error::other(*why)),
        }
    }

    /// Who is asked for `host`: the longest zone that holds it decides, as for clients. What is no
    /// name is in no zone.
    fn way(&self, host: &str) -> &Way {
        let Ok(name) = Name::parse(host) else { return &self.default };
        let holds = |(zone, _): &&(Name, Way)| name.is_within(zone);
        self.zones.iter().find(holds).map_or(&self.default, |(_, way)| way)
    }
}

// === impl Way ===

impl Way {
    fn new(upstreams: &[UpstreamAddress], trust: &Trust, or_else: &'static str) -> io::Result<Way> {
        if upstreams.is_empty() {
            return Ok(Way::Nobody(or_else));
        }
        let server = |upstream: &UpstreamAddress| {
            let connections = match upstream {
                UpstreamAddress::Plain(_) => {
                    vec![ConnectionConfig::udp(), ConnectionConfig::tcp()]
                }
                UpstreamAddress::Tls { address, name } => {
                    let own = || address.ip().to_string().into();
                    let name = name.as_deref().map_or_else(own, Arc::from);
                    vec![ConnectionConfig::tls(name)]
                }
            };
            let connections = connections.into_iter().map(|mut connection| {
                connection.port = upstream.socket().port();
                connection
            });
            NameServerConfig::new(upstream.socket().ip(), true, connections.collect())
        };
        let servers = upstreams.iter().map(server).collect();
        let provider = TokioRuntimeProvider::default();
        let resolver = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(resolver, provider);
        if upstreams.iter().any(UpstreamAddress::is_tls) {
            let nobody = || io::Error::other("no certificates to trust for upstreams by TLS");
            let settings = trust.client_config().ok_or_else(nobody)?;
            builder = builder.with_tls_config(ClientConfig::clone(settings));
        }
        builder.options_mut().timeout = TIMEOUT;
        builder.options_mut().negative_max_ttl = Some(ABSENCE_MAX);
        let resolver = builder.build().map_err(io::Error::other)?;
        Ok(Way::Ask(Box::new(resolver)))
    }
}

#[cfg(test)]
mod tests {
    use super::{HostLookup, Trust, Way};
    use crate::forward::{ForwardZone, LookupConfig, LookupFrom};

    #[tokio::test]
    async fn the_longest_zone_decides_who_is_asked_for_a_host_of_aws() {
        let zone = |name: &str, upstreams: &[&str]| ForwardZone {
            name: name.parse().unwrap(),
            upstreams: upstreams.iter().map(|it| it.parse().unwrap()).collect(),
        };
        let config = LookupConfig {
            from: LookupFrom::Forward,
            upstreams: vec![],
            zones: vec![zone("aws.example", &["192.0.2.1:53"]), zone("no.aws.example", &[])],
        };
        let lookup = HostLookup::new(&config, &Trust::default()).unwrap();
        let why = |host| match lookup.way(host) {
            Way::Ask(_) => "asked",
            Way::Nobody(why) => why,
        };
        assert_eq!(why("ec2.aws.example"), "asked");
        assert!(why("ec2.no.AWS.example.").starts_with("the configuration refuses"));
        assert!(why("ec2.elsewhere.example").starts_with("no upstream is configured"));
        let error = lookup.lookup("ec2.elsewhere.example").await.unwrap_err();
        assert_eq!(error.to_string(), "no upstream is configured to look hosts up with");
    }
}
