//! The fault book's injections: the daemon's binary while something around it breaks for real, and
//! clients that ask all the while. docs/FAULTS.md is the book; `tests/faults.sh` runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aws;
mod clock;
mod disk;
mod hubs;
mod process;
mod senders;
#[path = "../support/mod.rs"]
mod support;
mod upstreams;
mod zones;

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    Clients, Figures, Fixed, Hubdns, Recorded, Recording, Unbound, eventually, name_of,
};

/// For what happens at once on a quiet machine.
const SOON: Duration = Duration::from_secs(15);
/// Questions a second by UDP; by TCP a tenth of it. Little enough for four tests at once.
const RATE: u32 = 200;
/// A fault lasts so long at least, and the quiet before and after it.
const WHILE: Duration = Duration::from_millis(1_200);

/// An endpoint in three zones, whose addresses tell which version of it this is.
fn version(at: u8) -> Vec<Recorded> {
    let addresses = (1..=3).map(|zone| Ipv4Addr::new(10, 0, zone, at)).collect();
    vec![("sqs".to_owned(), addresses)]
}

/// The name of it.
fn sqs() -> String {
    name_of("sqs")
}

/// Questions for an endpoint of this version, and for a name that an upstream has told.
fn truth(at: u8, upstream: Option<&Unbound>) -> Arc<Fixed> {
    let (_, addresses) = version(at).remove(0);
    let mut names = vec![(sqs(), addresses)];
    if upstream.is_some() {
        names.push(("www.corp.example".to_owned(), vec![Ipv4Addr::new(192, 0, 2, 80)]));
    }
    Arc::new(Fixed(names))
}

fn forward(unbound: &Unbound) -> String {
    format!("[forward]\nupstreams = [\"{}\"]\n", unbound.address())
}

/// Has the clients ask before, during and after a fault, and tells what became of it.
fn asked_while(server: SocketAddr, truth: Arc<Fixed>, fault: impl FnOnce()) -> (Figures, Duration) {
    let clients = Clients::start(server, truth, RATE);
    thread::sleep(WHILE);
    let began = Instant::now();
    fault();
    thread::sleep(WHILE);
    let figures = clients.end();
    let recovered = figures.recovered(began);
    (figures, recovered)
}

/// Writes a line of the book's table, and shows it.
#[expect(clippy::print_stderr, reason = "figures for whoever runs the test with its output")]
fn book(fault: &str, figures: &Figures, recovered: Duration) {
    let Figures { sent, wrong, failed, lost, worst, .. } = figures;
    let line = format!(
        "{fault}\t{sent}\t{wrong}\t{failed}\t{lost}\t{:.1}\t{:.3}\n",
        recovered.as_secs_f64(),
        worst.as_secs_f64()
    );
    eprint!("measured: {line}");
    if let Some(path) = env::var_os("HUBDNS_FAULT_BOOK") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        // In one piece: other tests write too.
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Writes the line, and looks that no question had another end than its right answer.
#[track_caller]
fn nothing_lost(fault: &str, (figures, recovered): (Figures, Duration)) {
    book(fault, &figures, recovered);
    let Figures { sent, wrong, failed, lost, examples, .. } = figures;
    assert!(usize::try_from(RATE).unwrap() < sent, "{fault}: {sent} questions alone");
    assert_eq!((wrong, failed, lost), (0, 0, 0), "{fault}: of {sent}: {examples:?}");
}

/// Puts a version in force by the order of a person, who is told when it is.
#[track_caller]
fn publish(daemon: &Hubdns, recording: &Recording, at: u8) {
    recording.write_addresses(&version(at));
    let ran = daemon.command("refresh").output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[track_caller]
fn await_version(daemon: &Hubdns, at: u8) {
    let (_, addresses) = version(at).remove(0);
    let expected: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
    eventually(&format!("version {at} is answered"), SOON, || {
        (daemon.dig(&format!("{} A", sqs())).data("A") == expected).then_some(())
    });
}

#[track_caller]
fn await_metric(daemon: &Hubdns, sample: &str, least: f64) {
    eventually(&format!("{sample} is {least}"), SOON, || {
        daemon.metric(sample).filter(|value| least <= *value)
    });
}

/// Lines of the log that have this text.
fn lines_with(daemon: &Hubdns, text: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(text)).count()
}
