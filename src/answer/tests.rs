//! Decisions, replies and explanations over tables made from one-line facts.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::{
    base::{Name, RecordType},
    forward::ForwardConfig,
    policy::{self, PolicyConfig, facts},
    table::{AnswerTable, compile},
};

const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 names=sqs.eu-west-1.amazonaws.com
    vpce-2 com.amazonaws.eu-west-1.ecr.dkr eu-west-1a=10.0.1.6 names=*.dkr.ecr.eu-west-1.amazonaws.com
    vpce-3 com.amazonaws.eu-west-1.execute-api eu-west-1a=10.0.1.7 names=*.execute-api.eu-west-1.amazonaws.com
";

fn table(config: &PolicyConfig) -> AnswerTable {
    compile(&policy::plan(&facts::inventory(HUB), config), config)
}

fn config() -> PolicyConfig {
    PolicyConfig {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        zones: vec![("10.1.2.0/24".parse().unwrap(), "eu-west-1b".into())],
        deny: vec![policy::ServiceRule::new("execute-api")],
        ..facts::config()
    }
}

fn forward() -> ForwardConfig {
    ForwardConfig {
        upstreams: vec!["169.254.169.253:53".parse().unwrap()],
        trusted: vec![],
        zones: vec![],
        cache_entries: 0,
        serve_stale: std::time::Duration::ZERO,
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
        ("example.com A", "forward"),
        ("example.com A +norec", "refuse: NoRecursion"),
    ] {
        assert_eq!(decided("10.9.9.9", question), expected, "{question}");
    }
    assert_eq!(decided("192.0.2.1", &format!("{sqs} A")), "refuse: NotAllowed");
}

fn explained(client: &str, question: &str) -> String {
    let (asked, rtype) = question.split_once(' ').unwrap();
    let rtype = rtype.parse().unwrap();
    explain(&table(&config()), &forward(), &name(asked), rtype, vantage(client)).to_string()
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
fn an_explanation_tells_an_absence_and_a_refusal() {
    insta::assert_snapshot!(explained("10.9.9.9", "sqs.eu-west-1.amazonaws.com AAAA"));
    insta::assert_snapshot!(explained("192.0.2.1", "sqs.eu-west-1.amazonaws.com A"));
}

#[test]
fn an_explanation_tells_which_addresses_are_left_out_and_which_cannot_be() {
    let config = config();
    let plan = policy::plan(&facts::inventory(HUB), &config);
    let down = ["10.0.1.5", "10.0.1.6"];
    let plan = policy::without(plan, &|ip| down.contains(&ip.to_string().as_str()));
    let table = compile(&plan, &config);
    let explained =
        ["sqs.eu-west-1.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com"].map(|it| {
            explain(&table, &forward(), &name(it), RecordType::A, vantage("10.9.9.9")).to_string()
        });
    insta::assert_snapshot!(explained.concat());
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
        let explained = explain(&table, &forward(), &name, rtype, vantage);
        prop_assert_eq!(explained.decision, decided.decision.word());
        prop_assert_eq!(&explained.view, decided.view.name().as_str());
        let given = match decided.decision {
            Decision::Answer(_, Told::Records(records)) => usize::from(records.count()),
            _ => 0,
        };
        prop_assert_eq!(explained.given.len(), given);
    }
}
