//! `hubdns plan`: what is told before a reload is what comes of it.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    SQS,
    commands::{Ran, ran},
    status,
    support::{Hubdns, eventually, free_port, hubdns, try_dig},
};

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
const AFTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small-after");

fn files(folder: &str) -> String {
    format!("[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"{folder}\"\n")
}

/// The plan of a file beside the daemon's own.
fn plan(daemon: &Hubdns, words: &str) -> Ran {
    let mut command = hubdns(daemon.dir());
    ran(command.arg("plan").args(words.split_whitespace()))
}

fn written(daemon: &Hubdns, more: &str, replaced: &[(&str, &str)]) {
    let mut text = fs::read_to_string(daemon.dir().join("hubdns.toml")).unwrap();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from} in\n{text}");
        text = text.replace(from, to);
    }
    fs::write(daemon.dir().join("new.toml"), text + more).unwrap();
}

#[test]
fn the_configuration_in_force_changes_nothing() {
    let daemon = Hubdns::start(&files(SMALL));
    let Ran { code, out, err } = plan(&daemon, "--config hubdns.toml");
    assert_eq!(code, Some(0), "{out}{err}");
    let socket = daemon.dir().join("control.sock");
    assert_eq!(out, format!("against the daemon at {}:\nnothing changes\n", socket.display()));
    let Ran { code, out, .. } =
        plan(&daemon, "--config hubdns.toml --against hubdns.toml --format json");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["changes"]), (Some(0), &Value::Bool(false)), "{out}");
}

#[test]
fn a_plan_is_what_a_reload_then_does() {
    let daemon = Hubdns::start(&files(SMALL));
    let port = free_port();
    let views = "[[view]]\nname = \"lab\"\nclients = [\"192.168.7.0/24\"]\ndeny = [\"sqs\"]\n\
                 [[answers.alias]]\nname = \"new.example\"\nservice = \"sqs\"\n";
    let listen = format!("listen = [\"127.0.0.1:{}\"", daemon.dns_port());
    let more = format!("{listen}, \"127.0.0.1:{port}\"");
    let upstreams = ("upstreams = []", "upstreams = [\"192.0.2.53\"]");
    written(&daemon, views, &[(&listen, &more), upstreams, (SMALL, AFTER)]);
    let before = status(&daemon);

    let Ran { code, out, err } = plan(&daemon, "--config new.toml");
    assert_eq!(code, Some(2), "{out}{err}");
    let told = [
        "view default\n".to_owned(),
        "  + new.example A 10.0.1.5 10.0.2.55 10.0.3.5 (".to_owned(),
        format!("  ~ {SQS} A 10.0.1.5 10.0.2.5 10.0.3.5 -> 10.0.1.5 10.0.2.55 10.0.3.5\n"),
        "clients 192.168.7.0/24: view default -> view lab\n".to_owned(),
        format!("  - {SQS} A 10.0.1.5 10.0.2.5 10.0.3.5 ("),
        "a reload puts in force: [server], [clients], [answers], [[view]] or [zones], [[source]], \
         [forward] or [cache]\n"
            .to_owned(),
        format!("  opens `server.listen` \"127.0.0.1:{port}\"\n"),
        format!("  source \"files\".path: \"{SMALL}\" -> \"{AFTER}\"\n"),
        "  forward.upstreams: + \"192.0.2.53\"\n".to_owned(),
        "  view \"lab\": new\n".to_owned(),
    ];
    for told in &told {
        assert!(out.contains(told), "{told} in\n{out}");
    }

    // The daemon has done nothing of it.
    assert_eq!(status(&daemon)["table_hash"], before["table_hash"]);
    assert!(try_dig(([127, 0, 0, 1], port).into(), "new.example A").is_err());

    // Against the file that is in force the same is told, without the daemon.
    let Ran { code, out: of_file, err } = plan(&daemon, "--config new.toml --against hubdns.toml");
    let behind_head = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(code, Some(2), "{err}");
    assert_eq!(behind_head(&of_file), behind_head(&out));

    // And so it comes.
    fs::copy(daemon.dir().join("new.toml"), daemon.dir().join("hubdns.toml")).unwrap();
    let Ran { code, err, .. } = ran(&mut daemon.command("reload"));
    assert_eq!(code, Some(0), "{err}");
    crate::await_answer(
        &daemon,
        "new.example",
        &["10.0.1.5", "10.0.2.55", "10.0.3.5"],
        crate::SOON,
    );
    assert!(try_dig(([127, 0, 0, 1], port).into(), "new.example A").is_ok());
    assert_eq!(plan(&daemon, "--config new.toml").code, Some(0));
}

#[test]
fn a_plan_as_json_has_what_is_said_before_and_after() {
    let daemon = Hubdns::start(&files(SMALL));
    written(&daemon, "", &[(SMALL, AFTER)]);
    let Ran { code, out, err } = plan(&daemon, "--config new.toml --format json");
    assert_eq!(code, Some(2), "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    let answers = document["views"][0]["answers"].as_array().unwrap();
    let sqs = answers.iter().find(|it| it["name"] == SQS && it["type"] == "A").unwrap();
    assert_eq!(sqs["change"], "changed");
    assert_eq!(sqs["before"]["addresses"][1], "10.0.2.5");
    assert_eq!(sqs["after"]["addresses"][1], "10.0.2.55");
    let path = format!("source \"files\".path: \"{SMALL}\" -> \"{AFTER}\"");
    assert_eq!(document["reload"]["details"][0], path);
    let counted = ["added", "removed", "changed"].map(|key| document[key].as_u64().unwrap());
    assert_eq!(usize::try_from(counted.iter().sum::<u64>()).unwrap(), answers.len());
}

#[test]
fn what_changes_no_answer_now_is_told_by_its_key() {
    let lab = "[[view]]\nname = \"lab\"\nclients = [\"192.168.7.0/24\"]\n";
    let daemon = Hubdns::start(&(files(SMALL) + lab));
    let more = |text: &str| ("[\"192.168.7.0/24\"]\n", format!("[\"192.168.7.0/24\"]\n{text}"));
    for (what, told) in [
        (
            "[view.forward]\nupstreams = [\"192.0.2.9\"]\n",
            "view \"lab\".forward.upstreams: nothing -> [\"192.0.2.9\"]",
        ),
        (
            "[[view.forward.zone]]\nname = \"corp.example\"\nupstreams = [\"192.0.2.8\"]\n",
            "view \"lab\".forward.zone \"corp.example\": new",
        ),
        ("deny = [\"kinesis\"]\n", "view \"lab\".deny: nothing -> [\"kinesis\"]"),
        (
            "[zones]\n\"10.1.0.0/24\" = \"eu-west-1a\"\n",
            "zones.\"10.1.0.0/24\": nothing -> \"eu-west-1a\"",
        ),
        ("[cache]\nserve_stale_secs = 60\n", "cache.serve_stale_secs: 86400 -> 60"),
    ] {
        let (from, to) = more(what);
        written(&daemon, "", &[(from, &to)]);
        for words in ["--config new.toml", "--config new.toml --against hubdns.toml"] {
            let Ran { code, out, err } = plan(&daemon, words);
            assert_eq!(code, Some(2), "{what}{out}{err}");
            assert!(out.contains(&format!("  {told}\n")), "{told} in\n{out}");
            assert!(out.ends_with("0 answers change: 0 added, 0 removed, 0 changed\n"), "{out}");
        }
    }
}

#[test]
fn what_a_daemon_has_drained_is_no_change() {
    let daemon = Hubdns::start(&files(SMALL));
    assert_eq!(ran(daemon.command("drain-az").arg("eu-west-1c")).code, Some(0));
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 2);
    let Ran { code, out, .. } = plan(&daemon, "--config hubdns.toml");
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn a_query_log_that_a_reload_would_not_have_is_refused_by_the_plan() {
    let daemon = Hubdns::start(&files(SMALL));
    let log = "[log]\nqueries = \"all\"\nqueries_file = \"/nonexistent/queries.jsonl\"\n";
    written(&daemon, log, &[]);
    let Ran { code, out, err } = plan(&daemon, "--config new.toml");
    assert!(code == Some(1) && err.contains("/nonexistent/queries.jsonl"), "{out}{err}");
}

/// A daemon keeps what it knows of such a source: nothing of it is lost by a reload.
#[test]
fn what_comes_of_a_source_that_cannot_be_asked_is_not_told_as_gone() {
    let folder = TempDir::new().unwrap();
    let recording = folder.path().join("saas");
    fs::create_dir(&recording).unwrap();
    let saas = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/saas");
    for entry in fs::read_dir(saas).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, recording.join(from.file_name().unwrap())).unwrap();
    }
    let path = recording.display();
    let other = format!("[[source]]\nname = \"other\"\nkind = \"files\"\npath = \"{path}\"\n");
    let daemon = Hubdns::start(&(files(SMALL) + &other));
    let answers = |daemon: &Hubdns| !daemon.dig("api.vendor.example A").data("A").is_empty();
    eventually("both sources have told", crate::SOON, || answers(&daemon).then_some(()));
    fs::rename(&recording, folder.path().join("away")).unwrap();
    let in_force = format!("state_file = \"{}/inventory.json\"", daemon.dir().display());
    let torn = folder.path().join("torn.json");
    fs::write(&torn, "{").unwrap();
    written(&daemon, "", &[(&in_force, &format!("state_file = \"{}\"", torn.display()))]);
    let Ran { out, err, .. } = plan(&daemon, "--config new.toml");
    assert!(out.contains("a reload puts in force: [refresh]"), "{out}{err}");
    assert!(!out.contains("vendor.example"), "{out}");
    assert!(err.contains("torn.json is corrupt"), "{err}");
    assert!(err.contains("source other: what the daemon answers by it is left out"), "{err}");
    assert_eq!(ran(&mut daemon.command("reload")).code, Some(0));
    assert!(answers(&daemon), "and so it is");
}

/// A role that is gone is why one plans: what it gave is not known, and the rest is compared.
#[test]
fn a_source_that_one_of_two_files_cannot_ask_is_left_out_and_the_rest_is_compared() {
    let saas = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/saas");
    let small = files(SMALL);
    let other = |path: &str| files(path).replace("\"files\"\nkind", "\"other\"\nkind");
    let (gone, told) = (other("/nonexistent"), other(saas));
    let alias = "[[answers.alias]]\nname = \"new.example\"\nservice = \"sqs\"\n";
    let folder = TempDir::new().unwrap();
    let plan = |old: &str, new: &str| {
        for (file, text) in [("old.toml", old), ("new.toml", new)] {
            let more = "[refresh]\nstate_file = \"\"\n";
            fs::write(folder.path().join(file), format!("{text}{more}")).unwrap();
        }
        let words = ["plan", "--config", "new.toml", "--against", "old.toml"];
        let Ran { code, out, err } = ran(hubdns(folder.path()).args(words));
        assert_eq!(code, Some(2), "{out}{err}");
        (out, err)
    };
    let left_out = "source other: what it tells is known by one of the two files alone, ";
    // Another role or path of a source: nobody knows what it gave, or will give.
    for (old, new) in [(&gone, &told), (&told, &gone)] {
        let (out, err) = plan(&format!("{small}{old}"), &format!("{small}{new}{alias}"));
        assert!(out.contains("1 answer changes: 1 added, 0 removed"), "{out}{err}");
        assert!(err.contains("source other: ") && err.contains(left_out), "{err}");
    }
    // Of one that is taken out, too, and be it the only one.
    let (out, err) = plan(&format!("{small}{gone}"), &format!("{small}{alias}"));
    assert!(out.contains("1 answer changes: 1 added, 0 removed"), "{out}{err}");
    assert!(err.contains("old.toml: source other: ") && !err.contains(left_out), "{err}");
    let (out, err) = plan(&gone, &small);
    assert!(out.contains("  + sqs.eu-west-1.amazonaws.com A "), "{out}{err}");
}

#[test]
fn what_would_be_refused_is_an_error_and_so_is_a_mistake() {
    let daemon = Hubdns::start(&files(SMALL));
    let listen = format!("listen = [\"127.0.0.1:{}\"", daemon.dns_port());
    written(&daemon, "", &[(&listen, "listen = [\"192.0.2.1:53\"")]);
    let Ran { code, out, err } = plan(&daemon, "--config new.toml");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("this machine has no address 192.0.2.1:53"), "{err}");
    assert!(err.contains("new.toml:") && err.contains("would refuse"), "{err}");
    written(&daemon, "", &[("interval_secs = 5", "interval_secs = 1")]);
    let Ran { code, err, .. } = plan(&daemon, "--config new.toml");
    assert!(code == Some(1) && err.contains("5 to 3600"), "{err}");
    assert_eq!(plan(&daemon, "--confg new.toml").code, Some(1));

    let folder = TempDir::new().unwrap();
    let text = files(SMALL) + "[control]\nsocket = \"/nowhere/control.sock\"\n";
    fs::write(folder.path().join("hubdns.toml"), text).unwrap();
    let Ran { code, err, .. } =
        ran(hubdns(folder.path()).args(["plan", "--config", "hubdns.toml"]));
    assert_eq!(code, Some(1));
    assert!(err.contains("/nowhere/control.sock") && err.contains("--against FILE"), "{err}");
}
