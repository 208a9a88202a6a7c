//! `hubdns doctor`: what is well, what is not, and what to do next.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use serde_json::{Value, json};

use crate::{
    SOON,
    commands::{Ran, ran},
    recorded, small_hub, source,
    support::{Ec2Double, Hubdns, Imds, Pair, Recorded, Recording, Unbound, eventually},
    upstream,
};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Of this host too, where nobody listens.
const NOBODY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A hub with these endpoints, and how they are probed: at a port where somebody listens on [`HERE`].
fn hub(endpoints: &[(&str, &[Ipv4Addr])]) -> (Recording, TcpListener, String) {
    let recorded: Vec<Recorded> =
        endpoints.iter().map(|(name, ips)| ((*name).to_owned(), ips.to_vec())).collect();
    let (recording, listener) = (Recording::new(&recorded), TcpListener::bind((HERE, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    let config =
        format!("{}[health]\nprobe = \"tcp:{port}\"\ninterval_secs = 60\n", recording.source());
    (recording, listener, config)
}

/// The lines about something.
fn about<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    let told = format!("{word}: ");
    text.lines().filter(|line| line.get(8..).is_some_and(|rest| rest.starts_with(&told))).collect()
}

#[test]
fn a_hub_that_is_well_passes_and_who_is_asked_for_awss_hosts_is_told() {
    let unbound = Unbound::start();
    let (_recording, _endpoint, config) = hub(&[("svc0", &[HERE])]);
    let daemon = Hubdns::start(&(config + &upstream(&unbound)));
    let Ran { code, out, err } = ran(&mut daemon.command("doctor"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(about(&out, "daemon")[0].starts_with("passed  daemon: is ready"), "{out}");
    assert_eq!(about(&out, "loop"), ["passed  loop: none is known"]);
    let address = unbound.address();
    assert_eq!(
        about(&out, "upstream"),
        [
            format!("passed  upstream: {address} answers (NOERROR)"),
            format!("passed  upstream: {address} accepts TCP"),
        ]
    );
    let dns = daemon.dns();
    assert_eq!(
        about(&out, "port"),
        [format!("passed  port: {dns} answers by UDP"), format!("passed  port: {dns} accepts TCP")]
    );
    assert!(about(&out, "endpoint")[0].starts_with("passed  endpoint: 1 of 1 addresses"), "{out}");
    assert!(about(&out, "disk")[0].starts_with("passed  disk: "), "{out}");
    // What this host grants is its own affair.
    for (word, lines) in [("receive buffer", 1), ("descriptors", 1), ("tracking", 1), ("clock", 1)]
    {
        assert_eq!(about(&out, word).len(), lines, "{word} in {out}");
    }
    let [hosts] = about(&out, "aws hosts")[..] else { panic!("{out}") };
    assert!(hosts.contains(&format!("{address} (forward.upstreams)")), "{out}");
}

#[test]
fn what_is_not_well_is_told_with_the_next_step() {
    let mut unbound = Unbound::start();
    let mut daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    unbound.stop();
    assert!(daemon.terminate().success());
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor --format json"));
    assert_eq!(code, Some(1), "{out}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let checks = document["checks"].as_array().unwrap();
    let result = |about: &str| {
        let mut found = checks.iter().filter(|check| check["about"] == about);
        found.next().unwrap_or_else(|| panic!("{about} in\n{out}"))
    };
    assert_eq!(
        (&result("daemon")["result"], &result("source")["result"]),
        (&"warned".into(), &"passed".into())
    );
    let upstream = result("upstream");
    assert_eq!(upstream["result"], "failed");
    assert!(upstream["next"].as_str().unwrap().contains("dig @127.0.0.1"), "{out}");
    assert!(checks.iter().all(|check| (check["result"] == "passed") == check["next"].is_null()));
    // What only a daemon tells is not passed over in silence.
    for about in ["loop", "link-local", "descriptors"] {
        assert_eq!(result(about)["result"], "skipped");
    }
}

#[test]
fn each_call_of_a_source_is_tried_by_itself_and_a_denied_one_is_named() {
    let double = Ec2Double::start();
    small_hub(&double);
    let role = "role_arn = \"arn:aws:iam::111122223333:role/hubdns-read\"\n";
    let other = source(&double).replace("\"hub\"", "\"data\"") + role;
    let config = source(&double) + &other;
    let daemon = Hubdns::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &double.url())]);
    let Ran { out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(
        about(&out, "credentials"),
        [
            "passed  credentials: hub: calls as arn:aws:sts::123456789012:user/moto in eu-west-1",
            "passed  credentials: data: calls as \
             arn:aws:sts::111122223333:assumed-role/hubdns-read/hubdns in eu-west-1",
        ]
    );
    let all = "DescribeVpcEndpoints, DescribeVpcEndpointServices, DescribeNetworkInterfaces";
    let rest = "DescribeVpcEndpointAssociations, DescribeSubnets";
    let may = |source: &str, calls: &str| format!("passed  permission: {source}: may call {calls}");
    let everything = format!("{all}, {rest}");
    assert_eq!(about(&out, "permission"), [may("hub", &everything), may("data", &everything)]);
    assert!(about(&out, "clock").contains(&"passed  clock: is AWS's"), "{out}");
    // No metadata service tells where we are.
    let skipped = |word: &str| about(&out, word)[0].starts_with(&format!("skipped {word}: "));
    assert!(skipped("region") && skipped("rule"), "{out}");

    for action in
        ["DescribeNetworkInterfaces", "DescribeVpcEndpointAssociations", "DescribeSubnets"]
    {
        double.fault(json!({ "action": action, "kind": "error", "times": 0, "status": 403,
            "code": "UnauthorizedOperation" }));
    }
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(1), "{out}");
    let lines = about(&out, "permission");
    assert_eq!(lines.len(), 8, "{out}");
    let [may_call, interfaces, associations, subnets] = &lines[..4] else { panic!("{out}") };
    assert_eq!(*may_call, may("hub", "DescribeVpcEndpoints, DescribeVpcEndpointServices"));
    let denied = "AWS refused DescribeNetworkInterfaces: the caller lacks the permission \
                  ec2:DescribeNetworkInterfaces";
    assert!(interfaces.starts_with(&format!("failed  permission: hub: {denied}: ")), "{out}");
    // Nothing here needs these two.
    for line in [associations, subnets] {
        assert!(
            line.starts_with("skipped ") && line.contains("; it is not needed while "),
            "{line}"
        );
    }
    let next = |who: &str, option: &str| {
        format!(
            "next: allow ec2:DescribeNetworkInterfaces to {who}: \
             `hubdns export iam-policy{option}` prints the policy"
        )
    };
    assert!(out.contains(&next("what hubdns runs as", "")), "{out}");
    let role = "arn:aws:iam::111122223333:role/hubdns-read";
    assert!(out.contains(&next(role, " --assumed")), "{out}");

    // Nobody to call as: one line says it, and no call is tried in vain.
    double.clear();
    double.fault(json!({ "action": "AssumeRole", "kind": "error", "times": 0, "status": 403,
        "code": "AccessDenied" }));
    let Ran { out, .. } = ran(&mut daemon.command("doctor"));
    let failed = about(&out, "credentials")[1];
    assert!(failed.starts_with("failed  credentials: data: AWS refused AssumeRole: "), "{out}");
    let skipped = "skipped permission: data: no call was tried without credentials";
    assert!(about(&out, "permission").contains(&skipped), "{out}");
}

#[test]
fn what_zones_need_is_warned_of_where_they_are_discovered() {
    let double = Ec2Double::start();
    small_hub(&double);
    let config = format!("zones = \"discover\"\n{}", source(&double));
    double.fault(json!({ "action": "DescribeSubnets", "kind": "error", "times": 0, "status": 403,
        "code": "UnauthorizedOperation" }));
    let daemon = Hubdns::start_with(&config, &[("AWS_ENDPOINT_URL_STS", &double.url())]);
    let Ran { out, .. } = ran(&mut daemon.command("doctor"));
    let [_, subnets] = about(&out, "permission")[..] else { panic!("{out}") };
    let told = "warned  permission: hub: AWS refused DescribeSubnets: ";
    assert!(subnets.starts_with(told), "{out}");
}

#[test]
fn where_the_host_is_and_the_rules_of_its_own_vpc_are_told() {
    let double = Ec2Double::start();
    let azs = json!({ "a": "10.0.1.10" });
    let hub = double.create_hub(json!([{ "service": "sqs", "azs": azs }]));
    let imds = Imds::start(&hub.vpc);
    let environment =
        [vec![("AWS_ENDPOINT_URL", double.url())], imds.environment().map(owned).to_vec()].concat();
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let daemon = Hubdns::start_with(&source(&double), &environment);
    let vpc = &hub.vpc;
    let doctor = || ran(&mut daemon.command("doctor")).out;

    let out = doctor();
    let region = "passed  region: this host is in eu-west-1; sources ask in eu-west-1";
    assert_eq!(about(&out, "region"), [region]);
    let none = format!("passed  rule: none sends what is asked in {vpc}, our own VPC, elsewhere");
    assert_eq!(about(&out, "rule"), [none]);

    double.send_on(vpc, "corp.example", &["10.9.9.9"]);
    let out = doctor();
    let one =
        format!("passed  rule: 1 with {vpc}, our own VPC, of which none is for names of ours");
    assert_eq!(about(&out, "rule"), [one]);

    // More than a page, of which other VPCs have most.
    let theirs = double.create_hub(json!([])).vpc;
    for at in 0..101 {
        double.send_on(&theirs, &format!("d{at}.example"), &["10.9.9.9"]);
    }
    let names = double.send_on(vpc, "amazonaws.com", &["10.9.9.8", "10.9.9.9"]);
    let back = double.send_on(vpc, "eu-west-1.amazonaws.com", &["10.9.9.9", "127.0.0.1"]);
    let out = doctor();
    let lines = about(&out, "rule");
    assert_eq!(lines.len(), 2, "{out}");
    let line = |rule: &str| *lines.iter().find(|line| line.contains(rule)).unwrap();
    assert!(line(&names).starts_with("warned  rule: "), "{out}");
    assert!(line(&names).contains("sends amazonaws.com. elsewhere"), "{out}");
    assert!(line(&back).starts_with("failed  rule: "), "{out}");
    assert!(line(&back).contains("to 127.0.0.1, which is this host"), "{out}");
    let next = format!("disassociate-resolver-rule --vpc-id {vpc} --resolver-rule-id {back}`");
    assert!(out.contains(&next), "{out}");

    double
        .fault(json!({ "action": "ListResolverRules", "kind": "error", "times": 0, "status": 400,
        "code": "AccessDeniedException" }));
    let out = doctor();
    let denied = format!(
        "skipped rule: of {vpc} cannot be looked at: AWS refused ListResolverRules: the caller lacks \
         the permission route53resolver:ListResolverRules: ordered by a test"
    );
    assert_eq!(about(&out, "rule"), [denied]);
}

fn owned<'n>((name, value): (&'n str, &str)) -> (&'n str, String) {
    (name, value.to_owned())
}

#[test]
fn interfaces_that_are_not_reached_are_told_by_endpoint() {
    let endpoints: &[(&str, &[Ipv4Addr])] =
        &[("svc0", &[HERE, NOBODY]), ("svc1", &[NOBODY]), ("svc2", &[HERE])];
    let (_recording, listener, config) = hub(endpoints);
    let port = listener.local_addr().unwrap().port();
    let daemon = Hubdns::start(&config);
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(1), "{out}");
    let lines = about(&out, "endpoint");
    let [reached, some, none] = &lines[..] else { panic!("{out}") };
    assert_eq!(*reached, format!("passed  endpoint: 1 of 2 addresses accept TCP {port} from here"));
    assert!(some.starts_with("warned  ") && some.contains("127.0.0.2 ("), "{out}");
    assert!(none.starts_with("failed  ") && none.contains("Connection refused"), "{out}");
}

/// A security group that lets nobody in is the first mistake of a hub, and not one of its endpoints' ports.
#[test]
fn a_hub_that_reaches_none_of_its_endpoints_fails() {
    let unbound = Unbound::start();
    let (_recording, _listener, config) = hub(&[("svc0", &[NOBODY]), ("svc1", &[NOBODY])]);
    let config = config.replace("interval_secs = 60", "interval_secs = 1");
    let daemon = Hubdns::start(&(config + &upstream(&unbound)));
    let unheard = || daemon.metric("hubdns_endpoints_unheard").filter(|it| *it == 2.0);
    eventually("both are told", SOON, unheard);
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(1), "{out}");
    let [never] = about(&out, "endpoint")[..] else { panic!("{out}") };
    assert!(never.starts_with("failed  endpoint: TCP ") && never.contains("never"), "{out}");
}

#[test]
fn a_file_that_is_not_in_force_is_told() {
    let mut daemon = Hubdns::start(&recorded());
    let daemon_lines = |daemon: &Hubdns| {
        let Ran { out, .. } = ran(&mut daemon.command("doctor"));
        let lines: Vec<String> = about(&out, "daemon").into_iter().map(str::to_owned).collect();
        lines
    };
    assert_eq!(daemon_lines(&daemon).len(), 1);
    daemon.write_config(&(recorded() + "[health]\ninterval_secs = 59\n"));
    let [_, other] = &daemon_lines(&daemon)[..] else { panic!("it is told") };
    assert!(other.starts_with("warned  daemon: another configuration than this file"), "{other}");
    assert_eq!(ran(&mut daemon.command("reload")).code, Some(0));
    assert_eq!(daemon_lines(&daemon).len(), 1);
}

/// They may listen on other ports, which is no fault of the hub.
#[test]
fn endpoints_that_were_never_heard_are_warned_of_once_and_none_is_asked_where_none_is_probed() {
    let unbound = Unbound::start();
    let endpoints: &[(&str, &[Ipv4Addr])] =
        &[("svc0", &[HERE]), ("svc1", &[NOBODY]), ("svc2", &[Ipv4Addr::new(127, 0, 0, 3)])];
    let (_recording, listener, config) = hub(endpoints);
    let port = listener.local_addr().unwrap().port();
    let alias = "[[answers.alias]]\nname = \"mail.test\"\nservice = \"svc1\"\n";
    let config = config.replace("interval_secs = 60", "interval_secs = 1") + alias;
    let config = config + &upstream(&unbound);
    let daemon = Hubdns::start(&config);
    let unheard = || daemon.metric("hubdns_endpoints_unheard").filter(|it| *it == 2.0);
    eventually("both are told", SOON, unheard);
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(0), "{out}");
    let lines = about(&out, "endpoint");
    let [reached, never] = &lines[..] else { panic!("{out}") };
    assert_eq!(*reached, format!("passed  endpoint: 1 of 3 addresses accept TCP {port} from here"));
    let told = format!("warned  endpoint: TCP {port} has never been accepted by vpce-");
    assert!(never.starts_with(&told) && never.matches("vpce-").count() == 2, "{out}");
    assert!(out.contains("next: what listens on other ports alone (email-smtp, "), "{out}");
    let [mail] = about(&out, "alias")[..] else { panic!("{out}") };
    assert!(mail.starts_with("warned  alias: mail.test: vpce-"), "{out}");

    let off = config.replace(&format!("tcp:{port}"), "off");
    let daemon = Hubdns::start(&off);
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(0), "{out}");
    for word in ["endpoint", "alias"] {
        let [line] = about(&out, word)[..] else { panic!("{out}") };
        assert!(line.starts_with(&format!("skipped {word}: `health.probe` is \"off\"")), "{out}");
    }
}

#[test]
fn a_certificate_that_ends_soon_and_a_disk_that_is_not_there_are_told() {
    let pair = Pair::ending("hub.example");
    let table = pair.table("tls", "127.0.0.1:{tls_port}");
    let state = "[refresh]\nstate_file = \"/nonexistent/hubdns/inventory.json\"\n";
    let mut daemon = Hubdns::start(&(recorded() + &table + state));
    let Ran { out, .. } = ran(&mut daemon.command("doctor"));
    let [certificate] = about(&out, "certificate")[..] else { panic!("{out}") };
    let told = "warned  certificate: of [server.tls] ends in ";
    let days: u8 =
        certificate.strip_prefix(told).unwrap().trim_end_matches(" days").parse().unwrap();
    assert!((9..=10).contains(&days), "{out}");
    let [disk] = about(&out, "disk")[..] else { panic!("{out}") };
    assert!(disk.starts_with("warned  disk: /nonexistent/hubdns cannot be looked at"), "{out}");
    // A file is where a folder should be.
    let file = daemon.dir().join("hubdns.toml");
    let state = format!("[refresh]\nstate_file = \"{}/state.json\"\n", file.display());
    daemon.write_config(&(recorded() + &state));
    let out = ran(&mut daemon.command("doctor")).out;
    let [disk] = about(&out, "disk")[..] else { panic!("{out}") };
    assert!(disk.starts_with("failed  disk: ") && disk.contains("is no folder"), "{out}");
}

#[test]
fn without_a_daemon_a_port_that_is_taken_is_told() {
    let mut daemon = Hubdns::start(&recorded());
    assert!(daemon.terminate().success());
    let _taken = UdpSocket::bind(daemon.dns()).unwrap();
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(1), "{out}");
    let ports = about(&out, "port");
    let [port] = &ports[..] else { panic!("{out}") };
    assert!(port.starts_with("failed  port: "), "{out}");
}

#[test]
fn what_the_certificate_behind_an_alias_covers_is_told() {
    let endpoints: &[(&str, &[Ipv4Addr])] = &[("svc0", &[HERE]), ("svc1", &[NOBODY])];
    let (recording, _listener, _) = hub(endpoints);
    // A real server of TLS stands where the endpoint would: our own, for 127.0.0.1 and hub.test.
    let pair = Pair::new("hub.example");
    let alias =
        |name: &str, target: &str| format!("[[answers.alias]]\nname = \"{name}\"\n{target}\n");
    let aliases = [
        alias("hub.test", "service = \"svc0\""),
        alias("other.test", "service = \"svc0\""),
        alias("*.wide.test", "service = \"svc0\""),
        alias("led.test", "cname = \"hub.test\""),
        alias("away.test", "cname = \"www.example\""),
        alias("lost.test", "service = \"svc1\""),
    ];
    let table = pair.table("tls", "127.0.0.1:{tls_port}");
    let probe = "[health]\nprobe = \"tcp:{tls_port}\"\ninterval_secs = 60\n";
    let daemon = Hubdns::start(&(recording.source() + &table + probe + &aliases.concat()));
    let Ran { code, out, .. } = ran(&mut daemon.command("doctor"));
    assert_eq!(code, Some(1), "{out}");
    let lines: Vec<&str> = about(&out, "alias");
    let [wide, hub, led, lost, other] = &lines[..] else { panic!("{out}") };
    let endpoint = |line: &str| line.split_once("certificate of ").unwrap().1.to_owned();
    assert!(hub.starts_with("passed  alias: hub.test: the certificate of vpce-"), "{out}");
    assert!(endpoint(hub).ends_with(" covers it"), "{out}");
    let others = endpoint(hub).replace(" covers it", " does not cover it, but hub.test");
    for (line, name) in [(wide, "*.wide.test"), (led, "led.test"), (other, "other.test")] {
        let told = format!("warned  alias: {name}: the certificate of {others}");
        assert_eq!(*line, told, "{out}");
    }
    assert!(lost.starts_with("failed  alias: lost.test: vpce-"), "{out}");
    assert!(lost.contains("it takes no connection: Connection refused"), "{out}");
}
