//! What one view is: who is in it, and what it is told otherwise than everybody.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;

use super::{Alias, AllowRule, ServiceRule};
use crate::base::{AccountId, EndpointId, Ttl, ViewName, VpcId};

/// One `[[view]]`. What it does not say it inherits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewConfig {
    /// `name`, unlike every other view's.
    pub name: ViewName,
    /// `clients`: empty means whoever asks `listeners`.
    pub clients: Vec<IpNet>,
    /// `listeners`: the addresses asked; empty means any. Port and address both count, and an
    /// unspecified address stands for every address of that port.
    pub listeners: Vec<SocketAddr>,
    /// `kind`: where its clients are.
    pub kind: ViewKind,
    /// `tags`: only endpoints that have all of these.
    pub tags: BTreeMap<String, String>,
    /// `vpc_ids`: only endpoints in one of these; empty means any.
    pub vpc_ids: Vec<VpcId>,
    /// `accounts`: only endpoints that one of these owns; empty means any.
    pub accounts: Vec<AccountId>,
    /// `endpoints`: only these; empty means any.
    pub endpoints: Vec<EndpointId>,
    /// `deny`: added to `answers.deny`.
    pub deny: Vec<ServiceRule>,
    /// `allow`: what of `answers.deny` does not count here. It denies nothing else.
    pub allow: Vec<AllowRule>,
    /// `override`, where it differs from `answers.override`.
    pub overrides: Option<bool>,
    /// `ttl_secs`, where it differs from `answers.ttl_secs`.
    pub ttl: Option<Ttl>,
    /// `negative_ttl_secs`, likewise.
    pub negative_ttl: Option<Ttl>,
    /// `[[view.alias]]`: added to `[[answers.alias]]`, and in place of one of the same name.
    pub aliases: Vec<Alias>,
}

/// Where a view's clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// In VPCs, as far as is known: endpoints for on-premises clients alone are left out.
    Vpc,
    /// On premises: those endpoints answer, too.
    Onprem,
}

// === impl ViewConfig ===

impl ViewConfig {
    /// A view that takes every client and inherits everything.
    pub fn named(name: ViewName) -> Self {
        Self {
            name,
            clients: Vec::new(),
            listeners: Vec::new(),
            kind: ViewKind::Vpc,
            tags: BTreeMap::new(),
            vpc_ids: Vec::new(),
            accounts: Vec::new(),
            endpoints: Vec::new(),
            deny: Vec::new(),
            allow: Vec::new(),
            overrides: None,
            ttl: None,
            negative_ttl: None,
            aliases: Vec::new(),
        }
    }

    /// Whether a client that asked `listener` is in this view.
    pub fn matches(&self, client: IpAddr, listener: SocketAddr) -> bool {
        (self.clients.is_empty() || self.clients.iter().any(|network| network.contains(&client)))
            && self.is_asked_at(Some(listener))
    }

    /// Whether who asks `listener` may be in this view; `None` is one that no view names.
    pub fn is_asked_at(&self, listener: Option<SocketAddr>) -> bool {
        let is_asked = |bound: &SocketAddr| {
            listener.is_some_and(|asked| {
                bound.port() == asked.port()
                    && (bound.ip() == asked.ip() || bound.ip().is_unspecified())
            })
        };
        self.listeners.is_empty() || self.listeners.iter().any(is_asked)
    }
}

#[cfg(test)]
mod tests {
    use super::ViewConfig;

    #[test]
    fn a_view_matches_by_network_and_by_listener() {
        let view = ViewConfig {
            clients: vec!["10.0.0.0/8".parse().unwrap()],
            listeners: vec!["0.0.0.0:5353".parse().unwrap()],
            ..ViewConfig::named("v".into())
        };
        let matches = |client: &str, listener: &str| {
            view.matches(client.parse().unwrap(), listener.parse().unwrap())
        };
        assert!(matches("10.1.2.3", "10.0.0.10:5353"));
        assert!(!matches("10.1.2.3", "10.0.0.10:53"));
        assert!(!matches("192.168.0.1", "10.0.0.10:5353"));
    }
}
