//! The table that a running daemon tells of, from its document.
//!
//! Has what clients notice and the rules by which they are told apart, and where names come from; why
//! others are declined is left out.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use crate::{
    admin::json::{CnameDocument, NameDocument, NamesDocument, ViewDocument},
    base::{Az, EndpointId, Name, NameError, Pattern, SourceName, Ttl, TtlError},
    policy::{
        Address, Claim, CnameClaim, CnameLender, DeclinedList, Origin, Plan, PolicyConfig,
        ViewConfig, ViewPlan,
    },
    table::{AnswerTable, compile},
};

/// Why a daemon's document is no table.
#[derive(Debug, thiserror::Error)]
pub enum ToldError {
    /// A name that is none.
    #[error("the daemon tells of a name that is none, {name:?}")]
    Name {
        /// Its text.
        name: String,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// A time that is none.
    #[error("the daemon tells of a time of {name} that is none")]
    Ttl {
        /// The name that has it.
        name: String,
        /// What is wrong with it.
        #[source]
        source: TtlError,
    },
}

/// The table of a document of all views.
pub fn table_told(document: &NamesDocument) -> Result<AnswerTable, ToldError> {
    let rules = document.views.split_last().map_or(&[][..], |(_, named)| named).iter().map(rule);
    let config = PolicyConfig::bare(document.allow.clone(), rules.collect());
    let views = document.views.iter().map(view).collect::<Result<_, _>>()?;
    Ok(compile(Plan { views, zones: Vec::new() }, &config))
}

/// The addresses that a daemon leaves out because they do not answer its probes: a command that
/// probes nothing has to believe it.
pub fn left_out(document: &NamesDocument) -> BTreeSet<IpAddr> {
    let names = document.views.iter().flat_map(|view| &view.names);
    let caveats = names.flat_map(|name| &name.caveats).filter(|it| it.caveat == "left_out");
    caveats.flat_map(|caveat| &caveat.addresses).copied().collect()
}

/// The endpoints of which this source told the daemon.
pub fn endpoints_of(document: &NamesDocument, source: &SourceName) -> BTreeSet<EndpointId> {
    let names = document.views.iter().flat_map(|view| &view.names);
    let of_it = names.filter(|name| name.source == source.as_str());
    let cnames = document.views.iter().flat_map(|view| &view.cnames);
    let by_cname = cnames.filter(|cname| cname.source.as_deref() == Some(source.as_str()));
    let by_cname = by_cname.filter_map(|cname| cname.endpoint.as_deref());
    of_it.map(|name| name.endpoint.as_str()).chain(by_cname).map(EndpointId::from).collect()
}

fn rule(view: &ViewDocument) -> ViewConfig {
    ViewConfig {
        clients: view.clients.clone(),
        listeners: view.listeners.clone(),
        ..ViewConfig::named(view.name.as_str().into())
    }
}

fn view(view: &ViewDocument) -> Result<ViewPlan, ToldError> {
    let mut claims = view.names.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    claims.sort_by(|a, b| a.pattern.cmp(&b.pattern));
    let mut cnames = view.cnames.iter().map(cname).collect::<Result<Vec<_>, _>>()?;
    cnames.sort_by(|a, b| a.pattern.cmp(&b.pattern));
    Ok(ViewPlan {
        name: view.name.as_str().into(),
        claims,
        cnames,
        declined: DeclinedList::default(),
    })
}

/// By its word. Of a newer daemon's word nothing is known, and nothing depends on it.
fn origin(word: &str, addresses: &[Address]) -> Origin {
    match (word, addresses) {
        ("s3_apex", _) => Origin::S3Apex,
        ("regional", _) => Origin::Regional,
        ("zonal", [first, ..]) => Origin::Zonal(first.az.clone()),
        ("association", _) => Origin::Association,
        ("association_private", _) => Origin::AssociationPrivate,
        ("dns_entry", _) => Origin::DnsEntry,
        // Which set it is, nothing depends on.
        ("alias" | "alias_set", _) => Origin::Alias,
        ("allowed", _) => Origin::Allowed,
        (_, _) => Origin::Published,
    }
}

fn claim(name: &NameDocument) -> Result<Claim, ToldError> {
    let addresses: Vec<Address> = name
        .addresses
        .iter()
        .map(|it| Address {
            az: Az { name: it.az.as_str().into(), id: it.az_id.as_deref().map(Arc::from) },
            ip: it.ip,
            eni: it.eni.as_str().into(),
        })
        .collect();
    Ok(Claim {
        pattern: pattern(&name.name)?,
        origin: origin(&name.origin, &addresses),
        source: name.source.as_str().into(),
        endpoint: name.endpoint.as_str().into(),
        service: name.service.as_str().into(),
        ttl: ttl(&name.name, name.ttl_secs)?,
        negative_ttl: ttl(&name.name, name.negative_ttl_secs)?,
        addresses: addresses.into(),
        caveats: Vec::new(),
    })
}

fn cname(cname: &CnameDocument) -> Result<CnameClaim, ToldError> {
    let CnameDocument { name, target, ttl_secs, endpoint, service, source } = cname;
    let lender = endpoint.as_deref().zip(service.as_deref()).zip(source.as_deref());
    let no_name = |source| ToldError::Name { name: target.clone(), source };
    Ok(CnameClaim {
        pattern: pattern(name)?,
        target: Name::parse(target).map_err(no_name)?,
        ttl: ttl(name, *ttl_secs)?,
        lender: lender.map(|((endpoint, service), source)| CnameLender {
            endpoint: endpoint.into(),
            service: service.into(),
            source: source.into(),
        }),
    })
}

fn pattern(name: &str) -> Result<Pattern, ToldError> {
    Pattern::parse(name).map_err(|source| ToldError::Name { name: name.to_owned(), source })
}

fn ttl(name: &str, secs: u32) -> Result<Ttl, ToldError> {
    Ttl::from_secs(secs).map_err(|source| ToldError::Ttl { name: name.to_owned(), source })
}
