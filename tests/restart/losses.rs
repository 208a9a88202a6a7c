//! A restart and an upgrade while clients ask: every question is answered. A crash: every question but
//! those that the process had taken out of the kernel and in its hands.

use std::{fs, thread, time::Duration};

use crate::{
    SQS, Site,
    load::{Load, Told},
};

/// Questions a second. A build without optimisation takes most of a core for 20,000, which not every
/// machine has for it.
const RATE: usize = if cfg!(debug_assertions) { 8_000 } else { 20_000 };
/// What a killed process may have in hand by UDP: a batch a thread.
const BATCH: usize = 32;
/// Between two events.
const QUIET: Duration = Duration::from_millis(1_200);
/// What was sent so long before an event may have been on its way.
const IN_HAND: Duration = Duration::from_millis(100);
/// Far above what is aimed at, 300 ms: a machine with other work starts a process late.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Carries out each of `events` while clients ask, and looks what became of the questions.
fn goes_through(mut site: Site, events: &[&'static str]) {
    site.supervisor.start_daemon();
    let load = Load::start(site.dns, SQS, RATE);
    let mut times = Vec::new();
    for (at, event) in events.iter().enumerate() {
        thread::sleep(QUIET);
        times.push((*event, load.elapsed().saturating_sub(IN_HAND)));
        match *event {
            "upgrade" => {
                let other = site.dir.path().join("hubdns-new");
                fs::copy(env!("CARGO_BIN_EXE_hubdns"), &other).unwrap();
                site.run(&other);
                site.supervisor.tell("restart");
            }
            event => site.supervisor.tell(event),
        }
        site.supervisor.await_ready(at + 2);
    }
    thread::sleep(QUIET / 2);
    judge(&times, &load.end());
}

/// Prints and judges what was told, by the event that was the last before.
#[expect(clippy::print_stderr, reason = "figures for whoever runs the test with its output")]
fn judge(events: &[(&str, Duration)], told: &Told) {
    let Told { answered, lost, wrong, connections, failed_connections, tcp_worst } = told;
    // The generator itself did what it was asked to.
    assert!(RATE <= answered.len() && 0 < *connections, "{} queries alone", answered.len());
    let nothing = Duration::ZERO;
    let starts = [("start", nothing)].into_iter().chain(events.iter().copied());
    let ends = events.iter().map(|(_, from)| *from).chain([Duration::MAX]);
    for ((event, from), to) in starts.zip(ends) {
        let is_within = |at: &Duration| (from..to).contains(at);
        let waits = answered.iter().filter(|(sent, _)| is_within(sent)).map(|(_, wait)| *wait);
        let worst = waits.max().unwrap_or_default();
        let [udp, tcp] =
            [lost, failed_connections].map(|all| all.iter().filter(|at| is_within(at)).count());
        eprintln!(
            "measured: {event} at {RATE} queries/s: worst wait {worst:.1?}, {udp} lost, {tcp} new \
             TCP connections failed"
        );
        let threads = thread::available_parallelism().unwrap().get();
        // One connection is made after the other.
        let (udp_max, tcp_max) = if event == "crash" { (BATCH * threads, 1) } else { (0, 0) };
        assert!(udp <= udp_max && tcp <= tcp_max && worst < WAIT_MAX, "after {event} at {from:?}");
    }
    let asked = answered.len() + lost.len();
    eprintln!("measured: {asked} queries, {connections} TCP connections, worst {tcp_worst:.1?}");
    assert_eq!(*wrong, 0, "wrong answers");
    assert!(*tcp_worst < WAIT_MAX, "{tcp_worst:?}");
}

#[test]
fn with_sockets_that_we_opened_a_restart_loses_nothing_and_a_crash_what_was_in_hand() {
    let events = ["restart", "restart", "crash", "crash", "upgrade", "restart"];
    goes_through(Site::new(0), &events);
}

#[test]
fn with_sockets_of_a_unit_a_restart_loses_nothing_and_a_crash_what_was_in_hand() {
    let mut site = Site::new(0);
    for kind in ["udp", "tcp"] {
        site.supervisor.make(kind, site.dns);
    }
    goes_through(site, &["restart", "crash", "upgrade", "restart"]);
}
