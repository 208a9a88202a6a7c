//! The page and the JSON API from outside: a real browser looks at it, and schemathesis asks whatever
//! the description allows and what it does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
#[cfg(feature = "ec2")]
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Hubdns, Process, eventually, free_port, http_get, hubdns, loopback_env, venv,
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
    let mut browser = browse(cases, admin, home, expected);
    let status = browser.wait(BROWSED_WITHIN);
    assert!(status.success(), "{}{}", browser.stdout(), browser.stderr());
}

#[test]
fn a_person_reads_it_in_light_and_dark_at_320_pixels_and_by_a_reader() {
    let demo = Demo::start();
    browsed("looks", demo.admin, demo.home.path(), "");
    let shots = fs::read_dir(screenshots()).unwrap().count();
    assert!(5 <= shots, "{shots} screenshots");
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

#[cfg(feature = "ec2")]
#[test]
fn the_verdict_follows_discovery_while_one_looks() {
    let double = support::Ec2Double::start();
    double.create_hub(json!([{ "service": "sqs", "azs": { "a": "10.0.1.10", "b": "10.0.2.10" } }]));
    let mut daemon = Hubdns::start(&format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nendpoint_url = \"{}\"\n",
        double.url()
    ));
    let mut browser = browse("verdict", daemon.admin(), daemon.dir(), "");
    let says = |browser: &mut Process, word: &str| {
        eventually(&format!("the browser says {word}"), BROWSED_WITHIN, || {
            assert!(browser.ended().is_none(), "{}{}", browser.stdout(), browser.stderr());
            browser.stdout().contains(word).then_some(())
        });
    };
    says(&mut browser, "looking");
    double.fault(json!({
        "action": "DescribeVpcEndpoints", "kind": "error", "status": 403, "code": "UnauthorizedOperation",
        "times": 0,
    }));
    says(&mut browser, "seen");
    double.clear();
    says(&mut browser, "back");
    daemon.process().kill();
    let status = browser.wait(BROWSED_WITHIN);
    assert!(status.success(), "{}{}", browser.stdout(), browser.stderr());
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
