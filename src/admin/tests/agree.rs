//! What is listed, what is explained and what is on the wire agree, whatever the hub has.
//!
//! The list is read as a person reads it: by eye, without any of our lookups.

use std::{collections::BTreeSet, net::IpAddr};

use domain::{
    base::{Message, ParsedName, ToName},
    rdata::Cname,
};
use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::{
    admin::json::ViewDocument,
    answer::{Explanation, Pending, Responder, Session, Step},
    base::{Name, Pattern, RecordType, TtlBounds},
    forward::{ForwardZone, Key, UpstreamAddress, ViewForward},
    policy::{
        Alias, AliasSet, AliasTarget, AllowRule, AllowedResource, ServiceRule, ViewConfig, ViewKind,
    },
    table::ViewTable,
    telemetry::Proto,
    wire::{Question, Relay, Trial, trial_answer, trial_query, upstream_query},
};

/// Names that clients ask for: of services, of the operator's, and of nobody.
const NAMES: [&str; 19] = [
    "sqs.us-east-1.amazonaws.com",
    "us-east-1.queue.amazonaws.com",
    "queue.amazonaws.com",
    "s3.us-east-1.amazonaws.com",
    "b.s3.us-east-1.amazonaws.com",
    "s3.amazonaws.com",
    "b.c.s3.amazonaws.com",
    "b.s3.dualstack.us-east-1.amazonaws.com",
    "execute-api.us-east-1.amazonaws.com",
    "abc.execute-api.us-east-1.amazonaws.com",
    "zzz.execute-api.us-east-1.amazonaws.com",
    "abc-vpce-1.execute-api.us-east-1.amazonaws.com",
    "vpce-1-x-a.v",
    "hub",
    "a.hub",
    "b.hub",
    "x.hub",
    "y.x.hub",
    "www.example",
];
/// What aliases are given to.
const ALIASES: [&str; 7] =
    ["a.hub", "b.hub", "x.hub", "*.hub", "*.x.hub", "hub", "sqs.us-east-1.amazonaws.com"];
const SERVICES: [(&str, &str); 4] = [
    ("com.amazonaws.us-east-1.sqs", "sqs.us-east-1.amazonaws.com"),
    ("com.amazonaws.us-east-1.s3", "*.s3.us-east-1.amazonaws.com"),
    ("com.amazonaws.us-east-1.execute-api", "*.execute-api.us-east-1.amazonaws.com"),
    ("com.amazonaws.us-east-1.other", "*.us-east-1.amazonaws.com"),
];
/// In no view, in one or in another, in a zone, public, and not let in.
const CLIENTS: [&str; 5] = ["10.9.9.9", "10.1.0.7", "10.2.0.7", "203.0.113.5", STRANGER];
const STRANGER: &str = "192.0.2.1";
/// What upstreams have told of, each its own address.
const TOLD: &str = "www.example";
/// Of all, of a zone of all, of a view, and of a zone of one. Nobody asks them.
const UPSTREAMS: [&str; 4] = ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53", "192.0.2.4:53"];
const TYPES: [RecordType; 4] = [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::MX];
const LISTENER: &str = "10.0.0.10:53";

fn any_endpoint() -> impl Strategy<Value = String> {
    let id = prop::sample::select(vec!["vpce-1", "vpce-2", "vpce-3"]);
    let addresses = prop::sample::subsequence(
        vec!["a=10.0.0.1", "b=10.0.0.2", "c=10.0.0.3", "a=fd00::1", "b=fd00::2"],
        0..=5,
    );
    let words = prop::sample::subsequence(
        vec![
            "dns=vpce-1-x.v,vpce-1-x-a.v,www.example",
            "state=deleting",
            "records=ipv4",
            "records=service-defined",
            "created=1",
            "source=two",
            "tags=env:prod",
            "onprem",
        ],
        0..=4,
    );
    (id, prop::sample::select(SERVICES.to_vec()), addresses, words).prop_map(
        |(id, (service, name), addresses, words)| {
            format!("{id} {service} names={name} {} {}", addresses.join(" "), words.join(" "))
        },
    )
}

fn any_alias() -> impl Strategy<Value = Alias> {
    let target = prop_oneof![
        2 => prop::sample::select(NAMES.to_vec()).prop_map(|name| facts::cname("n", name)),
        1 => prop::sample::select(vec!["sqs", "s3", "vpce-1", "vpce-2"])
            .prop_map(|target| facts::alias("n", target)),
    ];
    let zone = prop::option::of(prop::sample::select(vec!["a", "b"]));
    (prop::sample::select(ALIASES.to_vec()), target, zone).prop_map(|(name, alias, zone)| {
        let target = match alias.target {
            AliasTarget::Endpoint { of, .. } => {
                AliasTarget::Endpoint { of, zone: zone.map(Into::into) }
            }
            cname @ AliasTarget::Cname(_) => cname,
        };
        Alias { pattern: name.parse().unwrap(), target }
    })
}

fn any_rule() -> impl Strategy<Value = AllowRule> {
    let resource = |endpoint: Option<&'static str>| AllowedResource {
        service: ServiceRule::new("execute-api"),
        id: "abc".into(),
        endpoint: endpoint.map(Into::into),
    };
    prop::sample::select(vec![
        AllowRule::Service(ServiceRule::new("execute-api")),
        AllowRule::Resource(resource(None)),
        AllowRule::Resource(resource(Some("vpce-2"))),
    ])
}

fn any_view(name: &'static str, clients: &'static str) -> impl Strategy<Value = ViewConfig> {
    let deny = prop::sample::subsequence(vec!["s3", "sqs", "other"], 0..=2);
    let aliases = prop::collection::vec(any_alias(), 0..3);
    let allow = prop::collection::vec(any_rule(), 0..2);
    (deny, aliases, allow, 0..4usize).prop_map(move |(deny, aliases, allow, selects)| {
        let mut view = facts::view(name, clients);
        view.deny = deny.into_iter().map(ServiceRule::new).collect();
        (view.aliases, view.allow) = (aliases, allow);
        match selects {
            0 => view.tags = [("env".to_owned(), "prod".to_owned())].into(),
            1 => view.endpoints = vec!["vpce-2".into(), "vpce-3".into()],
            2 => view.kind = ViewKind::Onprem,
            _ => (),
        }
        view
    })
}

fn allowed() -> Vec<IpNet> {
    ["10.0.0.0/8", "203.0.113.0/24"].map(|it| it.parse().unwrap()).to_vec()
}

fn any_config() -> impl Strategy<Value = PolicyConfig> {
    let views = (any_view("one", "10.1.0.0/16"), any_view("two", "10.0.0.0/14"), 0..=2usize);
    let sets = prop::sample::subsequence(AliasSet::ALL.to_vec(), 0..=3);
    (
        views,
        prop::collection::vec(any_alias(), 0..5),
        prop::collection::vec(any_rule(), 0..2),
        sets,
        any::<bool>(),
    )
        .prop_map(|((one, two, number), aliases, allow_rules, alias_sets, denies)| {
            PolicyConfig {
                deny: denies.then(|| ServiceRule::new("execute-api")).into_iter().collect(),
                views: [one, two].into_iter().take(number).collect(),
                zones: vec![("10.1.0.0/16".parse().unwrap(), "b".into())],
                allow: allowed(),
                aliases,
                allow_rules,
                alias_sets,
                ..facts::config()
            }
        })
}

/// One of them, nobody, or nothing said.
fn any_upstreams(upstream: &str) -> impl Strategy<Value = Option<Vec<UpstreamAddress>>> {
    prop::option::of(prop::collection::vec(Just(upstream.parse().unwrap()), 0..=1))
}

fn any_zones(upstream: &str) -> impl Strategy<Value = Vec<ForwardZone>> {
    let zone = |upstreams| ForwardZone { name: "example".parse().unwrap(), upstreams };
    any_upstreams(upstream).prop_map(move |it| it.map(zone).into_iter().collect())
}

fn any_forward() -> impl Strategy<Value = ForwardConfig> {
    let [all, zone, of_view, own_zone] = UPSTREAMS;
    let view = |name: &'static str| {
        (any_upstreams(of_view), any_zones(own_zone))
            .prop_map(move |(upstreams, zones)| ViewForward { view: name.into(), upstreams, zones })
    };
    let views = (view("one"), view("two"));
    (any_upstreams(all), any_zones(zone), views).prop_map(|(upstreams, zones, (one, two))| {
        ForwardConfig {
            upstreams: upstreams.unwrap_or_default(),
            zones,
            views: vec![one, two],
            ..forwards()
        }
    })
}

/// One upstream and a cache.
fn forwards() -> ForwardConfig {
    let cache =
        CacheConfig { entries: 100, bytes: 1 << 20, ttls: TtlBounds::WIDEST, ..CacheConfig::NONE };
    ForwardConfig { cache, upstreams: vec![UPSTREAMS[0].parse().unwrap()], ..forward() }
}

/// What an upstream says of that name.
fn told_by(upstream: &UpstreamAddress) -> IpAddr {
    let at = UPSTREAMS.iter().position(|it| *it == upstream.to_string()).unwrap();
    IpAddr::from([198, 51, 100, u8::try_from(at).unwrap()])
}

/// What the list says of a question: CNAMEs in their order, and then what the last name has.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    cnames: Vec<String>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Addresses(BTreeSet<IpAddr>),
    /// The name is ours and has none of the type.
    Absent,
    /// The CNAME itself was asked for.
    Itself,
    /// Nothing of ours.
    Theirs,
}

/// The row of a name: the one that is it, or of the wildcards over it the longest.
fn row<'v>(view: &'v ViewDocument, name: &Name) -> Option<&'v str> {
    let names = view.names.iter().map(|it| it.name.as_str());
    let all = names.chain(view.cnames.iter().map(|it| it.name.as_str()));
    let covering = all.filter(|row| row.parse::<Pattern>().unwrap().covers(name));
    covering.max_by_key(|row| (!row.starts_with("*."), row.len()))
}

fn listed(view: &ViewDocument, name: &Name, rtype: RecordType) -> Listed {
    let (mut name, mut cnames) = (name.clone(), Vec::new());
    loop {
        let Some(row) = row(view, &name) else { return Listed { cnames, end: End::Theirs } };
        if let Some(cname) = view.cnames.iter().find(|it| it.name == row) {
            cnames.push(cname.target.clone());
            if rtype == RecordType::CNAME {
                return Listed { cnames, end: End::Itself };
            }
            name = cname.target.parse().unwrap();
            continue;
        }
        let given = view.names.iter().find(|it| it.name == row).unwrap();
        let all = given.addresses.iter().map(|it| it.ip);
        let addresses: BTreeSet<IpAddr> = match rtype {
            RecordType::A => all.filter(IpAddr::is_ipv4).collect(),
            RecordType::AAAA => all.filter(IpAddr::is_ipv6).collect(),
            _ => BTreeSet::new(),
        };
        let end = match addresses.is_empty() {
            true => End::Absent,
            false => End::Addresses(addresses),
        };
        return Listed { cnames, end };
    }
}

/// What comes back to a client at once, or what an upstream has to be asked for.
fn on_the_wire(
    session: &mut Session,
    name: &Name,
    rtype: RecordType,
    client: IpAddr,
) -> Result<Vec<u8>, Box<Pending>> {
    let mut out = Vec::new();
    let client = SocketAddr::new(client, 40_000);
    let query = trial_query(7, name, rtype);
    match session.begin_alone(&query, client, LISTENER.parse().unwrap(), &mut out) {
        Step::Reply => Ok(out),
        Step::Ask(pending) => Err(pending),
        Step::Silence => panic!("a question gets an answer"),
    }
}

fn cnames_of(message: &[u8]) -> Vec<String> {
    let message = Message::from_slice(message).unwrap();
    let answer = message.answer().unwrap();
    let cnames = answer.limit_to::<Cname<ParsedName<&[u8]>>>().map(Result::unwrap);
    cnames.map(|it| it.data().cname().to_vec().to_string()).collect()
}

/// A responder that asks no upstream, for a table.
struct Hub {
    responder: Responder,
    publisher: Publisher,
    settings: watch::Sender<Arc<Settings>>,
    runtime: tokio::runtime::Runtime,
}

impl Hub {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (sender, settings) = watch::channel(Arc::new(settings(forwarder_of(&forwards()))));
        let (publisher, table) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let responder = Responder::new(table, settings, metrics);
        Self { responder, publisher, settings: sender, runtime }
    }

    /// Puts a table in force, and a cache in which all upstreams have been asked for one name.
    fn put(&mut self, table: &AnswerTable, forward: &ForwardConfig) {
        self.publisher.publish(table.clone());
        let forwarder = forwarder_of(forward);
        let name: Name = TOLD.parse().unwrap();
        for view in table.views().map(ViewTable::name) {
            let Some(upstream) = forward.way(view, &name).upstreams.first() else { continue };
            let IpAddr::V4(ip) = told_by(upstream) else { panic!("IPv4") };
            let question = Question {
                name: name.clone(),
                rtype: RecordType::A,
                dnssec_ok: false,
                checking_disabled: false,
            };
            let mut message = upstream_query(&question, 7);
            message.truncate(12 + name.as_wire().len() + 4);
            message[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
            message.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4]);
            message.extend(ip.octets());
            let relay = Relay::read(&question, &message).unwrap();
            let realm = forwarder.realm(view, name.as_wire());
            forwarder.keep(Key { realm, question }, relay);
        }
        self.settings.send_replace(Arc::new(settings(forwarder)));
    }
}

fn forwarder_of(forward: &ForwardConfig) -> Forwarder {
    Forwarder::new(forward.clone(), Trust::default(), Arc::new(Metrics::new().unwrap()))
}

fn settings(forwarder: Forwarder) -> Settings {
    Settings {
        forwarder,
        identity: Arc::from(*b"hub"),
        cookies: Cookies::random(|| 0),
        exempt: Exempt::default(),
        rates: None,
        about: About::default(),
        observers: Arc::new(crate::querylog::Observers::nobody()),
    }
}

/// What comes of a name that is not ours, or of CNAMEs of ours to one: an upstream's answer from the
/// cache, of the upstream that is explained; a question to one; or why nobody is asked.
fn check_theirs(
    hub: &Hub,
    explained: &Explanation,
    replied: Result<Vec<u8>, Box<Pending>>,
    cnames: &[String],
    what: &str,
) {
    let Some((view, name)) = &explained.asks else {
        let mut out = Vec::new();
        let pending = replied.expect_err(what);
        hub.runtime.block_on(pending.finish(&CancellationToken::new(), &mut out));
        let rcode = trial_answer(7, &out).unwrap().rcode.to_string();
        assert!(explained.lines.last().unwrap().1.starts_with(&format!("{rcode}: ")), "{what}");
        return;
    };
    assert_eq!(view.as_str(), explained.view, "{what}");
    if *name != TOLD.parse().unwrap() || explained.rtype != RecordType::A {
        assert!(replied.is_err(), "{what}");
        return;
    }
    let reply = replied.unwrap_or_else(|_| panic!("the cache has {what}"));
    let trial = trial_answer(7, &reply).unwrap();
    if is_cut(explained, &trial) {
        return;
    }
    let by = explained.lines.iter().find(|(kind, _)| *kind == LineKind::Forward).unwrap();
    let upstream = UPSTREAMS.iter().find(|it| by.1.contains(&format!(" {it} "))).unwrap();
    let told = BTreeSet::from([told_by(&upstream.parse().unwrap())]);
    assert_eq!((&trial.addresses, cnames_of(&reply).as_slice()), (&told, cnames), "{what}");
}

/// Whether an answer had to be cut; it must not be but for who may be another.
fn is_cut(explained: &Explanation, trial: &Trial) -> bool {
    let Some((octets, most)) = explained.octets.zip(explained.unproven) else {
        return trial.truncated && explained.unproven.is_some();
    };
    assert_eq!(trial.truncated, most < octets);
    trial.truncated
}

thread_local! {
    static HUB_OF_THREAD: std::cell::RefCell<Hub> = std::cell::RefCell::new(Hub::new());
}

fn check_all(hub: &mut Hub, table: &AnswerTable, forward: &ForwardConfig) {
    let document = NamesDocument::new(table, None, None);
    hub.put(table, forward);
    let _entered = hub.runtime.enter();
    let mut session = hub.responder.session(Proto::Udp, 0);
    let listener: SocketAddr = LISTENER.parse().unwrap();
    let rows = document.views.iter().flat_map(|view| &view.names).map(|it| it.name.as_str());
    let rows = rows.map(|row| row.replacen('*', "any.depth", 1));
    let asked: BTreeSet<String> = NAMES.iter().map(|it| (*it).to_owned()).chain(rows).collect();
    for (name, client) in asked.iter().flat_map(|name| CLIENTS.map(|client| (name, client))) {
        let (name, client): (Name, IpAddr) = (name.parse().unwrap(), client.parse().unwrap());
        for rtype in TYPES {
            let what = format!("{name} {rtype} from {client} of\n{table}");
            let explained = answer::explain(
                table,
                forward,
                &Exempt::default(),
                &name,
                rtype,
                Vantage::new(client, listener),
            );
            let given: BTreeSet<IpAddr> = explained.given.iter().map(|it| it.ip).collect();
            let replied = on_the_wire(&mut session, &name, rtype, client);
            let trial = replied.as_deref().ok().map(|reply| trial_answer(7, reply).unwrap());
            if client.to_string() == STRANGER {
                assert_eq!(explained.decision, "refuse", "{what}");
                assert_eq!(trial.unwrap().rcode.to_string(), "REFUSED", "{what}");
                continue;
            }
            let is_in = |view: &&ViewDocument| {
                view.clients.is_empty() || view.clients.iter().any(|it| it.contains(&client))
            };
            let view = document.views.iter().find(is_in).unwrap();
            assert_eq!(explained.view, view.name, "{what}");
            let Listed { cnames, end } = listed(view, &name, rtype);
            let word = match (&end, cnames.is_empty()) {
                (_, false) => "cname",
                (End::Addresses(_), true) => "answer",
                (End::Absent, true) => "nodata",
                (End::Theirs | End::Itself, true) => "forward",
            };
            assert_eq!(explained.decision, word, "{what}");
            if end == End::Theirs {
                assert!(given.is_empty(), "{what}");
                check_theirs(hub, &explained, replied, &cnames, &what);
                continue;
            }
            let (reply, trial) = (replied.ok().unwrap(), trial.unwrap());
            if is_cut(&explained, &trial) {
                continue;
            }
            assert_eq!(cnames_of(&reply), cnames, "{what}");
            assert_eq!(trial.rcode.to_string(), "NOERROR", "{what}");
            let addresses = match end {
                End::Addresses(addresses) => addresses,
                End::Absent | End::Itself | End::Theirs => BTreeSet::new(),
            };
            assert_eq!((&trial.addresses, &given), (&addresses, &addresses), "{what}");
            if let Some(octets) = explained.octets {
                assert_eq!(octets, reply.len(), "{what}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_list_the_explanation_and_the_wire_agree_for_every_name_and_client(
        lines in prop::collection::vec(any_endpoint(), 0..6),
        config in any_config(),
        down in prop::sample::subsequence(vec!["10.0.0.1", "10.0.0.2", "fd00::1"], 0..=3),
        drained in prop::option::of(prop::sample::select(vec!["a", "b"])),
        forward in any_forward(),
    ) {
        let plan = policy::plan(&facts::inventory(&lines.join("\n")), &config);
        let is_down = |ip: &IpAddr| down.iter().any(|it| it.parse() == Ok(*ip));
        let plan = policy::without(plan, &is_down, &|az| drained.is_some_and(|it| az.is_called(it)));
        let table = compile(plan, &config);
        HUB_OF_THREAD.with_borrow_mut(|hub| check_all(hub, &table, &forward));
    }
}

#[test]
fn there_is_something_to_agree_on() {
    let lines = "vpce-1 com.amazonaws.us-east-1.sqs a=10.0.0.1 names=sqs.us-east-1.amazonaws.com";
    let aliases = vec![
        facts::cname("a.hub", "sqs.us-east-1.amazonaws.com"),
        facts::cname("*.hub", "www.example"),
    ];
    let views = vec![facts::view("one", "10.1.0.0/16")];
    let config = PolicyConfig { aliases, views, allow: allowed(), ..facts::config() };
    let table = compile(policy::plan(&facts::inventory(lines), &config), &config);
    let view = &NamesDocument::new(&table, None, None).views[1];
    let ends = |name: &str, rtype| listed(view, &name.parse().unwrap(), rtype).end;
    let addresses = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
    assert_eq!(ends("a.hub", RecordType::A), End::Addresses(addresses));
    assert_eq!(ends("a.hub", RecordType::AAAA), End::Absent);
    assert_eq!(ends("a.hub", RecordType::CNAME), End::Itself);
    assert_eq!(ends("b.hub", RecordType::A), End::Theirs);
    let own = UPSTREAMS[2].parse().unwrap();
    let one = ViewForward { view: "one".into(), upstreams: Some(vec![own]), zones: vec![] };
    let forward = ForwardConfig { views: vec![one], ..forwards() };
    HUB_OF_THREAD.with_borrow_mut(|hub| {
        check_all(hub, &table, &forward);
        let _entered = hub.runtime.enter();
        let mut session = hub.responder.session(Proto::Udp, 0);
        let mut told = |client: &str, name: &str| {
            let (client, name) = (client.parse().unwrap(), name.parse().unwrap());
            let reply = on_the_wire(&mut session, &name, RecordType::A, client).ok().unwrap();
            trial_answer(7, &reply).unwrap().addresses
        };
        for name in ["www.example", "b.hub"] {
            for (client, upstream) in [("10.9.9.9", UPSTREAMS[0]), ("10.1.0.7", UPSTREAMS[2])] {
                let upstream = upstream.parse().unwrap();
                assert_eq!(told(client, name), [told_by(&upstream)].into(), "{client}");
            }
        }
    });
}
