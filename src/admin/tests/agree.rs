//! What is listed, what is explained and what is on the wire agree, whatever the hub has.
//!
//! The list is read as a person reads it: by eye, without any of our lookups.

use std::{collections::BTreeSet, net::IpAddr};

use domain::{
    base::{Message, ParsedName, ToName},
    rdata::Cname,
};
use proptest::prelude::*;

use super::*;
use crate::{
    admin::json::ViewDocument,
    answer::{Responder, Session, Step},
    base::{Name, Pattern, RecordType},
    policy::{
        Alias, AliasSet, AliasTarget, AllowRule, AllowedResource, ServiceRule, ViewConfig, ViewKind,
    },
    telemetry::Proto,
    wire::{trial_answer, trial_query},
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
/// In no view, in one or in another, in a zone, and not let in.
const CLIENTS: [&str; 4] = ["10.9.9.9", "10.1.0.7", "10.2.0.7", "192.0.2.1"];
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
                aliases,
                allow_rules,
                alias_sets,
                ..facts::config()
            }
        })
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

/// What comes back to a client; `None` where an upstream has to be asked.
fn on_the_wire(
    session: &mut Session,
    name: &Name,
    rtype: RecordType,
    client: IpAddr,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let client = SocketAddr::new(client, 40_000);
    let query = trial_query(7, name, rtype);
    match session.begin_alone(&query, client, LISTENER.parse().unwrap(), &mut out) {
        Step::Reply => Some(out),
        Step::Ask(_) => None,
        Step::Silence => panic!("a question gets an answer"),
    }
}

fn cnames_of(message: &[u8]) -> Vec<String> {
    let message = Message::from_slice(message).unwrap();
    let answer = message.answer().unwrap();
    let cnames = answer.limit_to::<Cname<ParsedName<&[u8]>>>().map(Result::unwrap);
    cnames.map(|it| it.data().cname().to_vec().to_string()).collect()
}

/// A responder that has no upstream, for a table.
struct Hub {
    responder: Responder,
    publisher: Publisher,
    _settings: watch::Sender<Arc<Settings>>,
    runtime: tokio::runtime::Runtime,
}

impl Hub {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let forward = ForwardConfig { upstreams: vec![], ..forward() };
        let (sender, settings) = watch::channel(Arc::new(Settings {
            forwarder: Forwarder::new(forward, Trust::default(), Arc::clone(&metrics)),
            identity: Arc::from(*b"hub"),
            cookies: Cookies::random(|| 0),
            exempt: Exempt::default(),
            rates: None,
            about: About::default(),
            observers: Arc::new(crate::querylog::Observers::nobody()),
        }));
        let (publisher, table) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let responder = Responder::new(table, settings, metrics);
        Self { responder, publisher, _settings: sender, runtime }
    }
}

thread_local! {
    static HUB_OF_THREAD: std::cell::RefCell<Hub> = std::cell::RefCell::new(Hub::new());
}

fn check_all(hub: &mut Hub, table: &AnswerTable) {
    let document = NamesDocument::new(table, None, None);
    hub.publisher.publish(table.clone());
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
                &forward(),
                &Exempt::default(),
                &name,
                rtype,
                Vantage::new(client, listener),
            );
            let given: BTreeSet<IpAddr> = explained.given.iter().map(|it| it.ip).collect();
            let replied = on_the_wire(&mut session, &name, rtype, client);
            let trial = replied.as_deref().map(|reply| trial_answer(7, reply).unwrap());
            if !client.to_string().starts_with("10.") {
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
            let Some(reply) = replied else {
                assert_eq!((end, given.is_empty()), (End::Theirs, true), "{what}");
                continue;
            };
            let trial = trial.unwrap();
            assert_ne!(end, End::Theirs, "{what}");
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
    ) {
        let plan = policy::plan(&facts::inventory(&lines.join("\n")), &config);
        let is_down = |ip: &IpAddr| down.iter().any(|it| it.parse() == Ok(*ip));
        let plan = policy::without(plan, &is_down, &|az| drained.is_some_and(|it| az.is_called(it)));
        let table = compile(plan, &config);
        HUB_OF_THREAD.with_borrow_mut(|hub| check_all(hub, &table));
    }
}

#[test]
fn there_is_something_to_agree_on() {
    let lines = "vpce-1 com.amazonaws.us-east-1.sqs a=10.0.0.1 names=sqs.us-east-1.amazonaws.com";
    let aliases = vec![
        facts::cname("a.hub", "sqs.us-east-1.amazonaws.com"),
        facts::cname("*.hub", "www.example"),
    ];
    let config = PolicyConfig { aliases, ..facts::config() };
    let table = compile(policy::plan(&facts::inventory(lines), &config), &config);
    let view = &NamesDocument::new(&table, None, None).views[0];
    let ends = |name: &str, rtype| listed(view, &name.parse().unwrap(), rtype).end;
    let addresses = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
    assert_eq!(ends("a.hub", RecordType::A), End::Addresses(addresses));
    assert_eq!(ends("a.hub", RecordType::AAAA), End::Absent);
    assert_eq!(ends("a.hub", RecordType::CNAME), End::Itself);
    assert_eq!(ends("b.hub", RecordType::A), End::Theirs);
    HUB_OF_THREAD.with_borrow_mut(|hub| check_all(hub, &table));
}
