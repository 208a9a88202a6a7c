//! How our own AWS calls find their hosts: by the upstreams, never through ourselves.
//!
//! Our host may well use us as its resolver. If the EC2 API were looked up through us, we would
//! need a table to get one.

use std::{io, net::IpAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};

use super::config::ForwardConfig;

/// What the upstreams get to answer, two side by side, before they are asked again. With the two
/// retries that are the resolver's default a lookup fails within 3 * 2 s = 6 s, inside the SDK's
/// limit for an attempt.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long an absence is believed. Upstreams may say hours; a host of AWS's that is not there is a
/// resolver's trouble, and the first round after it is over should get through.
const ABSENCE_MAX: Duration = Duration::from_secs(1);

/// Looks hosts up at the default upstreams, and in the host's own hosts file first. Cheap to clone.
#[derive(Clone)]
pub struct HostLookup(TokioResolver);

// === impl HostLookup ===

impl HostLookup {
    /// A lookup by `config.upstreams`. Fails when there is none.
    pub fn new(config: &ForwardConfig) -> io::Result<HostLookup> {
        let server = |address: &std::net::SocketAddr| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.into_iter().map(|mut connection| {
                connection.port = address.port();
                connection
            });
            NameServerConfig::new(address.ip(), true, connections.collect())
        };
        let servers: Vec<_> = config.upstreams.iter().map(server).collect();
        if servers.is_empty() {
            return Err(io::Error::other("no upstream is configured to look hosts up with"));
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        builder.options_mut().timeout = TIMEOUT;
        builder.options_mut().negative_max_ttl = Some(ABSENCE_MAX);
        Ok(HostLookup(builder.build().map_err(io::Error::other)?))
    }

    /// The addresses of `host`.
    pub async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.0.lookup_ip(host).await.map_err(io::Error::other)?;
        Ok(found.iter().collect())
    }
}
