//! The tests' own ground, tested. Nothing here runs the daemon.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dns;
mod double;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::support::{Process, eventually, free_port};

#[test]
fn a_guard_takes_its_child_with_it() {
    let dir = TempDir::new().unwrap();
    let sleep = Process::spawn("sleep", Command::new("sleep").arg("600"), dir.path());
    let proc = format!("/proc/{}", sleep.id());
    assert!(fs::exists(&proc).unwrap());
    drop(sleep);
    assert!(!fs::exists(&proc).unwrap());
}

#[test]
#[should_panic(expected = "not within 20ms: pigs fly")]
fn waiting_has_an_end() {
    eventually("pigs fly", Duration::from_millis(20), || None::<()>);
}

#[test]
fn a_free_port_is_free_for_both() {
    let port = free_port();
    TcpListener::bind(("127.0.0.1", port)).unwrap();
    UdpSocket::bind(("127.0.0.1", port)).unwrap();
}
