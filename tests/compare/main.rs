//! 20,000 questions to hubdns and to unbound, both forwarding to the same named. Where they differ,
//! `docs/COMPARISON.md` has a class with its reason, or the test fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod class;
mod question;
mod reply;
#[path = "../support/mod.rs"]
mod support;
mod zones;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
};

use crate::{
    class::{CLASSES, differences},
    question::questions,
    reply::ask_all,
    support::{Hubdns, Named, Resolver, daemon},
};

const DOCUMENT: &str = include_str!("../../docs/COMPARISON.md");
const QUESTIONS: usize = 20_000;
const SEED: u64 = 4_711;
/// A fault that is in one answer is often in a thousand.
const FAULTS_SHOWN: usize = 20;

#[test]
fn hubdns_answers_as_unbound_does_but_for_what_is_listed() {
    let upstream = Named::start(&zones::zones());
    let hubdns = hubdns(upstream.address());
    let unbound = Resolver::start("unbound", |dir, port| unbound(upstream.address(), dir, port));
    let questions = questions(QUESTIONS, SEED);
    let (ours, theirs) = thread::scope(|scope| {
        let ours = scope.spawn(|| ask_all(hubdns.dns(), &questions));
        let theirs = scope.spawn(|| ask_all(unbound.address(), &questions));
        (ours.join().unwrap(), theirs.join().unwrap())
    });

    let mut counts: BTreeMap<&str, usize> = CLASSES.iter().map(|class| (class.word, 0)).collect();
    let mut faults = Vec::new();
    for ((question, ours), theirs) in questions.iter().zip(&ours).zip(&theirs) {
        let mut classes = BTreeSet::new();
        for difference in differences(question, ours, theirs) {
            match difference.class() {
                Some(word) => drop(classes.insert(word)),
                None => faults.push(difference.to_string()),
            }
        }
        classes.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    println!("of {QUESTIONS} answers these differ: {counts:?}");
    let shown = faults.iter().take(FAULTS_SHOWN).map(String::as_str).collect::<Vec<_>>();
    assert!(faults.is_empty(), "{} are not listed:\n{}", faults.len(), shown.join("\n"));
    let unseen: Vec<_> = counts.iter().filter(|(_, count)| **count == 0).collect();
    assert!(unseen.is_empty(), "listed, and not so any more: {unseen:?}");
}

#[test]
fn the_document_lists_the_classes_of_the_test() {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let known: Vec<&str> = CLASSES.iter().map(|class| class.word).collect();
    assert_eq!(listed, known);
}

/// The names of its hub are none of those that are asked for.
fn hubdns(upstream: SocketAddr) -> Hubdns {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
    Hubdns::start(&format!(
        "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{folder}\"\n\
         [forward]\nupstreams = [\"{upstream}\"]\n"
    ))
}

/// With its defaults, forwarding, and without validation.
fn unbound(upstream: SocketAddr, dir: &Path, port: u16) -> Command {
    let (ip, upstream) = (upstream.ip(), upstream.port());
    let config = format!(
        "server:\ninterface: 127.0.0.1\nport: {port}\ndo-daemonize: no\nusername: \"\"\n\
         chroot: \"\"\npidfile: \"\"\ndirectory: \"{dir}\"\nuse-syslog: no\n\
         module-config: \"iterator\"\ndo-not-query-localhost: no\n\
         remote-control:\ncontrol-enable: no\n\
         forward-zone:\nname: \".\"\nforward-addr: {ip}@{upstream}\n",
        dir = dir.display()
    );
    fs::write(dir.join("unbound.conf"), config).unwrap();
    let mut command = daemon("unbound");
    command.args(["-d", "-c"]).arg(dir.join("unbound.conf"));
    command
}
