//! `hubdns coverage`: what a client of the recorded hub asks for and no endpoint covers.

use serde_json::Value;

use crate::{
    SOON,
    commands::{Ran, ran},
    eventually,
    support::{Hubdns, Unbound},
    upstream,
};

/// What the upstream has of AWS: public addresses, as the internet has; one private, as a zone of
/// the VPC has.
const WORLD: &[(&str, &str)] = &[
    (
        "amazonaws.com",
        "rds.eu-west-1 60 A 198.51.100.1\n\
         rds.eu-west-1 60 AAAA 2001:db8:aaaa::1\n\
         eu-west-1.queue 60 A 198.51.100.2\n\
         abc123.execute-api.eu-west-1 60 A 198.51.100.3\n\
         sts 60 A 198.51.100.4\n\
         db.abc.eu-west-1.rds 60 A 198.51.100.5\n\
         backup.eu-west-1 60 A 10.9.0.1\n\
         *.s3.us-east-1 60 A 198.51.100.6\n",
    ),
    ("example.com", "www 60 A 198.51.100.7\n"),
];

fn demo(unbound: &Unbound, more: &str) -> Hubdns {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/discover/demo");
    let source = format!("[[source]]\nname = \"demo\"\nkind = \"files\"\npath = \"{path}\"\n");
    Hubdns::start(&(source + &upstream(unbound) + more))
}

fn document(daemon: &Hubdns) -> Value {
    let (code, text) = daemon.get("/api/v1/coverage");
    assert_eq!(code, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// `TIMES NAME STANDING SERVICE` of each leak.
fn leaks(document: &Value) -> Vec<String> {
    let text = |leak: &Value, key: &str| leak[key].as_str().unwrap_or("-").to_owned();
    let leaks = document["leaks"].as_array().unwrap().iter();
    let line = |leak: &Value| {
        let [name, standing, service] =
            ["name", "standing", "endpoint_service"].map(|key| text(leak, key));
        format!("{} {name} {standing} {service}", leak["times"])
    };
    leaks.map(line).collect()
}

#[test]
fn what_leaks_is_told_with_the_endpoint_that_would_cover_it() {
    let unbound = Unbound::start_with(WORLD, "");
    let daemon = demo(&unbound, "");
    // The first is asked upstream, the others come from the cache, by UDP and by TCP.
    for question in ["rds.eu-west-1.amazonaws.com A"; 5] {
        assert_eq!(daemon.dig(question).data("A"), ["198.51.100.1"]);
    }
    daemon.dig("RDS.eu-west-1.amazonaws.com A +tcp");
    for question in [
        "rds.eu-west-1.amazonaws.com AAAA",
        // None of these tells a public address: an absence, a private one, a name of ours.
        "rds.eu-west-1.amazonaws.com HTTPS",
        "nothing.eu-west-1.amazonaws.com A",
        "backup.eu-west-1.amazonaws.com A",
        "sqs.eu-west-1.amazonaws.com A",
        "www.example.com A",
    ] {
        daemon.dig(question);
    }
    let others = [
        "abc123.execute-api.eu-west-1.amazonaws.com A",
        "eu-west-1.queue.amazonaws.com A",
        "sts.amazonaws.com A",
        "db.abc.eu-west-1.rds.amazonaws.com A",
        "a-bucket.s3.us-east-1.amazonaws.com A",
    ];
    for (at, question) in others.iter().enumerate() {
        (0..=at).for_each(|_| assert_eq!(daemon.dig(question).status, "NOERROR"));
    }
    let expected = [
        "7 rds.eu-west-1.amazonaws.com missing com.amazonaws.eu-west-1.rds",
        "5 *.s3.us-east-1.amazonaws.com missing com.amazonaws.us-east-1.s3",
        "4 - other -",
        "3 sts.amazonaws.com unpublished -",
        "2 eu-west-1.queue.amazonaws.com unpublished com.amazonaws.eu-west-1.sqs",
        "1 *.execute-api.eu-west-1.amazonaws.com declined com.amazonaws.eu-west-1.execute-api",
    ];
    // What a thread has counted is added when its batch is over.
    eventually("all is counted", SOON, || (leaks(&document(&daemon)) == expected).then_some(()));
    let document = document(&daemon);
    let objection = &document["leaks"][5]["objections"][0];
    assert_eq!(
        (objection["reason"].as_str(), objection["views"][0].as_str()),
        (Some("denied"), Some("default"))
    );
    assert_eq!(document["leaks"][0]["asked"].as_array().unwrap().len(), 0, "no name is kept");
    for (service, times) in [("rds", 7.0), ("s3", 5.0), ("other", 4.0), ("sqs", 2.0), ("kms", 0.0)]
    {
        let sample = format!("hubdns_coverage_leaks_total{{aws_service=\"{service}\"}}");
        assert_eq!(daemon.metric(&sample), Some(times), "{sample}");
    }
    let Ran { code, out, err } = ran(&mut daemon.command("coverage"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let told = "       7  rds.eu-west-1.amazonaws.com\n          missing: no source has an endpoint of com.amazonaws.eu-west-1.rds";
    assert!(out.contains(told), "{out}");
    let Ran { out, .. } = ran(&mut daemon.command("coverage --format json"));
    let printed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(leaks(&printed), expected);
}

#[test]
fn names_are_kept_from_the_reload_on_that_asks_for_them() {
    let unbound = Unbound::start_with(WORLD, "");
    let mut daemon = demo(&unbound, "");
    let question = "a-bucket.s3.us-east-1.amazonaws.com A";
    daemon.dig(question);
    let path = daemon.dir().join("hubdns.toml");
    let written = std::fs::read_to_string(path).unwrap();
    daemon.write_config(&(written.clone() + "[coverage]\nnames = true\n"));
    let Ran { code, err, .. } = ran(&mut daemon.command("reload"));
    assert_eq!(code, Some(0), "{err}");
    daemon.dig(&question.replace("a-bucket", "b-bucket"));
    let asked = eventually("the name is counted", SOON, || {
        let asked = document(&daemon)["leaks"][0]["asked"].clone();
        (asked.as_array().is_some_and(|asked| !asked.is_empty())).then_some(asked)
    });
    assert_eq!(asked[0]["name"], "b-bucket.s3.us-east-1.amazonaws.com");
    daemon.write_config(&(written + "[coverage]\nenabled = false\n"));
    let Ran { code, err, .. } = ran(&mut daemon.command("reload"));
    assert_eq!(code, Some(0), "{err}");
    daemon.dig(question);
    let document = document(&daemon);
    assert_eq!(document["leaks"][0]["asked"].as_array().unwrap().len(), 0, "{document}");
    assert_eq!(
        (document["enabled"].as_bool(), document["leaks"][0]["times"].as_u64()),
        (Some(false), Some(2))
    );
}
