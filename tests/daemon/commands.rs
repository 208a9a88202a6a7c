//! The commands, beside a running daemon and without one.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    SOON, SQS, lines_with, recorded, small_hub, source, status,
    support::{Ec2Double, Hubdns, Unbound, eventually, hubdns},
    upstream,
};

/// What a command printed, and its exit status.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// `hubdns check` of a text.
fn check(config: &str) -> Ran {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("hubdns.toml"), config).unwrap();
    ran(hubdns(folder.path()).args(["check", "--config", "hubdns.toml"]))
}

const FILES: &str = "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"hub\"\n";

/// A configuration that needs nothing of the machine, listening there.
fn listening_on(entry: &str) -> String {
    format!(
        "[server]\nlisten = [\"{entry}\"]\n{FILES}[admin]\nlisten = \"\"\n\
         [control]\nsocket = \"\"\n[refresh]\nstate_file = \"\"\n"
    )
}

#[test]
fn a_good_file_is_good() {
    let Ran { code, out, err } = check(&listening_on("127.0.0.1:0"));
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "hubdns.toml: good (1 sources, 0 views)\n"),
        "{err}"
    );
}

#[test]
fn five_mistakes_are_told_at_once_with_their_places() {
    let text = "[server]\nlisten = [\"127.0.0.1:0\"]\nlistn = []\n[refresh]\ninterval_secs = \"5\"\n\
                [answers]\nttl_secs = 0\n[[source]]\nname = \"hub\"\nkind = \"ecs\"\n\
                [[view]]\nname = \"a\"\n[[view]]\nname = \"a\"\n";
    // What systemd is told is that no start will change it.
    for (command, status) in [("check", 1), ("run", 78)] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("hubdns.toml"), text).unwrap();
        let Ran { code, out, err } =
            ran(hubdns(folder.path()).args([command, "--config", "hubdns.toml"]));
        assert_eq!((code, out.as_str()), (Some(status), ""));
        for place in ["3:1", "5:17", "7:12", "10:8", "14:8"] {
            assert!(err.contains(&format!("hubdns.toml:{place}\n")), "{place} in\n{err}");
        }
        assert_eq!(err.matches("error: ").count(), 5, "{err}");
        assert!(err.matches(" = help: ").count() == 5 && err.contains('^'), "{err}");
        assert!(!err.contains("panicked") && !err.contains("backtrace"), "{err}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_with_the_next_step() {
    let folder = TempDir::new().unwrap();
    let Ran { code, err, .. } =
        ran(hubdns(folder.path()).args(["check", "--config", "nowhere.toml"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("nowhere.toml") && err.contains("--config"), "{err}");
}

#[test]
fn an_address_that_another_has_is_told_with_its_place() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (entry, told) in [
        (address.to_string(), format!("UDP {address} is in use")),
        ("192.0.2.1:53".to_owned(), "this machine has no address 192.0.2.1:53".to_owned()),
        ("interface:ens77:53".to_owned(), "there is no interface ens77; there are ".to_owned()),
    ] {
        let Ran { code, err, .. } = check(&listening_on(&entry));
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("hubdns.toml:2:11\n") && err.contains("^^^"), "{err}");
        assert!(err.contains(&told), "{told} in\n{err}");
    }
}

#[test]
fn an_admin_address_that_another_has_is_told_with_its_place() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = listening_on("127.0.0.1:0")
        .replace("[admin]\nlisten = \"\"", &format!("[admin]\nlisten = \"{address}\""));
    let Ran { code, err, .. } = check(&text);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("`admin.listen`") && err.contains(&address), "{err}");
    assert!(err.contains("hubdns.toml:8:10\n") && err.contains("^^^"), "{err}");
}

#[test]
fn authorities_that_cannot_be_read_are_told_when_an_upstream_needs_them() {
    let with = |upstream: &str| {
        let forward =
            format!("[forward]\nca_file = \"/nowhere.pem\"\nupstreams = [\"{upstream}\"]\n");
        check(&(listening_on("127.0.0.1:0") + &forward))
    };
    let Ran { code, err, .. } = with("tls://192.0.2.1#dns.example");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("upstreams by TLS cannot be verified"), "{err}");
    assert!(err.contains("/nowhere.pem") && err.contains("PEM"), "{err}");
    let Ran { code, err, .. } = with("192.0.2.1");
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn a_running_daemons_own_addresses_are_good() {
    let mut daemon = Hubdns::start(&recorded());
    let Ran { code, out, err } = ran(&mut daemon.command("check"));
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "hubdns.toml: good (1 sources, 0 views)\n"),
        "{err}"
    );
    // A second daemon on them is refused, with the place.
    let Ran { code, err, .. } = ran(&mut daemon.command("run"));
    assert_eq!(code, Some(1));
    assert!(err.contains("is in use") && err.contains("hubdns.toml:"), "{err}");
    // That may pass; what the file says does not, which has a status of its own.
    daemon.write_config(&(recorded() + "[answers]\nttl = 7\n"));
    let Ran { code, err, .. } = ran(&mut daemon.command("run"));
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("unknown key `ttl`"), "{err}");
}

/// Root without its right to everything, which is then anybody.
const ANYBODY: [&str; 3] = ["setpriv", "--bounding-set", "-dac_override"];

/// The same command, run by another: `["script", ...]`.
fn run_by(words: &[&str], command: &Command) -> Command {
    let mut by = Command::new(words[0]);
    by.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    by.current_dir(command.get_current_dir().unwrap()).env_clear();
    by.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    by
}

#[test]
fn a_daemon_that_may_not_be_asked_makes_no_address_a_problem() {
    let daemon = Hubdns::start(&recorded());
    let socket = daemon.dir().join("control.sock");
    fs::set_permissions(socket, fs::Permissions::from_mode(0o000)).unwrap();
    let Ran { code, out, err } = ran(&mut run_by(&ANYBODY, &daemon.command("check")));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(": good") && err.contains("no address in use was looked at"), "{err}");
    assert!(err.contains("run this as root"), "{err}");
    let Ran { out, .. } = ran(&mut run_by(&ANYBODY, &daemon.command("doctor")));
    assert!(out.contains("skipped port: none was tried: a daemon has them"), "{out}");
    for about in ["loop", "link-local", "descriptors"] {
        assert!(out.contains(&format!("skipped {about}: the daemon could not be asked")), "{out}");
    }
    assert!(!out.contains("is in use"), "{out}");
}

/// Else what is doubtful is found by a second run, when all that is wrong is put right.
#[test]
fn what_is_doubtful_is_told_beside_what_is_wrong() {
    let daemon = Hubdns::start(&recorded());
    let socket = daemon.dir().join("control.sock");
    fs::set_permissions(socket, fs::Permissions::from_mode(0o000)).unwrap();
    let text = fs::read_to_string(daemon.dir().join("hubdns.toml")).unwrap();
    let anybody = ["setpriv", "--bounding-set", "-dac_override"];
    // Wrong in the file, and wrong on this machine.
    let address = "listen = [\"127.0.0.1:";
    for (from, to, key) in [
        ("interval_secs = 5", "interval_secs = 0", "refresh.interval_secs"),
        (address, "listen = [\"192.0.2.1:", "server.listen"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(daemon.dir().join("hubdns.toml"), text.replacen(from, to, 1)).unwrap();
        let Ran { code, err, .. } = ran(&mut run_by(&anybody, &daemon.command("check")));
        assert_eq!((code, err.matches("error: ").count()), (Some(1), 1), "{err}");
        assert_eq!(err.matches("\n\nwarning: ").count(), 1, "{err}");
        assert!(err.contains("no address in use was looked at"), "{err}");
        let mut command = run_by(&anybody, &daemon.command("check --format json"));
        let Ran { code, out, .. } = ran(&mut command);
        let checked: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &checked["problems"][0]["key"]), (Some(1), &key.into()), "{out}");
        let [doubt, untried] = &checked["warnings"].as_array().unwrap()[..] else {
            panic!("{out}")
        };
        assert_eq!(doubt["key"], "forward.upstreams");
        assert!(untried["what"].as_str().unwrap().starts_with("no address in use was looked at"));
    }
    // What is wrong itself is no doubt as well.
    fs::write(daemon.dir().join("hubdns.toml"), text.replace("upstreams = []", "upstreams = 5"))
        .unwrap();
    let Ran { out, .. } = ran(&mut daemon.command("check --format json"));
    let checked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(checked["problems"][0]["key"], "forward.upstreams");
    assert!(checked["warnings"].as_array().unwrap().iter().all(|it| it["key"] == ""), "{out}");
}

#[test]
fn a_query_log_that_cannot_be_written_is_a_problem_before_the_start() {
    let folder = TempDir::new().unwrap();
    let check = |file: &str, rate: &str| {
        let log = format!("[log]\nqueries = \"{rate}\"\nqueries_file = \"{file}\"\n");
        let text = listening_on("127.0.0.1:0") + &log;
        fs::write(folder.path().join("hubdns.toml"), text).unwrap();
        ran(hubdns(folder.path()).args(["check", "--config", "hubdns.toml"]))
    };
    let place = folder.path().to_str().unwrap();
    for file in [format!("{place}/none/queries.jsonl"), place.to_owned()] {
        let Ran { code, err, .. } = check(&file, "all");
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("`log.queries_file`: the query log") && err.contains(&file), "{err}");
        assert_eq!(check(&file, "off").code, Some(0), "nothing is opened then");
    }
    let file = format!("{place}/queries.jsonl");
    let Ran { code, err, .. } = check(&file, "all");
    assert_eq!(code, Some(0), "{err}");
    assert!(!Path::new(&file).exists(), "what is tried is not made");
    let mut by_hand = hubdns(folder.path());
    by_hand.args(["check", "--config", "hubdns.toml"]);
    let may_write = |mode| {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        ran(&mut run_by(&ANYBODY, &by_hand)).code == Some(0)
    };
    assert!(may_write(0o700) && !may_write(0o500));
    fs::write(&file, "").unwrap();
    assert_eq!(check(&file, "all").code, Some(0));
    // systemd makes the folder at a start.
    let Ran { code, err, .. } = check("/var/log/hubdns/queries.jsonl", "all");
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn a_file_for_another_machine_is_checked_without_that_machine() {
    let folder = TempDir::new().unwrap();
    let tls = "[server.tls]\nlisten = [\"192.0.2.1:853\"]\ncertificate = \"/nowhere/cert.pem\"\n\
               key = \"/nowhere/key.pem\"\n";
    fs::write(folder.path().join("hubdns.toml"), listening_on("192.0.2.1:53") + tls).unwrap();
    let check = |option: &[&str]| {
        ran(hubdns(folder.path()).args(["check", "--config", "hubdns.toml"]).args(option))
    };
    assert_eq!(check(&[]).code, Some(1));
    let Ran { code, out, err } = check(&["--elsewhere"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "hubdns.toml: good (1 sources, 0 views)\n"),
        "{err}"
    );
}

#[test]
fn check_online_asks_every_source_and_upstream() {
    let (double, mut unbound) = (Ec2Double::start(), Unbound::start());
    small_hub(&double);
    let daemon = Hubdns::start(&(source(&double) + &upstream(&unbound)));
    let Ran { code, err, .. } = ran(&mut daemon.command("check --online"));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("source hub: 1 endpoints, 1 services, 2 interfaces"), "{err}");
    assert!(err.contains(&format!("upstream {}: answers (NOERROR)", unbound.address())), "{err}");
    unbound.stop();
    double.fault(json!({ "action": "DescribeVpcEndpoints", "kind": "error", "times": 0,
        "status": 403, "code": "UnauthorizedOperation" }));
    let Ran { code, err, .. } = ran(&mut daemon.command("check --online"));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("ec2:DescribeVpcEndpoints"), "{err}");
    assert!(!err.contains("answers ("), "{err}");
}

/// An explanation without what only a daemon can be asked: what it answers, and its cache.
fn without_live(out: &str) -> String {
    let Ok(Value::Object(mut document)) = serde_json::from_str(out) else {
        let is_lasting =
            |line: &&str| !["  live ", "  cache "].iter().any(|it| line.starts_with(it));
        return out.split_inclusive('\n').filter(is_lasting).collect();
    };
    document.remove("live");
    if let Some(steps) = document.get_mut("steps").and_then(Value::as_array_mut) {
        steps.retain(|step| step["about"] != "cache");
    }
    format!("{document:#?}")
}

#[test]
fn an_explanation_tells_whether_the_daemon_answers_just_that() {
    let unbound = Unbound::start();
    let daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    let dns = daemon.dns();
    let explained = |words: &str| {
        let Ran { code, out, .. } = ran(&mut daemon.command(&format!("explain {words}")));
        let live = out.lines().find(|line| line.starts_with("  live ")).map(str::to_owned);
        (code, live.unwrap_or_else(|| panic!("{out}")))
    };
    let is = |words: &str, code: i32, live: &str| {
        assert_eq!(explained(words), (Some(code), format!("  live      {live}")), "{words}");
    };
    let addresses = "NOERROR with 10.0.1.5, 10.0.2.5, 10.0.3.5";
    is(SQS, 0, &format!("{dns} answers that: {addresses}"));
    is(&format!("{SQS} AAAA"), 0, &format!("{dns} answers that: NOERROR with no addresses"));
    is("www.corp.example", 3, &format!("{dns} answers NOERROR with 192.0.2.80"));
    let Ran { out, .. } = ran(&mut daemon.command("explain www.corp.example"));
    assert!(out.contains("\n  cache     has NOERROR, which came "), "{out}");
    is(
        &format!("{SQS} --from 203.0.113.9"),
        4,
        "not asked: 203.0.113.9 is not an address of this host",
    );
    is(&format!("{SQS} --from ::1"), 0, &format!("not asked: ::1 does not reach {dns}"));
    // Another server at the address that is explained.
    let other = unbound.address();
    let (code, live) = explained(&format!("{SQS} --listener {other}"));
    assert_eq!(code, Some(5), "{live}");
    assert!(live.starts_with(&format!("  live      DIFFERS: {other} answers ")), "{live}");
}

#[test]
fn names_and_explain_are_the_same_without_the_daemon() {
    let double = Ec2Double::start();
    double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10" } },
        { "service": "s3", "azs": { "a": "10.0.1.11" } },
        { "service": "kms", "azs": { "a": "10.0.1.12" }, "state": "pendingAcceptance" },
        { "service": "execute-api", "azs": { "a": "10.0.1.13" } },
    ]));
    let listen = "[server]\nlisten = [\"127.0.0.1:{dns_port}\"]\n";
    let mut daemon = Hubdns::start(&(source(&double) + listen));
    let words = [
        "names",
        "names --format csv",
        "names --format json",
        "explain sqs.eu-west-1.amazonaws.com",
        "explain sqs.eu-west-1.amazonaws.com AAAA --format json",
        "explain bucket.s3.eu-west-1.amazonaws.com A --from 10.0.0.9",
        "explain kms.eu-west-1.amazonaws.com",
        "explain www.example.com MX --format json",
    ];
    let all = |daemon: &Hubdns| -> Vec<Ran> {
        words.iter().map(|words| ran(&mut daemon.command(words))).collect()
    };
    let running = all(&daemon);
    assert!(daemon.terminate().success());
    let offline = all(&daemon);
    for ((words, running), offline) in words.iter().zip(&running).zip(&offline) {
        let is_ours = !words.contains("kms") && !words.contains("www");
        let code = if is_ours { Some(0) } else { Some(3) };
        assert_eq!((running.code, offline.code), (code, code), "{words}: {}", offline.err);
        assert_eq!(running.err, "", "{words}");
        assert!(offline.err.contains("no daemon runs on this configuration"), "{}", offline.err);
        // Without a daemon there is no count of its tables.
        let same = |text: &str| text.replace("\"generation\": 1,", "\"generation\": null,");
        assert_eq!(without_live(&same(&running.out)), without_live(&offline.out), "{words}");
    }
    let [table, csv, names, sqs, aaaa, _, kms, www] = &running[..] else { panic!() };
    let names: Value = serde_json::from_str(&names.out).unwrap();
    let listed = names["views"][0]["names"].as_array().unwrap();
    for name in listed {
        let name = name["name"].as_str().unwrap();
        assert!(table.out.contains(name) && csv.out.contains(name), "{name}");
    }
    assert!(listed.iter().any(|name| name["name"] == SQS));
    for reason in ["pendingAcceptance", "execute-api"] {
        assert!(table.out.contains(reason), "{reason} in\n{}", table.out);
    }
    assert!(sqs.out.contains("10.0.1.10") && sqs.out.contains("eni-"), "{}", sqs.out);
    assert!(kms.out.contains("pendingAcceptance"), "{}", kms.out);
    let decision = |ran: &Ran| serde_json::from_str::<Value>(&ran.out).unwrap()["decision"].clone();
    assert_eq!((decision(aaaa), decision(www)), (json!("nodata"), json!("forward")));
}

#[test]
fn what_discover_saves_is_answered_from_alike() {
    let double = Ec2Double::start();
    double.page_size(2);
    double.create_hub(json!([
        { "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10" }, "tags": { "k": "v" } },
        { "service": "s3", "azs": { "a": null, "b": null }, "ip_address_type": "dualstack" },
        { "service": "ecr.dkr", "azs": { "c": null }, "state": "pending" },
        { "service": "iot.data", "azs": { "a": null } },
        { "service": "s3", "type": "Gateway" },
    ]));
    let daemon = Hubdns::start(&source(&double));
    let saved = daemon.dir().join("saved");
    let Ran { code, out, err } =
        ran(&mut daemon.command(&format!("discover --save {}", saved.display())));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("source hub (eu-west-1): ") && out.contains("eu-west-1b="), "{out}");
    assert!(err.contains("saved in"), "{err}");
    let mut files: Vec<_> =
        fs::read_dir(&saved).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(
        files,
        ["network-interfaces.json", "vpc-endpoint-services.json", "vpc-endpoints.json"]
    );
    let place = format!("path = \"{}\"", saved.display());
    let config = FILES.replace("path = \"hub\"", &place);
    let from_files = Hubdns::start(&config);
    assert_eq!(status(&from_files)["table_hash"], status(&daemon)["table_hash"]);
    let names = |daemon: &Hubdns| daemon.get("/api/v1/names").1;
    assert_eq!(names(&from_files), names(&daemon));
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let folder = TempDir::new().unwrap();
    let Ran { code, out, .. } = ran(hubdns(folder.path()).arg("schema"));
    assert_eq!(code, Some(0));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/hubdns.schema.json");
    assert_eq!(out, fs::read_to_string(shipped).unwrap());
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let daemon = Hubdns::start(&recorded());
    let mut child = daemon.command("names").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = eventually("it ends", SOON, || child.try_wait().unwrap());
    assert_ne!(status.code(), Some(101), "it panicked");
}

#[test]
fn a_socket_that_a_killed_daemon_left_is_replaced() {
    let mut daemon = Hubdns::start(&recorded());
    daemon.process().kill();
    assert!(daemon.dir().join("control.sock").exists());
    // Nobody answers on it: the command goes on without.
    let Ran { code, err, .. } = ran(&mut daemon.command("names"));
    assert!(code == Some(0) && err.contains("no daemon runs"), "{err}");
    daemon.start_again();
    let Ran { code, err, .. } = ran(&mut daemon.command("names"));
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn a_place_without_room_for_the_socket_stops_no_answer() {
    let control = "[control]\nsocket = \"{dir}/hubdns.toml/control.sock\"\n";
    let daemon = Hubdns::start(&(recorded() + control));
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 3);
    let told = lines_with(&daemon, "the control socket cannot be opened");
    assert!(told.len() == 1 && told[0].contains("hubdns.toml/control.sock"), "{told:?}");
}

#[test]
fn a_daemon_that_is_not_ready_says_why_to_commands() {
    let nobody = ([127, 0, 0, 1], crate::support::free_port()).into();
    let daemon = Hubdns::spawn(&crate::source_at(nobody), &[]);
    eventually("a round has failed", SOON, || lines_with(&daemon, "discovery failed").pop());
    for words in ["names", "explain sqs.eu-west-1.amazonaws.com"] {
        let Ran { code, out, err } = ran(&mut daemon.command(words));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("no table is in force yet: source hub: cannot reach AWS"), "{err}");
        assert!(!err.contains("backtrace"), "{err}");
    }
    // Which addresses it has been handed, it does not tell.
    let Ran { code, err, .. } = ran(&mut daemon.command("check"));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("looked at: the daemon that runs has no table yet"), "{err}");
}
