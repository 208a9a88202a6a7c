//! Several hubs: the same facts are the same table, and a hub that differs is found.

use std::net::SocketAddr;

use serde_json::json;

use crate::{
    SOON, SQS, await_answer,
    commands::{Ran, ran},
    source, status,
    support::{Ec2Double, Hubdns, free_port},
};

/// The lines of a check-list about other hubs.
fn about_peers(out: &str) -> Vec<&str> {
    out.lines().filter(|line| line.contains(" peer: ")).collect()
}

fn doctor(daemon: &Hubdns, peers: &[SocketAddr]) -> (Option<i32>, String) {
    let peers: Vec<String> = peers.iter().map(SocketAddr::to_string).collect();
    let Ran { code, out, .. } =
        ran(&mut daemon.command(&format!("doctor --peers {}", peers.join(","))));
    (code, out)
}

#[test]
fn hubs_with_the_same_facts_have_the_same_table_and_one_that_differs_is_told() {
    let double = Ec2Double::start();
    let services = ["sqs", "kms", "sns", "ssm", "sts"];
    let order = |service: &&str| json!({ "service": service, "azs": { "a": null, "b": null } });
    let hub = double.create_hub(services.iter().map(order).collect());
    let first = Hubdns::start(&source(&double));
    // The same in other pages.
    double.page_size(2);
    let second = Hubdns::start(&source(&double));
    let hash = status(&first)["table_hash"].as_str().unwrap().to_owned();
    assert_eq!(status(&second)["table_hash"], hash.as_str());
    let told = second.dig("hash.hubdns TXT -c CH");
    assert_eq!(told.data("TXT"), [format!("\"{hash}\"")], "{}", told.raw);

    let (code, out) = doctor(&first, &[second.dns()]);
    assert_eq!(code, Some(0), "{out}");
    let same = format!("passed  peer: {} answers from the table of this hub, {hash}", second.dns());
    assert_eq!(about_peers(&out), [same]);

    let other = Hubdns::start(&(source(&double) + "[answers]\nttl_secs = 77\n"));
    let silent = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (code, out) = doctor(&first, &[second.dns(), other.dns(), silent]);
    assert_eq!(code, Some(1), "{out}");
    let [same, differs, gone] = about_peers(&out)[..] else { panic!("{out}") };
    assert!(same.starts_with("passed"), "{same}");
    assert!(differs.starts_with(&format!("failed  peer: {} answers from table", other.dns())));
    assert!(differs.ends_with(&format!("this hub from {hash}")), "{differs}");
    assert!(gone.starts_with(&format!("failed  peer: {silent}: it cannot be asked")), "{gone}");

    // A change in AWS parts them for a round at most.
    let azs = json!({ "a": "10.0.1.77", "b": "10.0.2.77" });
    double.replace_addresses(&hub.endpoints[0].id, azs);
    for hub in [&first, &second] {
        await_answer(hub, SQS, &["10.0.1.77", "10.0.2.77"], SOON);
    }
    assert_eq!(doctor(&first, &[second.dns()]).0, Some(0));
}

#[test]
fn only_clients_that_may_ask_learn_the_table() {
    let config = crate::recorded() + "[clients]\nallow = [\"127.0.0.2\"]\n";
    let daemon = Hubdns::start(&config);
    assert_eq!(daemon.dig("hash.hubdns TXT -c CH").status, "REFUSED");
    assert_eq!(daemon.dig("hash.hubdns TXT -c CH -b 127.0.0.2").status, "NOERROR");
    assert_eq!(daemon.dig("hash.hubdns A -c CH -b 127.0.0.2").status, "REFUSED");
    let (code, out) = doctor(&daemon, &[daemon.dns()]);
    assert_eq!(code, Some(1));
    assert!(about_peers(&out)[0].ends_with("it answers REFUSED"), "{out}");
}
