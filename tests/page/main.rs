//! The page and the JSON API from outside: a real browser looks at it, and schemathesis asks whatever
//! the description allows and what it does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
#[cfg(feature = "ec2")]
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Hubdns, Process, Recording, Unbound, eventually, free_port, http_get, hubdns, loopback_env,
    venv,
};

/// A browser starts, and is patient with a machine that has other work.
const BROWSED_WITHIN: Duration = Duration::from_secs(150);
/// Some hundred requests.
const ASKED_WITHIN: Duration = Duration::from_secs(150);
const SOON: Duration = Duration::from_secs(30);

/// The recorded hub inside the binary.
struct Demo {
    admin: SocketAddr,
    _process: Process,
    home: TempDir,
}

// === impl Demo ===

impl Demo {
    fn start() -> Self {
        let home = TempDir::new().unwrap();
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut command = hubdns(home.path());
        command.args(["demo", "--listen", &format!("127.0.0.1:{}", free_port())]);
        command.args(["--admin", &admin.to_string()]);
        let process = Process::spawn("demo", &mut command, home.path());
        eventually("the demo welcomes", SOON, || process.stdout().contains("Ctrl-C").then_some(()));
        Self { admin, _process: process, home }
    }
}

/// What upstreams have of AWS, as the internet has it.
const PUBLIC: &[(&str, &str)] = &[(
    "amazonaws.com",
    "sts.eu-west-2 60 A 198.51.100.1\n\
     eu-west-1.queue 60 A 198.51.100.2\n\
     abc123.execute-api.eu-west-1 60 A 198.51.100.3\n\
     db.abc.eu-west-1.rds 60 A 198.51.100.4\n",
)];

/// The recorded hub, with views, and clients who asked it this and that.
fn lived_in(upstream: &Unbound) -> Hubdns {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/discover/demo");
    let daemon = Hubdns::start(&format!(
        "[[source]]\nname = \"demo\"\nkind = \"files\"\npath = \"{folder}\"\n\
         [[view]]\nname = \"onprem\"\nclients = [\"192.168.0.0/16\"]\ndeny = [\"s3\"]\n\
         [forward]\nupstreams = [\"{}\"]\n\
         [[forward.zone]]\nname = \"corp.example\"\nupstreams = [\"127.0.0.1:9\"]\n",
        upstream.address()
    ));
    for name in
        ["abc123.execute-api.eu-west-1", "db.abc.eu-west-1.rds", "sts.eu-west-2", "eu-west-1.queue"]
    {
        let answer = daemon.dig(&format!("{name}.amazonaws.com A"));
        assert_eq!(answer.data("A").len(), 1, "{}", answer.raw);
    }
    daemon
}

/// Beside the Python environment: what `tests/setup.sh` makes.
fn beside(path: &str) -> PathBuf {
    let there = venv().parent().unwrap().join(path);
    assert!(there.exists(), "{} is missing: tests/setup.sh makes it", there.display());
    there
}

/// Where screenshots are left for whoever wants to look.
fn screenshots() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&target).unwrap();
    target
}

/// A browser that looks at these things, not waited for.
fn browse(cases: &str, admin: SocketAddr, home: &Path, expected: &str) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/browser.js");
    let mut node = Command::new("node");
    loopback_env(&mut node, home);
    node.env("NODE_PATH", beside("browser/node_modules")).arg(script).arg(cases);
    node.arg(format!("http://{admin}")).arg(screenshots()).arg(expected);
    Process::spawn("browser", &mut node, home)
}

#[track_caller]
fn browsed(cases: &str, admin: SocketAddr, home: &Path, expected: &str) {
    ends_well(browse(cases, admin, home, expected));
}

#[test]
fn a_person_reads_it_in_light_and_dark_at_320_pixels_and_by_a_reader() {
    let unbound = Unbound::start_with(PUBLIC, "");
    let daemon = lived_in(&unbound);
    let names = ["light-1280", "dark-1280", "light-768", "light-320", "dark-320", "forced-colors"];
    let shots = names.map(|name| screenshots().join(name).with_extension("png"));
    // Those of an earlier run are no evidence.
    shots.iter().for_each(|shot| drop(fs::remove_file(shot)));
    browsed("looks", daemon.admin(), daemon.dir(), "");
    for shot in shots {
        assert!(shot.exists(), "{}", shot.display());
    }
}

#[test]
fn it_works_without_a_script_and_by_the_keyboard_alone() {
    let demo = Demo::start();
    browsed("scriptless,keyboard", demo.admin, demo.home.path(), "");
}

#[test]
fn it_explains_what_the_command_explains() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    let source = format!("[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"{folder}\"\n");
    let daemon = Hubdns::start(&source);
    let (client, listener) = ("127.0.0.1", daemon.dns().to_string());
    let mut command = daemon.command("explain sqs.eu-west-1.amazonaws.com A --format json");
    let output = command.args(["--from", client, "--listener", &listener]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let document: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(document["decision"], "answer", "{told}");
    browsed("explains", daemon.admin(), daemon.dir(), &told);
}

/// Waits until a browser says that it has seen something.
#[track_caller]
fn says(browser: &mut Process, word: &str) {
    eventually(&format!("the browser says {word}"), BROWSED_WITHIN, || {
        assert!(browser.ended().is_none(), "{}{}", browser.stdout(), browser.stderr());
        browser.stdout().lines().any(|line| line == word).then_some(())
    });
}

#[track_caller]
fn ends_well(mut browser: Process) {
    let status = browser.wait(BROWSED_WITHIN);
    assert!(status.success(), "{}{}", browser.stdout(), browser.stderr());
}

#[test]
fn an_address_that_falls_silent_or_is_drained_changes_its_word_while_one_looks() {
    // Loopback addresses of this test alone.
    let [a, b, c] = [1, 2, 3].map(|last| Ipv4Addr::new(127, 0, 79, last));
    let first = TcpListener::bind((a, 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    let listens = |ip: Ipv4Addr| TcpListener::bind((ip, port)).unwrap();
    let (second, _third) = (listens(b), listens(c));
    let hub = Recording::new(&[("sqs".to_owned(), vec![a, b]), ("kms".to_owned(), vec![c])]);
    let health = format!("[health]\nprobe = \"tcp:{port}\"\ninterval_secs = 1\n");
    let daemon = Hubdns::start(&(hub.source() + &health));
    let mut browser = browse("states", daemon.admin(), daemon.dir(), "");
    says(&mut browser, "all up");
    drop(second);
    says(&mut browser, "one down");
    drop(first);
    says(&mut browser, "both down");
    let _again = (listens(a), listens(b));
    says(&mut browser, "up again");
    let drained = daemon.command("drain-az eu-west-1a").output().unwrap();
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    says(&mut browser, "drained");
    ends_well(browser);
}

#[cfg(feature = "ec2")]
#[test]
fn the_verdict_follows_discovery_while_one_looks() {
    let mut double = support::Ec2Double::start();
    double.create_hub(json!([{ "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10" } }]));
    let mut daemon = Hubdns::start(&format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n",
        double.url()
    ));
    let mut browser = browse("verdict", daemon.admin(), daemon.dir(), "");
    says(&mut browser, "looking");
    double.fault(json!({
        "action": "DescribeVpcEndpoints", "kind": "error", "status": 403, "code": "UnauthorizedOperation",
        "times": 0,
    }));
    says(&mut browser, "seen");
    double.clear();
    says(&mut browser, "back");
    double.stop();
    says(&mut browser, "gone");
    // It hangs, and its listener takes connections all the same.
    daemon.process().signal("STOP");
    ends_well(browser);
}

/// What anybody may ask by the description is answered as it says, and what nobody may is refused.
#[test]
fn the_api_is_as_it_is_described() {
    let demo = Demo::start();
    let (status, told) = http_get(demo.admin, "/api/v1/openapi.json").unwrap();
    assert_eq!(status, 200);
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    assert_eq!(told, fs::read_to_string(committed).unwrap(), "the committed one is another");
    let mut command = Command::new(beside("schemathesis/bin/schemathesis"));
    loopback_env(&mut command, demo.home.path()).current_dir(demo.home.path());
    command.args(["run", &format!("http://{}/api/v1/openapi.json", demo.admin)]);
    command.args(["--url", &format!("http://{}", demo.admin), "--checks", "all"]);
    // The same each time: what was found once is found again.
    command.args(["--generation-deterministic", "--max-examples", "30", "--no-color"]);
    let mut schemathesis = Process::spawn("schemathesis", &mut command, demo.home.path());
    let status = schemathesis.wait(ASKED_WITHIN);
    assert!(status.success(), "{}{}", schemathesis.stdout(), schemathesis.stderr());
    let told = schemathesis.stdout();
    // All but the description itself.
    let described: Value = serde_json::from_str(&fs::read_to_string(committed).unwrap()).unwrap();
    let asked = described["paths"].as_object().unwrap().len() - 1;
    assert!(told.contains(&format!("{asked} selected / {asked} total")), "{told}");
}
