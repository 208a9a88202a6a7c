//! Decisions, replies and explanations over tables made from one-line facts.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use proptest::prelude::*;
use tokio::{sync::watch, time::Instant};

use super::*;
use crate::{
    base::{Name, RecordType},
    forward::{BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig, Forwarder, Trust},
    policy::{self, PolicyConfig, facts},
    table::{AnswerTable, Publisher, channel, compile},
    telemetry::{Metrics, Proto},
    wire::{Question, upstream_query},
};

const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 names=sqs.eu-west-1.amazonaws.com
    vpce-2 com.amazonaws.eu-west-1.ecr.dkr eu-west-1a=10.0.1.6 names=*.dkr.ecr.eu-west-1.amazonaws.com
    vpce-3 com.amazonaws.eu-west-1.execute-api eu-west-1a=10.0.1.7 names=*.execute-api.eu-west-1.amazonaws.com
";

fn table(config: &PolicyConfig) -> AnswerTable {
    compile(policy::plan(&facts::inventory(HUB), config), config)
}

fn config() -> PolicyConfig {
    PolicyConfig {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        zones: vec![("10.1.2.0/24".parse().unwrap(), "eu-west-1b".into())],
        deny: vec![policy::ServiceRule::new("execute-api")],
        aliases: vec![
            facts::cname("queue.example", "twice.example"),
            facts::cname("twice.example", "sqs.eu-west-1.amazonaws.com"),
            facts::cname("*.out.example", "x.execute-api.eu-west-1.amazonaws.com"),
        ],
        ..facts::config()
    }
}

fn forward() -> ForwardConfig {
    ForwardConfig {
        upstreams: vec!["169.254.169.253:53".parse().unwrap()],
        trusted: vec![],
        ca_file: None,
        case_randomization: CaseRandomization::Auto,
        budget: BudgetConfig::DEFAULT,
        zones: vec![],
        views: vec![],
        cache: CacheConfig::NONE,
    }
}

fn vantage(client: &str) -> Vantage {
    let listener: SocketAddr = "10.0.0.10:53".parse().unwrap();
    Vantage::new(client.parse().unwrap(), listener)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// `NAME TYPE [+norec] [chaos]` as a word: what is decided.
fn decided(client: &str, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    let name = name(words[0]);
    let asked = Asked {
        name_wire: name.as_wire(),
        rtype: words[1].parse().unwrap(),
        class: if words.contains(&"chaos") { 3 } else { 1 },
        recursion_desired: !words.contains(&"+norec"),
    };
    let table = table(&config());
    let decision = decide(&table, &asked, &vantage(client)).decision;
    match decision {
        Decision::Refuse(refusal) => format!("refuse: {refusal:?}"),
        Decision::Answer(_, Told::Soa) => "answer: soa".to_owned(),
        Decision::Answer(_, Told::Any) => "answer: any".to_owned(),
        Decision::Server(fact) => format!("server: {fact:?}"),
        Decision::Cname(cname) => format!("cname: {}", cname.target),
        Decision::Answer(..) | Decision::NoData(_) | Decision::Forward => {
            decision.word().to_owned()
        }
    }
}

#[test]
fn each_kind_of_question_has_its_decision() {
    let sqs = "sqs.eu-west-1.amazonaws.com";
    for (question, expected) in [
        ("A", "answer"),
        ("A +norec", "answer"),
        ("AAAA", "nodata"),
        ("HTTPS", "nodata"),
        ("SOA", "answer: soa"),
        ("ANY", "answer: any"),
        ("DS", "forward"),
        ("DS +norec", "refuse: NoRecursion"),
        ("AXFR", "refuse: MetaType"),
        ("A chaos", "refuse: Class"),
    ] {
        assert_eq!(decided("10.9.9.9", &format!("{sqs} {question}")), expected, "{question}");
    }
    for (question, expected) in [
        ("below.sqs.eu-west-1.amazonaws.com A", "forward"),
        ("eu-west-1.amazonaws.com A", "forward"),
        ("a.b.dkr.ecr.eu-west-1.amazonaws.com A", "answer"),
        ("dkr.ecr.eu-west-1.amazonaws.com A", "forward"),
        ("x.execute-api.eu-west-1.amazonaws.com A", "forward"),
        ("queue.example A", "cname: twice.example"),
        ("queue.example MX +norec", "cname: twice.example"),
        ("queue.example CNAME", "cname: twice.example"),
        ("queue.example ANY", "cname: twice.example"),
        ("queue.example DS", "forward"),
        ("a.b.out.example A", "cname: x.execute-api.eu-west-1.amazonaws.com"),
        ("out.example A", "forward"),
        ("example.com A", "forward"),
        ("example.com A +norec", "refuse: NoRecursion"),
    ] {
        assert_eq!(decided("10.9.9.9", question), expected, "{question}");
    }
    for (question, expected) in [
        ("version.bind TXT chaos", "server: Version"),
        ("version.server TXT chaos", "server: Version"),
        ("id.server TXT chaos", "server: Identity"),
        ("hostname.bind TXT chaos +norec", "server: Identity"),
        ("version.bind A chaos", "refuse: Class"),
        ("authors.bind TXT chaos", "refuse: Class"),
        ("version.bind TXT", "forward"),
    ] {
        assert_eq!(decided("10.9.9.9", question), expected, "{question}");
    }
    assert_eq!(decided("192.0.2.1", &format!("{sqs} A")), "refuse: NotAllowed");
    assert_eq!(decided("192.0.2.1", "version.bind TXT chaos"), "refuse: NotAllowed");
}

fn explained(client: &str, question: &str) -> String {
    let (asked, rtype) = question.split_once(' ').unwrap();
    let rtype = rtype.parse().unwrap();
    explain(&table(&config()), &forward(), &Exempt::default(), &name(asked), rtype, vantage(client))
        .to_string()
}

#[test]
fn an_explanation_tells_view_match_and_addresses_of_the_clients_zone_first() {
    insta::assert_snapshot!(explained("10.1.2.3", "sqs.eu-west-1.amazonaws.com A"));
}

#[test]
fn an_explanation_tells_why_a_name_is_declined_and_where_it_goes() {
    insta::assert_snapshot!(explained("10.9.9.9", "x.execute-api.eu-west-1.amazonaws.com A"));
}

#[test]
fn an_explanation_follows_the_names_that_a_name_stands_for() {
    let of = |question: &str| explained("10.1.2.3", question);
    let asked = ["queue.example A", "queue.example AAAA", "queue.example CNAME", "a.out.example A"];
    insta::assert_snapshot!(asked.map(of).join("\n"));
}

#[test]
fn an_explanation_tells_an_absence_and_a_refusal() {
    insta::assert_snapshot!(explained("10.9.9.9", "sqs.eu-west-1.amazonaws.com AAAA"));
    insta::assert_snapshot!(explained("192.0.2.1", "sqs.eu-west-1.amazonaws.com A"));
}

#[test]
fn an_explanation_shows_what_a_terminal_would_obey() {
    let line = "vpce-1 com.amazonaws.eu-west-1.\u{1b}[2Jsqs eu-west-1a=10.0.1.5 names=one.example";
    let config = config();
    let table = compile(policy::plan(&facts::inventory(line), &config), &config);
    let one = name("one.example");
    let said =
        explain(&table, &forward(), &Exempt::default(), &one, RecordType::A, vantage("10.9.9.9"))
            .to_string();
    assert!(
        said.contains(r"com.amazonaws.eu-west-1.\u{1b}[2Jsqs") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[test]
fn an_explanation_tells_which_addresses_are_left_out_and_which_cannot_be() {
    let config = config();
    let plan = policy::plan(&facts::inventory(HUB), &config);
    let down = ["10.0.1.5", "10.0.1.6"];
    let plan = policy::without(plan, &|ip| down.contains(&ip.to_string().as_str()), &|_| false);
    let table = compile(plan, &config);
    let explained =
        ["sqs.eu-west-1.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com"].map(|it| {
            explain(
                &table,
                &forward(),
                &Exempt::default(),
                &name(it),
                RecordType::A,
                vantage("10.9.9.9"),
            )
            .to_string()
        });
    insta::assert_snapshot!(explained.concat());
}

/// A responder without a table yet, and where its tables are published.
fn responder() -> (Responder, Publisher) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let forwarder = Forwarder::new(forward(), Trust::default(), Arc::clone(&metrics));
    let (_, settings) = watch::channel(Arc::new(Settings {
        forwarder,
        identity: Arc::from(*b"hub"),
        cookies: Cookies::random(|| 0),
        exempt: Exempt::new(&["198.51.100.0/24".parse().unwrap()]),
        rates: None,
        about: About::default(),
        observers: Arc::new(crate::querylog::Observers::nobody()),
    }));
    let (publisher, table) = channel();
    (Responder::new(table, settings, metrics), publisher)
}

/// A question for sqs, with this in its OPT if it has one.
fn asking_sqs(options: Option<&[u8]>) -> Vec<u8> {
    let name = name("sqs.eu-west-1.amazonaws.com");
    let counts = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(options.is_some())];
    let mut packet = [&counts[..], name.as_wire(), &[0, 1, 0, 1]].concat();
    if let Some(options) = options {
        packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, u8::try_from(options.len()).unwrap()]);
        packet.extend(options);
    }
    packet
}

#[test]
fn an_explanation_tells_whom_a_reply_is_cut_for() {
    let addresses: Vec<String> = (1..=9).map(|last| format!("a=10.0.1.{last}")).collect();
    let hub = format!("vpce-1 svc.q {} names=sqs.eu-west-1.amazonaws.com", addresses.join(" "));
    let config = PolicyConfig { allow: vec!["0.0.0.0/0".parse().unwrap()], ..facts::config() };
    let table = compile(policy::plan(&facts::inventory(&hub), &config), &config);
    let exempt = Exempt::new(&["198.51.100.0/24".parse().unwrap()]);
    let result = |client: &str, listener: &str| {
        let vantage = Vantage::new(client.parse().unwrap(), listener.parse().unwrap());
        let asked = name("sqs.eu-west-1.amazonaws.com");
        let told = explain(&table, &forward(), &exempt, &asked, RecordType::A, vantage);
        told.lines.last().unwrap().1.clone()
    };
    // 56 octets are asked with.
    let whole = "NOERROR with 9 A records, rotated; kept 60 s; 200 octets";
    let cut = format!("{whole}, truncated by UDP for who comes without a cookie of ours");
    assert_eq!(result("203.0.113.5", "203.0.113.10:53"), cut);
    for client in ["203.0.113.10", "198.51.100.5", "10.9.9.9"] {
        assert_eq!(result(client, "203.0.113.10:53"), whole, "{client}");
    }
}

#[tokio::test]
async fn an_address_that_may_be_forged_gets_three_times_what_is_sent_in_its_name() {
    let (responder, mut publisher) = responder();
    let addresses: Vec<String> = (1..=16).map(|last| format!("a=10.0.1.{last}")).collect();
    let hub = format!("vpce-1 svc.q {} names=sqs.eu-west-1.amazonaws.com", addresses.join(" "));
    let config = PolicyConfig {
        allow: ["0.0.0.0/0", "::/0"].map(|it| it.parse().unwrap()).to_vec(),
        ..facts::config()
    };
    publisher.publish(compile(policy::plan(&facts::inventory(&hub), &config), &config));
    let ask = |proto, client: &str, packet: &[u8]| {
        let mut out = Vec::new();
        let (client, listener) = (client.parse().unwrap(), "203.0.113.10:53".parse().unwrap());
        let mut session = responder.session(proto, 0);
        let step = session.begin(packet, client, listener, Instant::now(), &mut out);
        assert!(matches!(step, Step::Reply));
        out
    };
    // Its addresses, or the question and TC.
    let is_whole = |reply: &[u8]| match (reply[2] & 2, reply[7]) {
        (0, 16) => true,
        (2, 0) => false,
        other => panic!("{other:?}"),
    };
    let plain = asking_sqs(None);
    for (proto, client, whole) in [
        (Proto::Udp, "203.0.113.5:999", false),
        (Proto::Udp, "[2001:db8::5]:999", false),
        (Proto::Udp, "[::ffff:203.0.113.5]:999", false),
        (Proto::Tcp, "203.0.113.5:999", true),
        (Proto::Tls, "203.0.113.5:999", true),
        (Proto::Udp, "198.51.100.5:999", true),
        // We ourselves.
        (Proto::Udp, "203.0.113.10:999", true),
        (Proto::Udp, "10.9.9.9:999", true),
        (Proto::Udp, "100.64.0.1:999", true),
        (Proto::Udp, "[fd00::5]:999", true),
    ] {
        let reply = ask(proto, client, &plain);
        assert_eq!(is_whole(&reply), whole, "{client}");
        assert!(whole || reply.len() == plain.len(), "{client}");
    }
    // What is told beside TC proves the address with the next question, and no other's.
    let reply = ask(Proto::Udp, "203.0.113.5:999", &asking_sqs(Some(b"\x00\x0a\x00\x08cookie!!")));
    assert!(!is_whole(&reply));
    let cookie = &reply[reply.len() - 28..];
    assert_eq!(cookie[..4], [0, 10, 0, 24]);
    assert!(is_whole(&ask(Proto::Udp, "203.0.113.5:998", &asking_sqs(Some(cookie)))));
    assert!(!is_whole(&ask(Proto::Udp, "203.0.113.6:999", &asking_sqs(Some(cookie)))));
}

/// The last octet of the first address in the answer.
fn first_address(session: &mut Session, question: &str, rtype: RecordType) -> u8 {
    let question =
        Question { name: name(question), rtype, dnssec_ok: false, checking_disabled: false };
    let packet = upstream_query(&question, 1);
    let (client, listener) = ("10.9.9.9:999".parse().unwrap(), "10.0.0.10:53".parse().unwrap());
    let mut out = Vec::new();
    assert!(matches!(
        session.begin(&packet, client, listener, Instant::now(), &mut out),
        Step::Reply
    ));
    let len = if rtype == RecordType::A { 4 } else { 16 };
    // Header, question, and a record's pointer, type, class, TTL and length.
    out[12 + question.name.as_wire().len() + 4 + 12 + len - 1]
}

#[tokio::test]
async fn a_client_that_asks_in_a_pattern_gets_each_address_first() {
    let (responder, mut publisher) = responder();
    let names = ["one.example", "two.example"];
    let lines = names.map(|name| {
        format!(
            "vpce-{} com.amazonaws.eu-west-1.{} eu-west-1a=10.0.1.5 eu-west-1a=fd00::5 \
             eu-west-1b=10.0.2.6 eu-west-1b=fd00::6 names={name}",
            &name[..3],
            &name[..3]
        )
    });
    let config = config();
    publisher
        .publish(compile(policy::plan(&facts::inventory(&lines.join("\n")), &config), &config));
    let mut session = responder.session(Proto::Udp, 0);
    let pattern = names.map(|name| [(name, RecordType::A), (name, RecordType::AAAA)]);
    let mut first = vec![BTreeSet::new(); 4];
    for _ in 0..12 {
        for (seen, (name, rtype)) in first.iter_mut().zip(pattern.as_flattened()) {
            seen.insert(first_address(&mut session, name, *rtype));
        }
    }
    assert_eq!(first, vec![BTreeSet::from([5, 6]); 4]);
}

#[tokio::test]
async fn a_publish_is_seen_by_the_next_batch_and_not_by_the_one_at_hand() {
    let (responder, mut publisher) = responder();
    let mut publish = |last: u8| {
        let line = format!("vpce-1 svc.q a=10.0.1.{last} names=one.example");
        let config = config();
        publisher.publish(compile(policy::plan(&facts::inventory(&line), &config), &config));
    };
    let mut session = responder.session(Proto::Udp, 0);
    let ask = |session: &mut Session| first_address(session, "one.example", RecordType::A);
    publish(5);
    assert_eq!(ask(&mut session), 5);
    publish(6);
    assert_eq!(ask(&mut session), 5, "a batch is answered from one table");
    session.settle(Instant::now());
    assert_eq!(ask(&mut session), 6);
}

#[tokio::test]
async fn the_counters_of_a_view_are_there_before_its_first_question_and_end_with_it() {
    let (responder, mut publisher) = responder();
    let counted = |view: &str| {
        let page = responder.metrics().render().unwrap();
        let label = format!("view=\"{view}\"");
        page.lines().any(|it| it.starts_with("hubdns_dns_requests_total") && it.contains(&label))
    };
    responder.count_from_zero();
    assert!(!counted("default"), "there is no table yet");
    let views = vec![facts::view("onprem", "192.168.0.0/16")];
    publisher.publish(table(&PolicyConfig { views, ..config() }));
    responder.count_from_zero();
    assert!(counted("default") && counted("onprem"));
    publisher.publish(table(&config()));
    responder.count_from_zero();
    assert!(counted("default") && !counted("onprem"));
}

proptest! {
    #[test]
    fn explain_says_what_decide_does(
        labels in prop::sample::subsequence(vec!["a", "sqs", "dkr", "ecr", "execute-api"], 0..5),
        rtype in prop::sample::select(vec![1u16, 28, 6, 255, 43, 65, 252]),
        client in prop::sample::select(vec!["10.1.2.3", "10.9.9.9", "192.0.2.1"]),
    ) {
        let name = name(format!("{}.eu-west-1.amazonaws.com", labels.join(".")).trim_start_matches('.'));
        let rtype = RecordType(rtype);
        let table = table(&config());
        let vantage = vantage(client);
        let asked = Asked { name_wire: name.as_wire(), rtype, class: 1, recursion_desired: true };
        let decided = decide(&table, &asked, &vantage);
        let explained = explain(&table, &forward(), &Exempt::default(), &name, rtype, vantage);
        prop_assert_eq!(explained.decision, decided.decision.word());
        prop_assert_eq!(&explained.view, decided.view.name().as_str());
        let given = match decided.decision {
            Decision::Answer(_, Told::Records(records)) => usize::from(records.count()),
            _ => 0,
        };
        prop_assert_eq!(explained.given.len(), given);
    }
}
