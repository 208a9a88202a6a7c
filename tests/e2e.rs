//! A client in a spoke that knows nothing of hubdns, in network namespaces: `tests/e2e/spoke.sh`.

mod support;

use std::{process::Command, time::Duration};

use tempfile::TempDir;

use crate::support::{Process, venv};

/// It takes a quarter of a minute on a quiet machine. Past this `timeout` stops it, and it still
/// cleans up behind itself.
const SCRIPT_LIMIT_SECS: u64 = 150;
/// What cleaning up may take, and then `timeout` kills it.
const CLEAN_UP_SECS: u64 = 20;

#[test]
fn an_unmodified_client_in_a_spoke_reaches_the_endpoint_before_and_after_a_change() {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new("timeout");
    command
        // In our process group, so that whoever stops the test runner stops the script as well.
        .args(["--foreground", &format!("--kill-after={CLEAN_UP_SECS}")])
        .arg(SCRIPT_LIMIT_SECS.to_string())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/spoke.sh"))
        .env("HUBDNS", env!("CARGO_BIN_EXE_hubdns"))
        .env("VENV", venv());
    let mut script = Process::spawn("spoke", &mut command, dir.path());
    let limit = Duration::from_secs(SCRIPT_LIMIT_SECS + 2 * CLEAN_UP_SECS);
    let status = script.wait(limit);
    assert!(status.success(), "{status}; what it said is below");
    println!("{}", script.stdout());
}
