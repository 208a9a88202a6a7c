//! The JSON API as it is described.

use serde_json::Value;

use super::*;
use crate::admin::{
    json::{ConfigDocument, SourcesDocument, TrafficDocument, UpstreamsDocument, ViewsDocument},
    openapi::description,
};

#[tokio::test]
async fn every_path_that_is_described_answers_and_every_path_that_answers_is_described() {
    let daemon = Daemon::ready().await;
    let description = description();
    let paths = description["paths"].as_object().unwrap();
    for (path, operation) in paths {
        let query = if path.ends_with("/explain") { "?name=a" } else { "" };
        let told = daemon.get(&format!("{path}{query}")).await;
        assert_eq!(told.status, 200, "{path}: {}", told.body);
        let document: Value = from_text(&told.body).unwrap();
        // What each says that it has to have is there.
        let schema = &operation["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if let Some(name) = schema["$ref"].as_str() {
            let schema = &description["components"]["schemas"][name.rsplit('/').next().unwrap()];
            for key in schema["required"].as_array().unwrap() {
                assert!(document.get(key.as_str().unwrap()).is_some(), "{path}: {key}");
            }
        }
        let strange = daemon.get(&format!("{path}?strange=1")).await;
        assert_eq!(strange.status, 400, "{path}");
    }
    let (_, why) = daemon.refused("/api/v2").await;
    let there: Vec<&str> = why.split([' ', ',']).filter(|it| it.starts_with("/api/v1/")).collect();
    assert_eq!(there.len(), paths.len());
    for path in there {
        assert!(paths.contains_key(path), "{path} is not described");
    }
}

#[tokio::test]
async fn views_tell_who_is_in_them_and_what_they_decline() {
    let daemon = Daemon::ready().await;
    let views: ViewsDocument = from_text(&daemon.get("/api/v1/views").await.body).unwrap();
    let [onprem, rest] = &views.views[..] else { panic!("{views:?}") };
    assert_eq!((onprem.name.as_str(), onprem.rest), ("onprem", false));
    assert_eq!(onprem.clients, ["10.9.0.0/16"]);
    assert_eq!((rest.name.as_str(), rest.rest), ("default", true));
    assert_eq!(rest.declined.get("denied"), Some(&1), "{rest:?}");
}

#[tokio::test]
async fn upstreams_tell_how_they_do_and_what_aws_allows_them() {
    let daemon = Daemon::ready().await;
    let told: UpstreamsDocument = from_text(&daemon.get("/api/v1/upstreams").await.body).unwrap();
    let [only] = &told.upstreams[..] else { panic!("{told:?}") };
    assert_eq!(only.address, "169.254.169.253:53");
    assert_eq!((only.zones.as_slice(), only.state.as_str()), (&[".".to_owned()][..], "unasked"));
    assert!(only.limited && only.rtt_micros.is_none());
    assert_eq!(told.budget.unwrap().hard, 1_000);
}

#[tokio::test]
async fn sources_tell_the_iam_action_that_is_missing() {
    let daemon = Daemon::ready().await;
    let denied = SourceStatus {
        missing_permissions: vec!["ec2:DescribeVpcEndpoints"],
        ..source(Some("AWS refused DescribeVpcEndpoints"))
    };
    daemon.status.send_replace(status_of(denied));
    let told: SourcesDocument = from_text(&daemon.get("/api/v1/sources").await.body).unwrap();
    assert_eq!(told.sources[0].missing_permissions, ["ec2:DescribeVpcEndpoints"]);
}

#[tokio::test]
async fn configuration_and_traffic_are_told_as_they_are() {
    let daemon = Daemon::ready().await;
    let told: ConfigDocument = from_text(&daemon.get("/api/v1/config").await.body).unwrap();
    assert_eq!(told, ConfigDocument { hash: in_force().hash, toml: in_force().toml });
    let view = daemon.admin.metrics.dns.view("default");
    view.told(crate::base::Rcode::SERVFAIL, crate::telemetry::AnswerSource::Local);
    daemon.admin.traffic.sample(daemon.admin.metrics.dns.totals(), 1_700_000_000);
    let view = daemon.admin.metrics.dns.view("other");
    view.told(crate::base::Rcode::NOERROR, crate::telemetry::AnswerSource::Table);
    daemon.admin.traffic.sample(daemon.admin.metrics.dns.totals(), 1_700_000_010);
    let told: TrafficDocument = from_text(&daemon.get("/api/v1/traffic").await.body).unwrap();
    let [first, second] = &told.samples[..] else { panic!("{told:?}") };
    assert_eq!(first.at, "2023-11-14T22:13:20Z");
    assert_eq!((first.local, first.servfail, first.table), (1, 1, 0));
    assert_eq!((second.local, second.servfail, second.table), (0, 0, 1));
}
