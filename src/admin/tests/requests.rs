//! Requests that are refused, and what they are told.

use super::*;

#[tokio::test]
async fn bad_parameters_are_named_with_what_is_allowed() {
    let daemon = Daemon::ready().await;
    for (query, expected) in [
        ("", "name is missing; say a domain name, such as sqs.eu-west-1.amazonaws.com"),
        (
            "name=a..b",
            r#"name: "a..b": it has an empty label; say a domain name, such as sqs.eu-west-1.amazonaws.com"#,
        ),
        (
            "name=a&type=AAAAA",
            r#"type: "AAAAA": "AAAAA" is no record type; say A, AAAA, HTTPS, ... or TYPE65; the default is A"#,
        ),
        (
            "name=a&from=10.0.0",
            r#"from: "10.0.0": invalid IP address syntax; say an address, such as 10.0.0.5"#,
        ),
        (
            "name=a&listener=lo",
            r#"listener: "lo": invalid socket address syntax; say an address of ours and its port, such as 10.0.0.10:53"#,
        ),
        (
            "name=a&client=10.0.0.1",
            r#""client" is no parameter here; there are: name, type, from, listener"#,
        ),
        ("name=a&name=b", "name stands there twice; say it once"),
    ] {
        let refused = daemon.refused(&format!("/api/v1/explain?{query}")).await;
        assert_eq!(refused, (400, expected.to_owned()));
    }
}

#[tokio::test]
async fn only_get_is_answered_and_unknown_paths_tell_the_known() {
    let daemon = Daemon::ready().await;
    for method in ["POST", "HEAD", "DELETE", "OPTIONS"] {
        let request =
            format!("{method} /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let response = daemon.tell(&request).await;
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.headers["allow"], "GET");
    }
    let (status, why) = daemon.refused("/api/v2/names").await;
    assert_eq!(status, 404);
    assert!(
        why.starts_with(
            "there is no /api/v2/names; there are: /, /metrics, /livez, /readyz, /api/v1/status, "
        ),
        "{why}"
    );
    assert!(daemon.get("/").await.body.contains("/api/v1"));
}

#[tokio::test]
async fn a_page_elsewhere_that_resolves_to_us_reads_nothing() {
    let daemon = Daemon::ready().await;
    for path in ["/", "/api/v1/status", "/api/v1/names", "/api/v1/explain?name=a"] {
        let response = daemon.get_as("rebind.example:9153", path).await;
        assert_eq!(response.status, 421, "{path}");
        assert!(response.error().starts_with("this is not \"rebind.example:9153\""));
        assert_eq!(daemon.get_as("localhost", path).await.status, 200);
        assert_eq!(daemon.get_as("[::1]:9153", path).await.status, 200);
    }
    let absolute = "GET http://rebind.example/ HTTP/1.1\r\nHost: localhost\r\n\
                    Connection: close\r\n\r\n";
    assert_eq!(daemon.tell(absolute).await.status, 421);
    assert_eq!(daemon.get_as("hub-a.corp.example:9153", "/metrics").await.status, 200);
}
