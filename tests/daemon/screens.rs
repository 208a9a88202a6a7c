//! What a person watches in a terminal, and what packages install beside the program.

use std::{fs, process::Command, thread, time::Duration};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    SOON, SQS,
    commands::{Ran, ran},
    recorded,
    support::{Hubdns, Process, eventually, hubdns},
};

#[test]
fn top_tells_what_is_asked_while_it_looks_and_of_which_service() {
    let daemon = Hubdns::start(&recorded());
    let asking = |daemon: &Hubdns| {
        for _ in 0..40 {
            daemon.dig(&format!("{SQS} A"));
            daemon.dig("+tcp nothing.corp.example AAAA");
            thread::sleep(Duration::from_millis(25));
        }
    };
    let looked = thread::scope(|scope| {
        let text = scope.spawn(|| ran(&mut daemon.command("top --interval 1")));
        let json = scope.spawn(|| ran(&mut daemon.command("top --interval 1 --format json")));
        asking(&daemon);
        [text, json].map(|command| command.join().unwrap())
    });
    let [text, json] = looked;
    assert_eq!((text.code, json.code), (Some(0), Some(0)), "{}{}", text.err, json.err);
    for shown in ["answers a second", "com.amazonaws.eu-west-1.sqs", "SERVFAIL", "  tcp", "AAAA"] {
        assert!(text.out.contains(shown), "{shown} in\n{}", text.out);
    }
    assert!(!text.out.contains('\u{1b}'), "it is no terminal: {}", text.out);
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert!(0.0 < document["answers_per_second"].as_f64().unwrap(), "{document}");
    assert_eq!(document["by"]["aws_service"][0]["of"], "com.amazonaws.eu-west-1.sqs");
}

#[test]
fn status_that_is_watched_is_told_again_and_outlives_a_restart() {
    let mut daemon = Hubdns::start(&recorded());
    let folder = TempDir::new().unwrap();
    let mut watching =
        Process::spawn("watch", &mut daemon.command("status --watch 1"), folder.path());
    let times = |word: &str, watching: &Process| watching.stdout().matches(word).count();
    eventually("it is told twice", SOON, || (2 <= times("ready ", &watching)).then_some(()));
    assert!(daemon.terminate().success());
    let gone = "hubdns is not running";
    eventually("it says that none runs", SOON, || (1 <= times(gone, &watching)).then_some(()));
    daemon.start_again();
    let before = times("ready ", &watching);
    eventually("it is back", SOON, || (before < times("ready ", &watching)).then_some(()));
    assert!(watching.ended().is_none());
}

#[test]
fn every_order_to_a_daemon_can_be_told_as_json() {
    let daemon = Hubdns::start(&recorded());
    for (order, key) in [
        ("status", "ready"),
        ("reload", "done"),
        ("refresh", "sources"),
        ("flush", "answers"),
        ("drain-az eu-west-1a", "zone"),
        ("undrain-az eu-west-1a", "zone"),
        ("drain --for 3000", "ends_in_secs"),
        ("drain --cancel", "ends_in_secs"),
    ] {
        let Ran { code, out, err } = ran(&mut daemon.command(&format!("{order} --format json")));
        assert_eq!(code, Some(0), "{order}: {err}");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert!(document.get(key).is_some(), "{order}: {document}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command_that_man_can_show() {
    let folder = TempDir::new().unwrap();
    let mut to_folder = hubdns(folder.path());
    let Ran { code, out, err } = ran(to_folder.args(["man", "--dir", "."]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(page("hubdns.1").contains("hubdns\\-explain(1)"), "{}", page("hubdns.1"));
    assert!(page("hubdns-top.1").contains("\\-\\-interval"), "{}", page("hubdns-top.1"));
    let Ran { out, .. } = ran(hubdns(folder.path()).arg("man"));
    assert_eq!(out, page("hubdns.1"));
}

#[test]
fn completions_are_what_their_shells_can_read() {
    let folder = TempDir::new().unwrap();
    for (shell, words) in [("bash", "explain"), ("zsh", "explain"), ("fish", "explain")] {
        let Ran { code, out, err } = ran(hubdns(folder.path()).args(["completions", shell]));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{shell}");
        assert!(out.contains(words), "{shell}");
        fs::write(folder.path().join(shell), out).unwrap();
    }
    // What bash makes of it when a person has typed `hubdns expl` and asks.
    let script = "source ./bash; COMP_WORDS=(hubdns expl); COMP_CWORD=1; \
                  _hubdns hubdns expl hubdns; echo \"${COMPREPLY[*]}\"";
    let Ran { code, out, err } =
        ran(Command::new("bash").args(["-c", script]).current_dir(folder.path()));
    assert_eq!((code, out.trim()), (Some(0), "explain"), "{err}");
}
