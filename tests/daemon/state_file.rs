//! The last good file: kept for us alone, whole at any moment, and never trusted blindly.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, thread, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    SOON, SQS, await_answer, await_metric,
    commands::{Ran, ran},
    lines_with, nudge, recorded, small_hub, source, status,
    support::{Ec2Double, Hubdns, eventually},
};

fn errors(operation: &str) -> String {
    format!("hubdns_state_file_errors_total{{operation=\"{operation}\"}}")
}

/// A daemon that keeps its file there.
fn start_on(double: &Ec2Double, path: &Path) -> Hubdns {
    let refresh = format!("[refresh]\ninterval_secs = 5\nstate_file = \"{}\"\n", path.display());
    Hubdns::start(&(source(double) + &refresh))
}

/// The file, when it is one that can be used: it is written beside the answers, not before them.
#[track_caller]
fn whole(path: &Path) -> String {
    eventually("a whole state file", SOON, || {
        let text = fs::read_to_string(path).ok()?;
        let written: Value = serde_json::from_str(&text).ok()?;
        (written["version"] == 1).then_some(text)
    })
}

#[test]
fn a_file_that_cannot_be_used_is_told_once_and_replaced() {
    let double = Ec2Double::start();
    small_hub(&double);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("inventory.json");
    let first = start_on(&double, &path);
    let good = whole(&path);
    drop(first);
    for (spoiled, why) in [
        ("{\"format\": \"hub".to_owned(), "is corrupt"),
        (String::new(), "is corrupt"),
        (good[..good.len() / 2].to_owned(), "is corrupt"),
        (good.replace("10.0.1.10", "10.0.1.66"), "its checksum does not match"),
        (good.replace("\"version\":1", "\"version\":0"), "has version 0, this hubdns knows 1"),
    ] {
        assert_ne!(spoiled, good);
        fs::write(&path, spoiled).unwrap();
        let daemon = start_on(&double, &path);
        assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
        assert_eq!(daemon.metric(&errors("read")), Some(1.0), "{why}");
        let told = lines_with(&daemon, "the state file cannot be used");
        assert!(told.len() == 1 && told[0].contains(why), "{told:?}");
        eventually("the file is replaced", SOON, || {
            (whole(&path).contains("10.0.1.10")).then_some(())
        });
        assert_eq!(daemon.metric(&errors("write")), Some(0.0), "{why}");
    }
}

#[test]
fn a_place_that_holds_no_file_is_told_once_and_worked_around() {
    let double = Ec2Double::start();
    small_hub(&double);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("directory")).unwrap();
    fs::write(folder.path().join("directory/child"), "").unwrap();
    for place in ["directory", "file/inventory.json"] {
        let mut daemon = start_on(&double, &folder.path().join(place));
        assert_eq!(daemon.dig(&format!("{SQS} A")).data("A"), ["10.0.1.10", "10.0.2.10"]);
        assert_eq!(daemon.metric(&errors("read")), Some(1.0), "{place}: {}", daemon.log());
        await_metric(&daemon, &errors("write"), 1.0);
        // Every round tries, and only the first failure is a line.
        nudge(&mut daemon);
        await_metric(&daemon, &errors("write"), 2.0);
        let told = lines_with(&daemon, "the state file cannot be");
        assert_eq!(told.len(), 2, "{place}: {told:#?}");
        assert!(told.iter().all(|line| line.contains(place)), "{told:#?}");
        assert_eq!(daemon.get("/readyz").0, 200);
        // A person sees it, with when it began.
        let unkept = |daemon: &Hubdns| status(daemon)["unkept"].clone();
        let error = unkept(&daemon)["error"].as_str().unwrap().to_owned();
        assert!(
            error.starts_with("cannot write the state file ") && error.contains(place),
            "{error}"
        );
        let Ran { code, out, .. } = ran(&mut daemon.command("status"));
        assert!(code == Some(0) && out.contains(&format!("\ndisk       {error}, first ")), "{out}");
        let page = daemon.get("/").1;
        assert!(
            page.contains("What is known is not on disk for a start without AWS: cannot write")
        );
        let there = folder.path().join(place);
        match place {
            "directory" => fs::remove_dir_all(&there).unwrap(),
            _ => {
                fs::remove_file(folder.path().join("file")).unwrap();
                fs::create_dir(folder.path().join("file")).unwrap();
            }
        }
        nudge(&mut daemon);
        eventually("it is told no more", SOON, || unkept(&daemon).is_null().then_some(()));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_until_it_is_written() {
    let nobody = ([127, 0, 0, 1], crate::support::free_port()).into();
    let config = crate::source_at(nobody);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("inventory.json");
    fs::write(&path, "{").unwrap();
    let refresh = format!("[refresh]\ninterval_secs = 5\nstate_file = \"{}\"\n", path.display());
    let daemon = Hubdns::spawn(&(config + &refresh), &[]);
    let told = eventually("it answers", SOON, || {
        let Ran { out, .. } = ran(&mut daemon.command("status"));
        out.contains("\ndisk ").then_some(out)
    });
    assert!(told.contains("disk       the state file ") && told.contains("is corrupt: "), "{told}");
}

#[test]
fn a_configuration_that_keeps_nothing_has_nothing_to_tell() {
    let folder = TempDir::new().unwrap();
    let refresh = |path: &str| format!("[refresh]\ninterval_secs = 5\nstate_file = \"{path}\"\n");
    let nowhere = folder.path().join("none/inventory.json").display().to_string();
    let mut daemon = Hubdns::start(&(recorded() + &refresh(&nowhere)));
    let unkept = |daemon: &Hubdns| status(daemon)["unkept"].clone();
    eventually("it is told", SOON, || unkept(&daemon).is_object().then_some(()));
    daemon.write_config(&(recorded() + &refresh("")));
    assert_eq!(ran(&mut daemon.command("reload")).code, Some(0));
    eventually("nothing is", SOON, || unkept(&daemon).is_null().then_some(()));
}

#[test]
fn a_kill_in_the_middle_of_refreshing_leaves_a_whole_file() {
    let double = Ec2Double::start();
    let sqs = small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    let path = daemon.dir().join("inventory.json");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    whole(&path);
    for at in 0..6_u64 {
        assert_eq!(mode(&path), 0o600);
        let new = json!({ "a": format!("10.0.1.{}", 20 + at), "b": format!("10.0.2.{}", 20 + at) });
        double.replace_addresses(&sqs.id, new);
        nudge(&mut daemon);
        // A round takes about this long: the kill hits another part of it each time.
        thread::sleep(Duration::from_millis(10 * at * at));
        daemon.process().kill();
        let text = fs::read_to_string(&path).unwrap();
        let written: Value = serde_json::from_str(&text).expect("a whole file");
        assert_eq!(written["version"], 1);
        // It is good enough to start from, whatever the kill left beside it.
        double.clear();
        double.fault(json!({ "action": "*", "kind": "error", "status": 403, "times": 0,
            "code": "UnauthorizedOperation" }));
        daemon.start_again();
        assert_eq!(status(&daemon)["sources"][0]["from_state_file"], true);
        assert_eq!(daemon.metric(&errors("read")), Some(0.0));
        double.clear();
    }
    await_answer(&daemon, SQS, &["10.0.1.25", "10.0.2.25"], SOON);
    eventually("the new addresses are kept", SOON, || {
        fs::read_to_string(&path).unwrap().contains("10.0.1.25").then_some(())
    });
    let names = fs::read_dir(daemon.dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let beside: Vec<_> =
        names.filter(|name| name.to_string_lossy().contains("inventory.json")).collect();
    assert_eq!(beside.len(), 1, "left over: {beside:?}");
}
