//! Inventories from one line an endpoint, for tests of this room and of those built on it.
//!
//! A line is `ID SERVICE WORD...`, where a word is `ZONE=ADDRESS` or one of the keys below:
//!
//! ```text
//! vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 names=sqs.eu-west-1.amazonaws.com
//! names=A,B    what the service publishes (the first line of a service that says so counts)
//! dns=A,B      DnsEntries          source=NAME  default "hub"      created=SECONDS
//! state= kind= records= owner= verification=  as AWS spells them   tags=KEY:VALUE,...
//! vpc=ID       default "vpc-1"      account=ID    who owns the endpoint
//! leads=A/B/C,...  associations: DnsEntry, PrivateDnsEntry, accessibility;  agreed  PrivateDnsEnabled
//! onprem       PrivateDnsOnlyForInboundResolverEndpoint
//! ```

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;

use crate::{
    base::{Az, Ttl},
    inventory::{
        Association, Endpoint, EndpointState, Interface, Inventory, Service, SourceFacts,
        Verification,
    },
};

use super::{Alias, AliasTarget, Lender, PolicyConfig, ServiceRule, ViewConfig};

/// The facts of some lines; empty lines do not count.
pub(crate) fn inventory(lines: &str) -> Inventory {
    let mut sources: Vec<SourceFacts> = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let source = value(line, "source").unwrap_or("hub");
        let at = sources.iter().position(|known| known.source.as_str() == source);
        let at = at.unwrap_or_else(|| {
            sources.push(SourceFacts::new(source.into(), None, vec![], vec![], vec![]));
            sources.len() - 1
        });
        add(&mut sources[at], line);
    }
    let sorted = sources.into_iter().map(|facts| {
        let SourceFacts { source, region, endpoints, services, interfaces, .. } = facts;
        SourceFacts::new(source, region, endpoints, services, interfaces)
    });
    Inventory { sources: sorted.map(Arc::new).collect() }
}

/// Nothing denied, no alias, no view but the rest; what a test wants otherwise it says.
pub(crate) fn config() -> PolicyConfig {
    PolicyConfig {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        ttl: Ttl::from_secs(60).unwrap(),
        negative_ttl: Ttl::from_secs(60).unwrap(),
        deny: vec![],
        allow_rules: vec![],
        overrides: false,
        aliases: vec![],
        alias_sets: vec![],
        views: vec![],
        zones: vec![],
        discover_zones: false,
    }
}

/// An alias to a service, or to an endpoint where `target` is an endpoint's id.
pub(crate) fn alias(name: &str, target: &str) -> Alias {
    Alias {
        pattern: name.parse().unwrap(),
        target: AliasTarget::Endpoint {
            of: match target.starts_with("vpce-") {
                true => Lender::Endpoint(target.into()),
                false => Lender::Service(ServiceRule::new(target)),
            },
            zone: None,
        },
    }
}

/// An alias to a name.
pub(crate) fn cname(name: &str, target: &str) -> Alias {
    let target = AliasTarget::Cname(target.parse().unwrap());
    Alias { pattern: name.parse().unwrap(), target }
}

/// A view of one client network.
pub(crate) fn view(name: &str, clients: &str) -> ViewConfig {
    ViewConfig { clients: vec![clients.parse().unwrap()], ..ViewConfig::named(name.into()) }
}

fn add(facts: &mut SourceFacts, line: &str) {
    let mut words = line.split_whitespace();
    let (id, service) = (words.next().unwrap(), words.next().unwrap());
    let mut interfaces: Vec<Interface> = Vec::new();
    for (zone, ip) in words.filter_map(|word| word.split_once('=')) {
        let Ok(ip) = ip.parse::<IpAddr>() else {
            continue;
        };
        let eni = format!("eni-{}-{zone}", id.trim_start_matches("vpce-"));
        let at = interfaces.iter().position(|known| known.id.as_str() == eni);
        let at = at.unwrap_or_else(|| {
            interfaces.push(Interface {
                id: eni.into(),
                az: Az { name: zone.into(), id: None },
                ipv4: vec![],
                ipv6: vec![],
            });
            interfaces.len() - 1
        });
        match ip {
            IpAddr::V4(ip) => interfaces[at].ipv4.push(ip),
            IpAddr::V6(ip) => interfaces[at].ipv6.push(ip),
        }
    }
    facts.endpoints.push(Endpoint {
        id: id.into(),
        kind: value(line, "kind").unwrap_or("Interface").into(),
        state: value(line, "state").map_or(EndpointState::Available, Into::into),
        service: service.into(),
        service_region: None,
        vpc: value(line, "vpc").unwrap_or("vpc-1").into(),
        owner: value(line, "account").map(Into::into),
        ip_type: "dualstack".into(),
        record_ip_type: value(line, "records").unwrap_or("dualstack").into(),
        onprem_only: line.split_whitespace().any(|word| word == "onprem"),
        created: value(line, "created")
            .map(|s| Timestamp::from_second(s.parse().unwrap()).unwrap()),
        tags: list(line, "tags")
            .iter()
            .filter_map(|tag| tag.split_once(':'))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        dns_entries: list(line, "dns"),
        interfaces: interfaces.iter().map(|eni| eni.id.clone()).collect(),
        associations: value(line, "leads").map(|_| associations(line)),
    });
    facts.interfaces.extend(interfaces);
    let private_names = list(line, "names");
    let known = facts.services.iter().any(|known| known.name.as_str() == service);
    if !known && !private_names.is_empty() {
        facts.services.push(Service {
            name: service.into(),
            private_names,
            verification: value(line, "verification").map_or(Verification::Verified, Into::into),
            owner: Some(value(line, "owner").unwrap_or("amazon").to_owned()),
        });
    }
}

fn associations(line: &str) -> Vec<Association> {
    let agreed = line.split_whitespace().any(|word| word == "agreed");
    let one = |(at, text): (usize, &String)| {
        let mut parts = text.split('/');
        let mut name = || parts.next().filter(|name| !name.is_empty()).map(str::to_owned);
        Association {
            id: format!("{at}").as_str().into(),
            dns_name: name(),
            private_name: name(),
            accessibility: name().as_deref().unwrap_or("Accessible").into(),
            agreed,
        }
    };
    list(line, "leads").iter().enumerate().map(one).collect()
}

fn value<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .find_map(|(known, value)| (known == key).then_some(value))
}

fn list(line: &str, key: &str) -> Vec<String> {
    let listed = value(line, key).map(|text| text.split(',').map(str::to_owned).collect());
    listed.unwrap_or_default()
}
