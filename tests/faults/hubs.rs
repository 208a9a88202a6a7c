//! Three hubs behind a real unbound, one of which is killed, cut off, and drained: `hubs.sh`.

use std::{process::Command, time::Duration};

use tempfile::TempDir;

use crate::{
    book,
    support::{Figures, Process},
};

/// It takes half a minute on a quiet machine. Past this `timeout` stops it, and it still cleans up
/// behind itself.
const SCRIPT_LIMIT_SECS: u64 = 120;
/// What cleaning up may take, and then `timeout` kills it.
const CLEAN_UP_SECS: u64 = 20;
/// Of so many questions one may be lost: a resolver that waits for a hub that is silent may come to
/// ask the next one when its own client has given up. Which it asks first is chance.
const LOST_OF: usize = 100;
/// Lines that it prints.
const FAULTS: usize = 6;

#[test]
fn of_three_hubs_one_may_be_killed_cut_off_or_drained() {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new("timeout");
    command
        // In our process group, so that whoever stops the test runner stops the script as well.
        .args(["--foreground", &format!("--kill-after={CLEAN_UP_SECS}")])
        .arg(SCRIPT_LIMIT_SECS.to_string())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/hubs.sh"))
        .env("HUBDNS", env!("CARGO_BIN_EXE_hubdns"));
    let mut script = Process::spawn("hubs", &mut command, dir.path());
    let status = script.wait(Duration::from_secs(SCRIPT_LIMIT_SECS + 2 * CLEAN_UP_SECS));
    assert!(status.success(), "{status}; what it said is below");
    let said = script.stdout();
    let mut faults = 0;
    for line in said.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [fault, sent, wrong, failed, lost, recovered, worst] = cells[..] else {
            panic!("{line}")
        };
        let [sent, wrong, failed, lost] = [sent, wrong, failed, lost].map(|it| it.parse().unwrap());
        let [recovered, worst] =
            [recovered, worst].map(|it| Duration::from_secs_f64(it.parse().unwrap()));
        let figures = Figures { sent, wrong, failed, lost, worst, ..Figures::default() };
        book(fault, &figures, recovered);
        assert!(300 < sent, "{line}");
        assert_eq!((wrong, failed), (0, 0), "{line}");
        assert!(lost * LOST_OF <= sent, "{line}");
        faults += 1;
    }
    assert_eq!(faults, FAULTS, "{said}");
}
