//! `hubdns check`: what is wrong and what is doubtful of a file, on this machine and for another.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    commands::{Ran, ran},
    recorded, small_hub, source,
    support::{Ec2Double, Hubdns, Unbound, hubdns},
    upstream,
};

/// `hubdns check` of a text.
fn check(config: &str) -> Ran {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("hubdns.toml"), config).unwrap();
    ran(hubdns(folder.path()).args(["check", "--config", "hubdns.toml"]))
}

/// A source in files that are not there.
pub(crate) const FILES: &str = "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"hub\"\n";

/// A configuration that needs nothing of the machine, listening there.
fn listening_on(entry: &str) -> String {
    format!(
        "[server]\nlisten = [\"{entry}\"]\n{FILES}[admin]\nlisten = \"\"\n\
         [control]\nsocket = \"\"\n[refresh]\nstate_file = \"\"\n"
    )
}

#[track_caller]
fn is_good(Ran { code, out, err }: &Ran) {
    let told = (*code, out.as_str());
    assert_eq!(told, (Some(0), "hubdns.toml: good (1 source, 0 views)\n"), "{err}");
}

#[test]
fn a_good_file_is_good() {
    is_good(&check(&listening_on("127.0.0.1:0")));
}

#[test]
fn a_recording_that_no_start_could_read_is_told() {
    let folder = TempDir::new().unwrap();
    let recording = folder.path().join("hub");
    fs::create_dir(&recording).unwrap();
    fs::write(folder.path().join("hubdns.toml"), listening_on("127.0.0.1:0")).unwrap();
    let checked =
        |words: &str| ran(hubdns(folder.path()).arg("check").args(words.split_whitespace()));
    for (file, list) in [
        ("vpc-endpoints.json", "VpcEndpoints"),
        ("vpc-endpoint-services.json", "ServiceDetails"),
        ("network-interfaces.json", "NetworkInterfaces"),
    ] {
        let Ran { code, out, err } = checked("--config hubdns.toml");
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        let missing = format!("{file} is missing: `aws ec2 ");
        assert!(err.contains(&missing) && err.contains("hubdns.toml:6:8\n"), "{err}");
        assert_eq!(checked("--elsewhere --config hubdns.toml").code, Some(0));
        fs::write(recording.join(file), format!("{{\"{list}\": [")).unwrap();
        let Ran { code, err, .. } = checked("--config hubdns.toml");
        assert!(code == Some(1) && err.contains(&format!("{file}:1:")), "{err}");
        fs::write(recording.join(file), format!("{{\"{list}\": []}}")).unwrap();
    }
    assert_eq!(checked("--config hubdns.toml").code, Some(0));
    // It can be read, and has a hole.
    fs::write(recording.join("vpc-endpoints.json"), "{\"VpcEndpoints\": [{}]}").unwrap();
    let Ran { code, err, .. } = checked("--config hubdns.toml");
    assert!(code == Some(1) && err.contains("hubdns.toml:6:8\n"), "{err}");
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
fn a_file_that_may_not_be_read_or_is_none_is_told_with_the_next_step() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("hubdns.toml");
    fs::write(&file, listening_on("127.0.0.1:0")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    for words in [
        "run",
        "check",
        "check --elsewhere",
        "names",
        "explain a.example",
        "doctor",
        "discover",
        "status",
        "top",
        "coverage",
        "refresh",
        "reload",
        "flush",
        "drain",
        "drain-az a",
        "undrain-az a",
        "plan",
        "migrate --zones .",
        "export rules",
        "export zone",
        "export forwarders --format bind",
        "export iam-policy",
    ] {
        let told = |by: &[&str], config: &str| {
            let mut command = hubdns(folder.path());
            command.args(words.split(' ')).args(["--config", config]);
            let Ran { code, out, err } = ran(&mut run_by(by, &command));
            let status = if words == "run" { 78 } else { 1 };
            assert_eq!((code, out.as_str()), (Some(status), ""), "{words}: {err}");
            err
        };
        let err = told(&ANYBODY, "hubdns.toml");
        assert!(err.contains("cannot read hubdns.toml: Permission denied"), "{words}: {err}");
        assert!(err.contains("run this as root") && !err.contains("give "), "{words}: {err}");
        let err = told(&["env"], ".");
        assert!(err.contains("cannot read .: Is a directory"), "{words}: {err}");
        assert!(err.contains("such as ./hubdns.toml"), "{words}: {err}");
    }
    let checked =
        ran(run_by(&ANYBODY, hubdns(folder.path()).args(["check", "--config", "hubdns.toml"]))
            .args(["--format", "json"]));
    let document: Value = serde_json::from_str(&checked.out).unwrap();
    let help = document["problems"][0]["help"][0].as_str().unwrap();
    assert!(help.starts_with("run this as root"), "{document}");
    fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
    let Ran { err, .. } = ran(hubdns(folder.path()).args(["check", "--config", "binary"]));
    assert!(err.contains("in UTF-8"), "{err}");
}

#[test]
fn a_state_file_that_cannot_be_kept_or_read_again_is_a_doubt() {
    let folder = TempDir::new().unwrap();
    let checked = |by: &[&str], state_file: &Path| {
        let place = format!("state_file = \"{}\"", state_file.display());
        let text = listening_on("127.0.0.1:0").replace("state_file = \"\"", &place);
        fs::write(folder.path().join("hubdns.toml"), text).unwrap();
        let mut command = hubdns(folder.path());
        command.args(["check", "--config", "hubdns.toml"]);
        let Ran { code, err, .. } = ran(&mut run_by(by, &command));
        // A daemon runs all the same.
        assert_eq!(code, Some(0), "{err}");
        let mut elsewhere = hubdns(folder.path());
        elsewhere.args(["check", "--elsewhere", "--config", "hubdns.toml"]);
        assert_eq!(ran(&mut elsewhere).err.matches("state file").count(), 0);
        err
    };
    let (kept, file) = (folder.path().join("kept"), folder.path().join("kept/inventory.json"));
    let cannot =
        |why: &str| format!("warning: the state file {} cannot be written: {why}", file.display());
    let err = checked(&["env"], &file);
    assert!(err.contains(&cannot("No such file or directory")), "{err}");
    assert!(err.contains("hubdns.toml:12:14\n") && err.contains("make the folder"), "{err}");
    fs::write(&kept, "").unwrap();
    let err = checked(&["env"], &file);
    assert!(
        err.contains(&cannot("Not a directory")) || err.contains(&cannot("not a directory")),
        "{err}"
    );
    fs::remove_file(&kept).unwrap();
    fs::create_dir_all(&file).unwrap();
    let err = checked(&["env"], &file);
    assert!(err.contains(&cannot("is a directory")), "{err}");
    fs::remove_dir(&file).unwrap();
    assert_eq!(checked(&["env"], &file).matches("state file").count(), 0);
    assert_eq!(checked(&ANYBODY, &file).matches("state file").count(), 0);
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o500)).unwrap();
    let err = checked(&ANYBODY, &file);
    assert!(err.contains(&cannot("Permission denied")) && err.contains("sudo -u hubdns"), "{err}");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o700)).unwrap();
    for (text, mode, told, next) in [
        ("{}", 0o600, "is corrupt", "the next look at the sources replaces it"),
        ("{}", 0o000, "cannot read the state file", "sudo -u hubdns"),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let err = checked(&ANYBODY, &file);
        assert!(err.contains(told) && err.contains(next), "{err}");
        assert!(err.contains("a start without AWS would have nothing to answer from"), "{err}");
    }
    // systemd makes that of the unit at a start, and lets nobody in.
    let of_unit = checked(&["env"], Path::new("/var/lib/hubdns/inventory.json"));
    assert!(Path::new("/var/lib/hubdns").exists() || !of_unit.contains("state file"), "{of_unit}");
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
    is_good(&ran(&mut daemon.command("check")));
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
pub(crate) const ANYBODY: [&str; 3] =
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];

/// The same command, run by another: `["script", ...]`.
pub(crate) fn run_by(words: &[&str], command: &Command) -> Command {
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
    // Wrong in the file, and wrong on this machine.
    let address = "listen = [\"127.0.0.1:";
    for (from, to, key) in [
        ("interval_secs = 5", "interval_secs = 0", "refresh.interval_secs"),
        (address, "listen = [\"192.0.2.1:", "server.listen"),
    ] {
        assert!(text.contains(from), "{text}");
        fs::write(daemon.dir().join("hubdns.toml"), text.replacen(from, to, 1)).unwrap();
        let Ran { code, err, .. } = ran(&mut run_by(&ANYBODY, &daemon.command("check")));
        assert_eq!((code, err.matches("error: ").count()), (Some(1), 1), "{err}");
        assert_eq!(err.matches("\n\nwarning: ").count(), 1, "{err}");
        assert!(err.contains("no address in use was looked at"), "{err}");
        let mut command = run_by(&ANYBODY, &daemon.command("check --format json"));
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
    is_good(&check(&["--elsewhere"]));
}

#[test]
fn check_online_asks_every_source_and_upstream() {
    let (double, mut unbound) = (Ec2Double::start(), Unbound::start());
    small_hub(&double);
    let daemon = Hubdns::start(&(source(&double) + &upstream(&unbound)));
    let Ran { code, err, .. } = ran(&mut daemon.command("check --online"));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("source hub: 1 endpoint, 1 service, 2 interfaces"), "{err}");
    assert!(err.contains(&format!("upstream {}: answers (NOERROR)", unbound.address())), "{err}");
    unbound.stop();
    double.fault(json!({ "action": "DescribeVpcEndpoints", "kind": "error", "times": 0,
        "status": 403, "code": "UnauthorizedOperation" }));
    let Ran { code, err, .. } = ran(&mut daemon.command("check --online"));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("ec2:DescribeVpcEndpoints"), "{err}");
    assert!(!err.contains("answers ("), "{err}");
}
