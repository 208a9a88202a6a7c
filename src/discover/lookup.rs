//! How our own AWS calls find their hosts.
//!
//! Never through the host's resolver: that may be us, and before the first table we answer
//! nothing that might be ours. Names that the host itself defines are still its to define.

use std::{io, net::IpAddr, sync::Arc};

use futures_util::future::BoxFuture;

/// Finds the addresses of a host, by the configured upstreams.
pub type HostLookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;
