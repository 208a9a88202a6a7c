//! Says why a client gets the answer it gets.
//!
//! A lookup, not a second implementation: [`decide`](super::decide) is called as for a query, and
//! the table holds where every name comes from and why others are declined.

use std::{fmt, net::IpAddr};

use super::{
    decide::{Asked, Decided, Decision, Told, Vantage, decide},
    exempt::Exempt,
    octets,
    sender::FORGED_TIMES,
};
use crate::{
    base::{Name, RecordType, ViewName, printable},
    forward::{ForwardConfig, Forwarder, Way},
    policy::{
        CNAMES_MAX, ClientZone, CnameClaim, CnameLender, Declined, Origin, ViewConfig, ZoneBy,
    },
    table::{AnswerTable, Entry, ViewTable},
};

/// A decision and the steps to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The name asked for.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// Who asks, and where.
    pub vantage: Vantage,
    /// The client's view.
    pub view: String,
    /// The decision in a word: `answer`, `nodata`, `cname`, `forward` or `refuse`.
    pub decision: &'static str,
    /// The addresses given, those of the client's zone first.
    pub given: Vec<Given>,
    /// How it came to that, in order.
    pub lines: Vec<(LineKind, String)>,
    /// The name that upstreams are asked for, and in which view: the one asked for, or what CNAMEs
    /// of ours lead to.
    pub asks: Option<(ViewName, Name)>,
    /// The octets of a reply with addresses alone, to a query with EDNS and without options.
    pub octets: Option<usize>,
    /// How many there may be by UDP without a cookie of ours, if the client's address may be forged.
    pub unproven: Option<usize>,
}

/// One address given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The address.
    pub ip: IpAddr,
    /// Its availability zone.
    pub az: String,
    /// Its interface.
    pub eni: String,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Whether the client may ask.
    Access,
    /// Which view it is in, and why.
    View,
    /// The client's availability zone.
    Zone,
    /// Which name of ours matches, from which endpoint.
    Match,
    /// Something to know of that name.
    Caveat,
    /// A name that was declined, and why.
    Declined,
    /// Where it is forwarded.
    Forward,
    /// What the cache has.
    Cache,
    /// What the client gets.
    Result,
}

/// Explains what a client that asks for `name` gets. A query with RD is meant.
pub fn explain(
    table: &AnswerTable,
    forward: &ForwardConfig,
    exempt: &Exempt,
    name: &Name,
    rtype: RecordType,
    vantage: Vantage,
) -> Explanation {
    let asked = Asked { name_wire: name.as_wire(), rtype, class: 1, recursion_desired: true };
    let decided = decide(table, &asked, &vantage);
    let mut explanation = Explanation {
        name: name.clone(),
        rtype,
        vantage,
        view: decided.view.name().to_string(),
        decision: decided.decision.word(),
        given: Vec::new(),
        lines: Vec::new(),
        asks: None,
        octets: None,
        unproven: exempt.may_be_forged(&vantage).then(|| octets::unproven(name)),
    };
    let admitted = table.admits(vantage.client);
    explanation.say(
        LineKind::Access,
        match admitted {
            true if explanation.unproven.is_some() => format!(
                "{} may ask: clients.allow holds it; anybody can send in its name, so by UDP without \
                 a cookie of ours it gets {FORGED_TIMES} times what it sends at most, else TC",
                vantage.client
            ),
            true => format!("{} may ask: clients.allow holds it", vantage.client),
            false => {
                format!("{} may not ask: no network of clients.allow holds it", vantage.client)
            }
        },
    );
    if admitted {
        explanation.say(LineKind::View, why_view(decided.view.rule(), &explanation.view, &vantage));
        if vantage.listener.ip().is_unspecified() {
            explanation.listener_untold(table);
        }
        if let Some(ClientZone { network, zone, by }) = table.zone_of(vantage.client) {
            explanation.say(
                LineKind::Zone,
                match by {
                    ZoneBy::Hand => format!("[zones] puts the client in {zone}"),
                    ZoneBy::Subnet => format!("the client is in {zone}, as the subnet {network}"),
                },
            );
        }
    }
    let mut end = decided;
    let mut name = name;
    for _ in 0..CNAMES_MAX {
        let Decision::Cname(cname) = end.decision else { break };
        explanation.stands_for(cname);
        if matches!(rtype, RecordType::CNAME | RecordType::ANY) {
            let ttl = cname.ttl.as_secs();
            explanation.say(LineKind::Result, format!("NOERROR with the CNAME; kept {ttl} s"));
            return explanation;
        }
        name = &cname.target;
        end = decide(table, &Asked { name_wire: name.as_wire(), ..asked }, &vantage);
    }
    explanation.conclude(name, &end, forward);
    explanation
}

/// Why the client is in this view.
fn why_view(rule: Option<&ViewConfig>, name: &str, vantage: &Vantage) -> String {
    let Some(rule) = rule else {
        return format!("{name}: no [[view]] matches the client");
    };
    let network = rule.clients.iter().find(|network| network.contains(&vantage.client));
    let client = network.map(|network| format!("{} is in {network}", vantage.client));
    let listener = (!rule.listeners.is_empty()).then(|| format!("it asks {}", vantage.listener));
    let why: Vec<String> = client.into_iter().chain(listener).collect();
    match why.is_empty() {
        true => format!("{name}: it takes every client"),
        false => format!("{name}: {}", why.join(", and ")),
    }
}

// === impl Explanation ===

impl Explanation {
    /// Adds what this forwarder's cache has for what upstreams would be asked.
    pub fn remember(&mut self, forwarder: &Forwarder) {
        let Some((view, name)) = &self.asks else { return };
        let line = (LineKind::Cache, forwarder.remembered(view, name, self.rtype).to_string());
        // The result stays the last.
        self.lines.insert(self.lines.len().saturating_sub(1), line);
    }

    fn say(&mut self, kind: LineKind, text: String) {
        self.lines.push((kind, text));
    }

    /// Says that nobody asks 0.0.0.0, where views go by the address that is asked.
    fn listener_untold(&mut self, table: &AnswerTable) {
        let port = self.vantage.listener.port();
        let by_port = |rule: &ViewConfig| rule.listeners.iter().any(|it| it.port() == port);
        let rules = table.views().filter_map(ViewTable::rule).filter(|rule| by_port(rule));
        let views: Vec<String> = rules.map(|rule| rule.name.to_string()).collect();
        if !views.is_empty() {
            self.say(LineKind::Caveat, format!(
                "{} stands for every address of ours; {} goes by the address that is asked: say which, \
                 as a listener of IP:{port}",
                self.vantage.listener,
                views.join(", ")
            ));
        }
    }

    /// Says what a name that is not a CNAME of ours comes to: the one asked for, or what CNAMEs of
    /// ours lead to.
    fn conclude(&mut self, name: &Name, decided: &Decided<'_>, forward: &ForwardConfig) {
        match decided.decision {
            Decision::Answer(entry, told) => {
                self.matched(entry);
                self.told(name, entry, told, decided.az);
            }
            Decision::NoData(entry) => {
                self.matched(entry);
                let (rtype, ttl) = (self.rtype, entry.claim().negative_ttl.as_secs());
                self.say(LineKind::Result, format!(
                    "NOERROR without records: the endpoint has no {rtype}, and names that are ours \
                     are never forwarded; kept {ttl} s"
                ));
            }
            Decision::Forward => {
                let concerning = decided.view.declined().iter().filter(|it| it.concerns(name));
                concerning.for_each(|declined| self.declined(declined, name));
                self.forwarded(decided.view, name, forward);
            }
            // Policy lets no chain of ours be so long.
            Decision::Cname(_) => self.say(LineKind::Result, "NOERROR with the CNAMEs".to_owned()),
            // Not asked for here: the class is IN.
            Decision::Server(_) => self.say(LineKind::Result, "what it was told to".to_owned()),
            Decision::Refuse(refusal) => {
                self.say(LineKind::Result, format!("REFUSED: {}", refusal.text()));
            }
        }
    }

    fn stands_for(&mut self, CnameClaim { pattern, target, lender, .. }: &CnameClaim) {
        let what = match lender {
            Some(CnameLender { endpoint, service, source }) => format!(
                "{} of {endpoint} ({service}), found by source {source}, that stands",
                Origin::AssociationPrivate
            ),
            None => "an alias that stands".to_owned(),
        };
        let text = format!("{pattern} is ours: {what} for {target}, by a CNAME");
        self.say(LineKind::Match, text);
    }

    fn declined(&mut self, declined: &Declined, name: &Name) {
        let pattern = declined.name.as_deref().unwrap_or_default();
        let text = match &declined.endpoint {
            Some(endpoint) => format!("{endpoint} could answer {pattern}, but {}", declined.why),
            None => format!("{pattern} is in the configuration, but: {}", declined.why),
        };
        self.say(LineKind::Declined, text);
        if let Some(otherwise) = declined.otherwise(name) {
            self.say(LineKind::Caveat, otherwise);
        }
    }

    fn matched(&mut self, entry: &Entry) {
        let claim = entry.claim();
        self.say(
            LineKind::Match,
            format!(
                "{} is ours: {} of {} ({}), found by source {}",
                claim.pattern, claim.origin, claim.endpoint, claim.service, claim.source
            ),
        );
        for caveat in &claim.caveats {
            self.say(LineKind::Caveat, caveat.to_string());
        }
    }

    fn told(&mut self, name: &Name, entry: &Entry, told: Told<'_>, az: Option<&str>) {
        let ttl = entry.claim().ttl.as_secs();
        match told {
            Told::Records(records) => {
                let of_family = |ip: &IpAddr| ip.is_ipv6() == (self.rtype == RecordType::AAAA);
                let near = |called: Option<&str>, given: &crate::policy::Address| {
                    called.is_some_and(|az| given.az.is_called(az))
                };
                let mut addresses: Vec<_> =
                    entry.claim().addresses.iter().filter(|it| of_family(&it.ip)).collect();
                addresses.sort_by_key(|address| !near(az, address));
                self.given = addresses
                    .into_iter()
                    .map(|address| Given {
                        ip: address.ip,
                        az: address.az.to_string(),
                        eni: address.eni.to_string(),
                    })
                    .collect();
                let order = match self.given.first().zip(az) {
                    Some((first, _)) if addresses_near(entry, az) => {
                        format!("those of {} first, ", first.az)
                    }
                    Some(_) | None => String::new(),
                };
                let rtype = self.rtype;
                let mut text = match records.count() {
                    1 => format!("NOERROR with 1 {rtype} record; kept {ttl} s"),
                    more => {
                        format!("NOERROR with {more} {rtype} records, {order}rotated; kept {ttl} s")
                    }
                };
                if name == &self.name {
                    let octets = octets::of_reply(name, &self.given);
                    text += &format!("; {}", octets::told(octets, self.unproven));
                    self.octets = Some(octets);
                }
                self.say(LineKind::Result, text);
            }
            Told::Soa => self.say(LineKind::Result, "NOERROR with the name's SOA".to_owned()),
            Told::Any => self.say(
                LineKind::Result,
                "NOERROR with one HINFO in place of all records (RFC 8482)".to_owned(),
            ),
        }
    }

    fn forwarded(&mut self, view: &ViewTable, name: &Name, forward: &ForwardConfig) {
        let (is_ours, view) = (view.find(name.as_wire()).is_some(), view.name());
        let Way { upstreams, zone, is_own } = forward.way(view, name);
        let by = match (zone, is_own) {
            (Some(zone), false) => format!("[[forward.zone]] {zone}"),
            (Some(zone), true) => format!("[[view.forward.zone]] {zone} of {view}"),
            (None, false) => "forward.upstreams".to_owned(),
            (None, true) => format!("view.forward.upstreams of {view}"),
        };
        if upstreams.is_empty() {
            self.say(
                LineKind::Result,
                match zone {
                    Some(_) if *name == self.name => format!("REFUSED: {by} has no upstreams"),
                    Some(_) => format!(
                        "SERVFAIL: {by}, for {name}, has no upstreams, and half an answer is none"
                    ),
                    None => "SERVFAIL: no upstream is configured".to_owned(),
                },
            );
            return;
        }
        self.asks = Some((view.clone(), name.clone()));
        let list: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
        let what = match *name == self.name {
            // A name of ours is forwarded for this type alone.
            true if is_ours => {
                "ours, but its DS is its parent's (RFC 4035 section 3.1.4.1)".to_owned()
            }
            true => "not ours".to_owned(),
            false => format!("{name} is not ours"),
        };
        self.say(LineKind::Forward, format!("{what}; asked of {} by {by}", list.join(", ")));
        self.say(
            LineKind::Result,
            "whatever the upstream says, whole; an alias that leads to a name of ours ends in \
             our answer"
                .to_owned(),
        );
    }
}

/// Whether the entry has an address in the client's zone.
fn addresses_near(entry: &Entry, az: Option<&str>) -> bool {
    az.is_some_and(|az| entry.claim().addresses.iter().any(|address| address.az.is_called(az)))
}

/// For people: the question, then a line a step, then the addresses. Texts of others are made
/// printable here and not before: in JSON they stand as they are.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Vantage { client, listener } = self.vantage;
        writeln!(f, "{} {} from {client} to {listener}: {}", self.name, self.rtype, self.decision)?;
        for (kind, text) in &self.lines {
            writeln!(f, "  {:<9} {}", kind.word(), printable(text))?;
        }
        for given in &self.given {
            let [az, eni] = [&given.az, &given.eni].map(|text| printable(text));
            writeln!(f, "            {:<15} {az} {eni}", given.ip)?;
        }
        Ok(())
    }
}

// === impl LineKind ===

impl LineKind {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            LineKind::Access => "access",
            LineKind::View => "view",
            LineKind::Zone => "zone",
            LineKind::Match => "match",
            LineKind::Caveat => "caveat",
            LineKind::Declined => "declined",
            LineKind::Forward => "forward",
            LineKind::Cache => "cache",
            LineKind::Result => "result",
        }
    }
}
