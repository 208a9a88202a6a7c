//! DNS over TLS and HTTPS, by other people's clients.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    process::Command,
    thread,
    time::Duration,
};

use crate::{
    SOON, SQS, await_metric, lines_with, nudge, recorded, status,
    support::{Hubdns, Pair, RSA, Unbound, eventually, s_client, try_dig},
    tls_client::{Held, client, connect_from},
    upstream,
};

/// Two looks at the files, and a loaded machine.
const RENEWED_WITHIN: Duration = Duration::from_secs(30);

/// SQS by TLS and HTTPS, besides UDP and TCP.
fn encrypted(pair: &Pair) -> String {
    recorded()
        + &pair.table("tls", "127.0.0.1:{tls_port}")
        + &pair.table("https", "127.0.0.1:{https_port}")
}

fn renewals(outcome: &str) -> String {
    format!("hubdns_tls_certificate_renewals_total{{outcome=\"{outcome}\",service=\"tls\"}}")
}

/// What kdig prints.
fn kdig(server: SocketAddr, args: &str) -> String {
    let said = Command::new("kdig")
        .args(["-p", &server.port().to_string(), &format!("@{}", server.ip())])
        .args(args.split_whitespace())
        .output()
        .expect("kdig is installed: run tests/setup.sh");
    String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr)
}

/// The common name of the certificate that is shown.
fn shown(server: SocketAddr) -> String {
    let said = s_client(server, &[]);
    let line = said.lines().find_map(|line| line.strip_prefix("subject=CN = "));
    line.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn kdig_gets_ours_and_the_upstreams_by_tls_and_https() {
    let (pair, unbound) = (Pair::new("hub.test"), Unbound::start());
    let daemon = Hubdns::start(&(encrypted(&pair) + &upstream(&unbound)));
    let ca = format!("+tls-ca={} +tls-hostname=hub.test", pair.certificate().display());
    for (server, how) in
        [(daemon.tls(), "+tls"), (daemon.https(), "+https"), (daemon.https(), "+https-get")]
    {
        let ours = kdig(server, &format!("{how} {ca} {SQS} A"));
        assert!(ours.contains("10.0.1.5") && ours.contains("10.0.3.5"), "{how}: {ours}");
        let another = ca.replace("hub.test", "other.test");
        let distrusted = kdig(server, &format!("{how} {another} {SQS} A"));
        assert!(!distrusted.contains("10.0.1.5"), "{how}: {distrusted}");
        // kdig pads its questions by itself.
        assert!(ours.contains(";; Received 468 B"), "{how}: {ours}");
        let forwarded = kdig(server, &format!("{how} www.corp.example A"));
        assert!(forwarded.contains("192.0.2.80"), "{how}: {forwarded}");
        let absent = kdig(server, &format!("{how} nowhere.corp.example A"));
        assert!(absent.contains("status: NXDOMAIN"), "{how}: {absent}");
        let whole = kdig(server, &format!("{how} big.example TXT"));
        assert_eq!(whole.matches("\tTXT\t").count(), 12, "{how}: {whole}");
    }
    let asked = |proto: &str| {
        let labels = format!("family=\"1\",proto=\"{proto}\",type=\"A\",view=\"default\"");
        daemon.metric(&format!("hubdns_dns_requests_total{{{labels}}}"))
    };
    assert_eq!((asked("tls"), asked("https"), asked("udp")), (Some(3.0), Some(6.0), Some(0.0)));
}

#[test]
fn an_explanation_of_an_encrypted_listener_is_not_compared_by_udp() {
    let pair = Pair::new("hub.test");
    let daemon = Hubdns::start(&encrypted(&pair));
    for listener in [daemon.tls(), daemon.https()] {
        let said =
            daemon.command(&format!("explain {SQS} --listener {listener}")).output().unwrap();
        let out = String::from_utf8_lossy(&said.stdout);
        let why = format!("not asked: {listener} speaks DNS inside of TLS, and this asks by UDP");
        assert!(out.contains(&why), "{out}");
        assert_eq!(said.status.code(), Some(0), "{out}");
    }
}

#[test]
fn versions_and_protocols_are_those_of_the_rfcs() {
    let pair = Pair::of("hub.test", RSA);
    let daemon = Hubdns::start(&encrypted(&pair));
    let tls = |args: &[&str]| s_client(daemon.tls(), args);
    let https = |args: &[&str]| s_client(daemon.https(), args);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = tls(&[version, "-alpn", "dot"]);
        assert!(said.contains("ALPN protocol: dot"), "{said}");
        let said = https(&[version, "-alpn", "h2,http/1.1"]);
        assert!(said.contains("ALPN protocol: h2"), "{said}");
    }
    assert!(https(&["-alpn", "http/1.1"]).contains("ALPN protocol: http/1.1"));
    let nothing_said = tls(&[]);
    assert!(nothing_said.contains("No ALPN negotiated"), "{nothing_said}");
    assert!(nothing_said.contains("subject=CN = hub.test"), "{nothing_said}");
    for refused in [
        tls(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]),
        tls(&["-alpn", "h2"]),
        https(&["-alpn", "dot"]),
    ] {
        assert!(refused.contains("alert"), "{refused}");
    }
    let failed = "hubdns_tls_handshakes_total{outcome=\"failed\",service=\"tls\"}";
    await_metric(&daemon, failed, 2.0);
}

#[test]
fn curl_finds_a_host_by_https() {
    // The endpoint's addresses are this machine's, so that what is found can be fetched.
    let folder = tempfile::TempDir::new().unwrap();
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    for file in std::fs::read_dir(small).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().replace("10.0.", "127.0.");
        std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
    }
    let page = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = page.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in page.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfound").unwrap();
        }
    });
    let pair = Pair::new("hub.test");
    let source =
        format!("[[source]]\nname = \"files\"\nkind = \"files\"\npath = {:?}\n", folder.path());
    let daemon = Hubdns::start(&(source + &pair.table("https", "127.0.0.1:{https_port}")));
    let said = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "10", "--noproxy", "*", "--doh-insecure"])
        .args(["--doh-url", &format!("https://{}/dns-query", daemon.https())])
        .arg(format!("http://{SQS}:{port}/"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "found", "{said:?}");
    let asked = "hubdns_https_responses_total{status=\"200\"}";
    assert!(Some(1.0) <= daemon.metric(asked));
}

#[test]
fn a_renewed_certificate_is_shown_and_a_bad_one_is_not() {
    let (pair, second) = (Pair::new("first"), Pair::of("second", RSA));
    let first = client(&pair);
    let daemon = Hubdns::start(&encrypted(&pair));
    let expiry = "hubdns_tls_certificate_expiry_timestamp_seconds{service=\"tls\"}";
    let in_a_month = daemon.metric(expiry).unwrap();
    assert_eq!(shown(daemon.tls()), "first");
    let stream = || connect_from([127, 0, 0, 1].into(), daemon.tls());
    let mut old = Held::new(&first, stream()).unwrap();
    // A certificate whose key has not come yet, or never does.
    pair.replace_certificate_by(&second);
    eventually("the pair is told to be wrong", RENEWED_WITHIN, || {
        // Questions keep the connection.
        assert_eq!(old.ask().unwrap(), 3);
        thread::sleep(Duration::from_millis(200));
        daemon.metric(&renewals("refused")).filter(|told| *told == 1.0)
    });
    assert_eq!(shown(daemon.tls()), "first");
    let told = lines_with(&daemon, "the new certificate cannot be used");
    assert_eq!(told.len(), 2, "one a service: {told:?}");
    assert!(told[0].contains("is not the one of the certificate in"), "{told:?}");
    pair.replace_by(&second);
    eventually("the new pair is shown", RENEWED_WITHIN, || {
        assert_eq!(old.ask().unwrap(), 3);
        thread::sleep(Duration::from_millis(200));
        (shown(daemon.tls()) == "second" && shown(daemon.https()) == "second").then_some(())
    });
    assert_eq!(daemon.metric(&renewals("done")), Some(1.0));
    assert_eq!(daemon.metric(&renewals("refused")), Some(1.0), "told once");
    assert!(in_a_month <= daemon.metric(expiry).unwrap());
    assert_eq!(old.ask().unwrap(), 3, "who was there stays");
    assert!(Held::new(&first, stream()).is_err(), "nobody resumes what the old one began");
    assert!(Held::new(&client(&pair), stream()).is_ok());
}

#[test]
fn a_reload_opens_moves_and_closes_encrypted_listeners_or_changes_nothing() {
    let (pair, other) = (Pair::new("first"), Pair::new("second"));
    let mut daemon = Hubdns::start(&recorded());
    let reload = |daemon: &mut Hubdns, config: &str, outcome: &str| {
        let sample = format!("hubdns_config_reloads_total{{outcome=\"{outcome}\"}}");
        let before = daemon.metric(&sample).unwrap();
        daemon.write_config(config);
        nudge(daemon);
        await_metric(daemon, &sample, before + 1.0);
    };
    let by_tls = |daemon: &Hubdns| try_dig(daemon.tls(), &format!("{SQS} A +tls"));
    assert!(by_tls(&daemon).is_err());
    reload(&mut daemon, &encrypted(&pair), "done");
    assert_eq!(by_tls(&daemon).unwrap().data("A").len(), 3);
    assert_eq!(status(&daemon)["listeners"].as_array().unwrap().len(), 3);

    // The new files of a reload are taken at once, and other addresses with them.
    let mut elsewhere = recorded() + &other.table("tls", "127.0.0.2:{tls_port}");
    reload(&mut daemon, &elsewhere, "done");
    let moved = SocketAddr::new([127, 0, 0, 2].into(), daemon.tls().port());
    assert_eq!(shown(moved), "second");
    eventually("the old address is closed", SOON, || by_tls(&daemon).err());
    let expiry = "hubdns_tls_certificate_expiry_timestamp_seconds{service=\"https\"}";
    assert_eq!(daemon.metric(expiry), None, "no HTTPS any more");

    // A pair that does not fit: all of the reload is refused, with its place.
    other.replace_certificate_by(&pair);
    elsewhere += "[answers]\nttl_secs = 17\n";
    reload(&mut daemon, &elsewhere, "refused");
    let told = lines_with(&daemon, "the certificate of [server.tls] cannot be served");
    assert_eq!(told.len(), 1, "{}", daemon.log());
    assert!(told[0].contains("hubdns.toml:8:7: "), "{told:?}");
    assert_eq!(shown(moved), "second");
    assert_eq!(daemon.dig(&format!("{SQS} A")).answer[0].ttl, 60);

    reload(&mut daemon, &recorded(), "done");
    eventually("nothing is encrypted any more", SOON, || {
        try_dig(moved, &format!("{SQS} A +tls")).err()
    });
}

#[test]
fn check_tells_what_is_wrong_with_a_certificate() {
    let (pair, other, ended) = (Pair::new("a"), Pair::new("b"), Pair::ended("c"));
    let dir = tempfile::TempDir::new().unwrap();
    let check = |config: &str| {
        let text = "server.listen = [\"127.0.0.1:0\"]\nadmin.listen = \"\"\ncontrol.socket = \"\"\n\
                    refresh.state_file = \"\"\n";
        std::fs::write(dir.path().join("hubdns.toml"), text.to_owned() + config).unwrap();
        let said = crate::support::hubdns(dir.path())
            .args(["check", "--config", "hubdns.toml"])
            .output()
            .unwrap();
        (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned())
    };
    let with = |pair: &Pair| recorded() + &pair.table("tls", "127.0.0.1:0");
    assert!(check(&with(&pair)).0);
    let (good, said) = check(&with(&ended));
    assert!(good, "{said}");
    assert!(
        said.contains("warning: clients will refuse the certificate of [server.tls]"),
        "{said}"
    );
    assert!(said.contains("the certificate ended at 20"), "{said}");
    pair.replace_certificate_by(&other);
    let (good, said) = check(&with(&pair));
    assert!(!good && said.contains("is not the one of the certificate in"), "{said}");
    assert!(said.contains("hubdns.toml:12:7"), "the key's place: {said}");
    for (file, text, why) in [
        (pair.key(), Some("-----BEGIN"), "holds no private key"),
        (pair.key(), None, "cannot read"),
        (pair.certificate(), Some("hello"), "holds no certificate"),
        (pair.certificate(), None, "No such file or directory"),
    ] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let (good, said) = check(&with(&pair));
        assert!(!good && said.contains(why), "{why}: {said}");
    }
    // Relative to the file's folder, and all at once.
    let relative =
        "[server.https]\nlisten = [\"127.0.0.1:0\"]\ncertificate = \"x.pem\"\nkey = \"x.pem\"\n";
    let (good, said) = check(&(with(&pair) + relative));
    assert!(!good && said.contains("/x.pem: No such file"), "{said}");
    assert_eq!(said.matches("error: ").count(), 2, "{said}");
}

/// The page and the command know by the address, not by its port alone.
#[test]
fn what_is_plain_is_asked_though_another_address_speaks_tls_at_the_same_port() {
    let pair = Pair::new("hub.test");
    let table = pair.table("tls", "127.0.0.2:{dns_port}");
    let plain = "[server]\nlisten = [\"127.0.0.1:{dns_port}\"]\n";
    let daemon = Hubdns::start(&(recorded() + plain + &table));
    let link = |listener: SocketAddr| format!("/?name={SQS}&from=127.0.0.1&listener={listener}");
    let [plain, tls] = ["127.0.0.1", "127.0.0.2"]
        .map(|ip| SocketAddr::new(ip.parse().unwrap(), daemon.dns_port()));
    let (_, page) = daemon.get(&link(plain));
    let word = page.split("name=\"live\" value=\"").nth(1).unwrap().get(..32).unwrap();
    let refused = "speaks DNS inside of TLS";
    for (listener, is_asked) in [(plain, true), (tls, false)] {
        let (_, page) = daemon.get(&format!("{}&live={word}", link(listener)));
        assert_eq!(
            (page.contains("agrees"), page.contains(refused)),
            (is_asked, !is_asked),
            "{page}"
        );
        let words = format!("explain {SQS} A --from 127.0.0.1 --listener {listener}");
        let output = daemon.command(&words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(told.contains(refused), !is_asked, "{told}");
    }
}
