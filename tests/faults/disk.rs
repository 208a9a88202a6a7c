//! The disk of the state file is full, read-only, broken or slow, or the daemon is killed at any step of
//! writing to it. Each disk is one of the daemon's own, in its own mount namespace.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    SOON, asked_while, await_metric, await_version, lines_with, nothing_lost, publish,
    support::{Hubdns, Process, Recording, eventually},
    truth, version,
};

const WRITE_ERRORS: &str = "hubdns_state_file_errors_total{operation=\"write\"}";
/// The folder of the state file is a file system of 64k, for this process alone.
const SMALL_DISK: [&str; 5] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mkdir -p {dir}/state && mount -t tmpfs -o size=64k tmpfs {dir}/state && exec \"$0\" \"$@\"",
];
const ON_DISK: &str = "[refresh]\ninterval_secs = 5\nstate_file = \"{dir}/state/inventory.json\"\n";

/// A folder of the daemon's as the daemon sees it.
fn seen(daemon: &mut Hubdns, file: &str) -> PathBuf {
    let (id, dir) = (daemon.process().id(), daemon.dir().display().to_string());
    PathBuf::from(format!("/proc/{id}/root{dir}/{file}"))
}

fn start_on_small_disk(recording: &Recording) -> Hubdns {
    Hubdns::start_within(&SMALL_DISK, &(recording.source() + ON_DISK), &[])
}

/// What is in the state file.
fn kept(daemon: &mut Hubdns) -> String {
    fs::read_to_string(seen(daemon, "state/inventory.json")).unwrap_or_default()
}

/// Has a version put in force while the disk does not take it, and looks that it is told once, and kept
/// when the disk takes it again.
fn goes_on(
    fault: &str,
    daemon: &mut Hubdns,
    recording: &Recording,
    mend: impl FnOnce(&mut Hubdns),
) {
    let before = daemon.metric(WRITE_ERRORS).unwrap();
    publish(daemon, recording, 2);
    let asked = asked_while(daemon.dns(), truth(2, None), || {
        await_metric(daemon, WRITE_ERRORS, before + 1.0);
    });
    nothing_lost(fault, asked);
    assert_eq!(daemon.get("/readyz").0, 200);
    let again = daemon.command("refresh").output().unwrap();
    assert!(again.status.success(), "{again:?}");
    await_metric(daemon, WRITE_ERRORS, before + 2.0);
    assert_eq!(lines_with(daemon, "the state file cannot be"), 1, "{}", daemon.log());
    assert!(!kept(daemon).contains("10.0.1.2\""));
    mend(daemon);
    eventually("what is in force is kept", SOON, || {
        kept(daemon).contains("10.0.1.2\"").then_some(())
    });
}

#[test]
fn a_full_disk_costs_no_answer_and_is_written_when_it_has_room() {
    let recording = Recording::new(&version(1));
    let mut daemon = start_on_small_disk(&recording);
    eventually("a first file", SOON, || (!kept(&mut daemon).is_empty()).then_some(()));
    let filler = seen(&mut daemon, "state/filler");
    let full = fs::write(&filler, vec![0; 128 * 1024]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    goes_on("the disk is full", &mut daemon, &recording, |_| fs::remove_file(filler).unwrap());
}

#[test]
fn a_disk_that_turns_read_only_costs_no_answer_and_is_written_when_it_can_be() {
    let recording = Recording::new(&version(1));
    let mut daemon = start_on_small_disk(&recording);
    eventually("a first file", SOON, || (!kept(&mut daemon).is_empty()).then_some(()));
    let remount = |daemon: &mut Hubdns, how: &str| {
        let (id, dir) = (daemon.process().id(), daemon.dir().join("state"));
        let done = Command::new("nsenter")
            .args(["--mount", "--target", &id.to_string(), "mount", "-o"])
            .arg(format!("remount,{how},size=64k"))
            .arg(dir)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    remount(&mut daemon, "ro");
    goes_on("the disk turns read-only", &mut daemon, &recording, |daemon| remount(daemon, "rw"));
}

/// The real strace at a running daemon, which does something to one of its calls, in each of its threads,
/// for as long as this lives.
struct Injected {
    _strace: Process,
    _dir: TempDir,
}

// === impl Injected ===

impl Injected {
    /// `fsync:error=EIO`.
    fn new(daemon: &mut Hubdns, what: &str) -> Self {
        let (dir, id) = (TempDir::new().unwrap(), daemon.process().id());
        let (call, _) = what.split_once(':').unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-q", "-o", "/dev/null", "-p", &id.to_string()]);
        command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={what}")]);
        let strace = Process::spawn("strace", &mut command, dir.path());
        eventually("strace has each thread", SOON, || {
            let threads = fs::read_dir(format!("/proc/{id}/task")).unwrap();
            let mut states =
                threads.map(|it| fs::read_to_string(it.unwrap().path().join("status")));
            states
                .all(|state| state.is_ok_and(|state| !state.contains("TracerPid:\t0\n")))
                .then_some(())
        });
        Self { _strace: strace, _dir: dir }
    }
}

#[test]
fn a_disk_that_fails_to_sync_costs_no_answer_and_no_good_file() {
    let recording = Recording::new(&version(1));
    let mut daemon = start_on_small_disk(&recording);
    eventually("a first file", SOON, || (!kept(&mut daemon).is_empty()).then_some(()));
    let broken = Injected::new(&mut daemon, "fsync:error=EIO");
    goes_on("the disk fails to sync", &mut daemon, &recording, |daemon| {
        let kept: Value = serde_json::from_str(&kept(daemon)).expect("a whole file");
        assert_eq!(kept["version"], 1);
        drop(broken);
    });
}

#[test]
fn a_disk_that_hangs_holds_up_no_answer_and_no_change() {
    let recording = Recording::new(&version(1));
    let mut daemon = start_on_small_disk(&recording);
    eventually("a first file", SOON, || (!kept(&mut daemon).is_empty()).then_some(()));
    let hang = Duration::from_secs(60);
    let slow = Injected::new(&mut daemon, &format!("fsync:delay_enter={}", hang.as_micros()));
    let began = Instant::now();
    publish(&daemon, &recording, 2);
    await_version(&daemon, 2);
    let took = began.elapsed();
    let asked = asked_while(daemon.dns(), truth(2, None), || {
        await_metric(&daemon, WRITE_ERRORS, 1.0);
    });
    nothing_lost("the disk hangs", asked);
    assert!(took < hang, "the change waited {took:?} for the disk");
    assert!(!kept(&mut daemon).contains("10.0.1.2\""), "it does not hang");
    assert_eq!(lines_with(&daemon, "the state file's disk hangs"), 1, "{}", daemon.log());
    drop(slow);
    eventually("what is in force is kept", SOON, || {
        kept(&mut daemon).contains("10.0.1.2\"").then_some(())
    });
}

#[test]
fn a_kill_at_any_step_of_writing_leaves_a_whole_file() {
    // Of the file that is written then: its own sync, its name, and its folder's sync.
    for (what, step) in [
        ("its sync", "fsync:signal=KILL"),
        ("its renaming", "/^rename:signal=KILL"),
        ("its folder's sync", "fsync:signal=KILL:when=2"),
    ] {
        let recording = Recording::new(&version(1));
        let mut daemon = Hubdns::start(&recording.source());
        let path = daemon.dir().join("inventory.json");
        eventually("a first file", SOON, || fs::read_to_string(&path).ok());
        let _deadly = Injected::new(&mut daemon, step);
        recording.write_addresses(&version(2));
        // The command loses the daemon that it waits for, or is told before that dies.
        daemon.command("refresh").output().unwrap();
        daemon.process().wait(SOON);
        let text = fs::read_to_string(&path).unwrap();
        let kept: Value = serde_json::from_str(&text).expect("a whole file");
        assert_eq!(kept["version"], 1, "{step}");
        assert!(text.contains("10.0.1.1\"") || text.contains("10.0.1.2\""), "{step}: {text}");
        // The next start has it, and clears what lies beside it.
        let began = Instant::now();
        daemon.start_again();
        let took = began.elapsed();
        await_version(&daemon, 2);
        nothing_lost(&format!("killed while writing, at {what}"), {
            let (figures, _) = asked_while(daemon.dns(), truth(2, None), || ());
            (figures, took)
        });
        assert_eq!(daemon.metric("hubdns_state_file_errors_total{operation=\"read\"}"), Some(0.0));
        let names = fs::read_dir(daemon.dir()).unwrap().map(|entry| entry.unwrap().file_name());
        let beside: Vec<_> =
            names.filter(|name| name.to_string_lossy().starts_with("inventory.json")).collect();
        assert_eq!(beside.len(), 1, "{step}: left over: {beside:?}");
    }
}
