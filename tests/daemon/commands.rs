//! The commands, beside a running daemon and without one.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    thread,
};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::{
    SOON, SQS,
    check::{ANYBODY, FILES, run_by},
    lines_with, recorded, source, status,
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
}

#[test]
fn an_answer_that_is_not_what_is_explained_has_an_exit_status_of_its_own() {
    let listen = "[server]\nlisten = [\"0.0.0.0:{dns_port}\"]\n";
    let daemon = Hubdns::start(&(recorded() + listen));
    // Another process that has taken one of its addresses.
    let address = SocketAddr::from(([127, 0, 0, 2], daemon.dns_port()));
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&address.into()).unwrap();
    let socket = UdpSocket::from(socket);
    thread::spawn(move || {
        let mut octets = [0; 512];
        while let Ok((len, client)) = socket.recv_from(&mut octets) {
            // A response without records.
            octets[2] |= 0x80;
            socket.send_to(&octets[..len], client).unwrap();
        }
    });
    let Ran { code, out, err } =
        ran(&mut daemon.command(&format!("explain {SQS} --listener {address}")));
    assert_eq!(code, Some(5), "{out}{err}");
    let live = format!("  live      DIFFERS: {address} answers NOERROR with no addresses");
    assert!(out.lines().any(|line| line == live), "{out}");
}

#[test]
fn an_address_that_is_none_of_ours_is_not_explained() {
    let mut daemon = Hubdns::start(&recorded());
    let (dns, port) = (daemon.dns(), daemon.dns_port());
    let told = |daemon: &Hubdns, listener: &str| {
        ran(&mut daemon.command(&format!("explain {SQS} --listener {listener}")))
    };
    for is_running in [true, false] {
        if !is_running {
            assert!(daemon.terminate().success());
        }
        for listener in
            ["127.0.0.1:1".to_owned(), format!("192.0.2.1:{port}"), "[::1]:53".to_owned()]
        {
            let Ran { code, out, err } = told(&daemon, &listener);
            let why = format!(
                "{listener} is no address of ours that can be asked; hubdns listens on {dns}\n"
            );
            assert_eq!(
                (code, out.as_str(), err),
                (Some(2), "", format!("hubdns: listener: {why}"))
            );
        }
        // A port that is not written is 53.
        let Ran { code, err, .. } = told(&daemon, "127.0.0.1");
        assert!(code == Some(2) && err.contains("127.0.0.1:53 is no address"), "{err}");
        assert_eq!(told(&daemon, &dns.to_string()).code, Some(0));
    }
}

#[test]
fn who_may_not_use_the_socket_is_told_who_may() {
    let daemon = Hubdns::start(&recorded());
    let socket = daemon.dir().join("control.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    for words in [
        "status",
        "names",
        "explain a.example",
        "top",
        "coverage",
        "refresh",
        "reload",
        "flush",
        "drain",
        "drain-az eu-west-1a",
        "undrain-az eu-west-1a",
        "plan",
        "export zone",
    ] {
        let Ran { code, out, err } = ran(&mut run_by(&ANYBODY, &daemon.command(words)));
        assert_eq!((code, out.as_str()), (Some(1), ""), "{words}: {err}");
        let why = "control.sock: run this as root, or as a member of the group that owns it";
        assert!(err.contains(why) && !err.contains("not running"), "{words}: {err}");
    }
}

#[test]
fn an_explanation_tells_why_a_live_answer_has_failed() {
    let daemon = Hubdns::start(&recorded());
    let why = "EDE 0: no upstream is configured, so only our own names are answered";
    let Ran { code, out, .. } = ran(&mut daemon.command("explain www.corp.example"));
    let live = format!("  live      {} answers SERVFAIL with no addresses; {why}", daemon.dns());
    assert!(code == Some(3) && out.lines().any(|line| line == live), "{live} in\n{out}");
    let Ran { out, .. } = ran(&mut daemon.command("explain www.corp.example --format json"));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["live"]["errors"], json!([why]), "{out}");
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

#[test]
fn a_socket_that_is_written_wrong_is_told_and_not_that_there_is_none() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("hubdns.toml"), "[control]\nsocket = \"c.sock\"\n").unwrap();
    for command in ["status", "top", "coverage"] {
        let Ran { code, err, .. } =
            ran(hubdns(folder.path()).args([command, "--config", "hubdns.toml"]));
        assert_eq!(code, Some(1), "{command}: {err}");
        assert!(err.contains("`control.socket` cannot be \"c.sock\""), "{command}: {err}");
    }
}
