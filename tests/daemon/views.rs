//! Views of a running daemon: whose upstreams are asked for whom, and what S3 is there.

use std::net::Ipv4Addr;

use crate::{
    SOON,
    commands::{Ran, ran},
    recorded,
    support::{Hubdns, Recording, Unbound, eventually},
    upstream,
};

const S3: &str = "s3.eu-west-1.amazonaws.com";

fn asked(unbound: &Unbound) -> usize {
    unbound.queries().iter().filter(|query| query.contains("www.corp.example")).count()
}

#[test]
fn each_views_clients_are_told_what_its_own_upstreams_say() {
    let shared = Unbound::start();
    let own = Unbound::start_with(&[("corp.example", "www 120 A 192.0.2.99\n")], "");
    let view = format!(
        "[[view]]\nname = \"own\"\nclients = [\"127.0.0.2/32\"]\nttl_secs = 7\n\
         [view.forward]\nupstreams = [\"{}\"]\n",
        own.address()
    );
    let daemon = Hubdns::start(&(recorded() + &upstream(&shared) + &view));
    // Asked, and then from the cache.
    for _ in 0..2 {
        assert_eq!(daemon.dig("www.corp.example A").data("A"), ["192.0.2.80"]);
        assert_eq!(daemon.dig("-b 127.0.0.2 www.corp.example A").data("A"), ["192.0.2.99"]);
        assert_eq!(daemon.dig("+tcp -b 127.0.0.2 www.corp.example A").data("A"), ["192.0.2.99"]);
    }
    assert_eq!((asked(&shared), asked(&own)), (1, 1));
    let told = |from: &str| {
        let Ran { out, .. } = ran(&mut daemon.command(&format!("explain a.example --from {from}")));
        out
    };
    let (one, other) = (told("127.0.0.1"), told("127.0.0.2"));
    assert!(
        one.contains(&format!("asked of {} by forward.upstreams\n", shared.address())),
        "{one}"
    );
    let by = format!("asked of {} by view.forward.upstreams of own\n", own.address());
    assert!(other.contains(&by), "{other}");
    let Ran { out, .. } = ran(&mut daemon.command("flush www.corp.example"));
    assert_eq!(out, "forgot 2 answers of www.corp.example and below it, or that led there\n");
}

#[test]
fn a_view_that_leaves_s3_to_an_upstream_with_private_addresses_is_told() {
    let zone = |ip: &str| format!("s3.eu-west-1 60 A {ip}\n");
    let private = Unbound::start_with(&[("amazonaws.com", &zone("10.0.0.9"))], "");
    let public = Unbound::start_with(&[("amazonaws.com", &zone("52.218.0.1"))], "");
    let recording = Recording::new(&[("s3".to_owned(), vec![Ipv4Addr::new(10, 0, 0, 9)])]);
    let view = "[[view]]\nname = \"spokes\"\nclients = [\"127.0.0.2/32\"]\ndeny = [\"s3\"]\n";
    let config = |unbound: &Unbound| {
        let health = "[health]\nprobe = \"off\"\n";
        recording.source() + health + &upstream(unbound) + view
    };
    let mut daemon = Hubdns::start(&config(&private));
    assert_eq!(daemon.dig(&format!("{S3} A")).data("A"), ["10.0.0.9"]);
    let has = |daemon: &Hubdns, views: f64| {
        eventually("the look at S3", SOON, || {
            (daemon.metric("hubdns_s3_left_private") == Some(views)).then_some(())
        });
    };
    has(&daemon, 1.0);
    let line = |daemon: &Hubdns| {
        let Ran { out, .. } = ran(&mut daemon.command("doctor"));
        out.lines().find(|line| line.contains(" s3: ")).unwrap_or_default().to_owned()
    };
    let what = |result: &str, is: &str| {
        format!("{result}  s3: view spokes leaves {S3} to upstreams: it is {is}")
    };
    assert_eq!(line(&daemon), what("warned", "10.0.0.9 there, which is private"));
    daemon.write_config(&config(&public));
    let Ran { code, err, .. } = ran(&mut daemon.command("reload"));
    assert_eq!(code, Some(0), "{err}");
    has(&daemon, 0.0);
    assert_eq!(line(&daemon), what("passed", "public there"));
}

#[test]
fn a_command_reads_the_names_of_many_views_page_by_page() {
    let endpoint = |at: u8| (format!("svc{at}"), vec![Ipv4Addr::new(10, 0, 1, at)]);
    let recording = Recording::new(&(0..100).map(endpoint).collect::<Vec<_>>());
    let view = |at: u8| {
        format!(
            "[[view]]\nname = \"v{at}\"\nclients = [\"10.{at}.0.0/16\"]\n\
             endpoints = [\"vpce-{at:017}\"]\n"
        )
    };
    let views: String = (0..60).map(view).collect();
    let daemon = Hubdns::start(&(recording.source() + &views));
    let (code, whole) = daemon.get("/api/v1/names");
    assert_eq!(code, 200);
    assert!(
        whole.contains("\"rows\": 6100") && whole.contains("\"next\": null"),
        "{}",
        whole.len()
    );
    let Ran { code, out, err } = ran(&mut daemon.command("names --format json"));
    assert_eq!(code, Some(0), "{err}");
    assert!(out == whole, "the pages are not the whole");
    let Ran { code, out, .. } = ran(&mut daemon.command("plan"));
    assert_eq!(code, Some(0), "{out}");
}
