//! A restart and an upgrade while clients ask: every question is answered. A crash: every question but
//! those that the process had taken out of the kernel and in its hands.

use std::{
    env, fs,
    net::{SocketAddr, UdpSocket},
    process::Command,
    thread,
    time::Duration,
};

use socket2::SockRef;

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

/// Questions a second: no more than the kernel can keep for 300 ms in one socket, at the most that it
/// counts for one. Where `net.core.rmem_max` is low these are few.
fn rate() -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = SockRef::from(&socket);
    socket.set_recv_buffer_size(4 << 20).unwrap();
    let kept = socket.recv_buffer_size().unwrap() / 1_280;
    RATE.min(kept * 1_000 / 300)
}

/// Has each of `events` carried out while clients ask, and looks what became of the questions.
fn goes_through(server: SocketAddr, events: &[&'static str], mut carry_out: impl FnMut(&str)) {
    let rate = rate();
    let load = Load::start(server, SQS, rate);
    let mut times = Vec::new();
    for event in events {
        thread::sleep(QUIET);
        times.push((*event, load.elapsed().saturating_sub(IN_HAND)));
        carry_out(event);
    }
    thread::sleep(QUIET / 2);
    judge(&times, rate, &load.end());
}

/// The same below the stand-in for systemd.
fn site_goes_through(mut site: Site, events: &[&'static str]) {
    site.supervisor.start_daemon();
    let mut ready = 1;
    goes_through(site.dns, events, |event| {
        match event {
            "upgrade" => {
                let other = site.dir.path().join("hubdns-new");
                fs::copy(env!("CARGO_BIN_EXE_hubdns"), &other).unwrap();
                site.run(&other);
                site.supervisor.tell("restart");
            }
            event => site.supervisor.tell(event),
        }
        ready += 1;
        site.supervisor.await_ready(ready);
    });
}

/// Prints and judges what was told, by the event that was the last before.
#[expect(clippy::print_stderr, reason = "figures for whoever runs the test with its output")]
fn judge(events: &[(&str, Duration)], rate: usize, told: &Told) {
    let Told { answered, lost, wrong, connections, failed_connections, tcp_worst } = told;
    // The generator itself did what it was asked to.
    assert!(rate <= answered.len() && 0 < *connections, "{} queries alone", answered.len());
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
            "measured: {event} at {rate} queries/s: worst wait {worst:.1?}, {udp} lost, {tcp} new \
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
    site_goes_through(Site::new(0), &events);
}

#[test]
fn with_sockets_of_a_unit_a_restart_loses_nothing_and_a_crash_what_was_in_hand() {
    let mut site = Site::new(0);
    for kind in ["udp", "tcp"] {
        site.supervisor.make(kind, site.dns);
    }
    site_goes_through(site, &["restart", "crash", "upgrade", "restart"]);
}

/// Where `systemd.sh` has hubdns listen.
const BELOW_SYSTEMD: ([u8; 4], u16) = ([10, 77, 0, 1], 53);

#[test]
#[ignore = "wants a booted systemd: tests/restart/systemd.sh"]
#[expect(
    clippy::disallowed_methods,
    reason = "how to run a command there is for the script to say"
)]
fn below_a_real_systemd_a_restart_loses_nothing_and_a_crash_what_was_in_hand() {
    let below = env::var("HUBDNS_BELOW").unwrap();
    let below = |command: &str| {
        let mut words = below.split_whitespace();
        let mut prefixed = Command::new(words.next().unwrap());
        let ran = prefixed.args(words).args(["sh", "-c", command]).status().unwrap();
        assert!(ran.success(), "{command}: {ran}");
    };
    let events = ["restart", "restart", "reload", "crash", "crash", "crash", "upgrade", "restart"];
    goes_through(BELOW_SYSTEMD.into(), &events, |event| {
        below(match event {
            "crash" => "systemctl kill --signal=KILL hubdns",
            "reload" => "systemctl reload hubdns",
            "upgrade" => {
                "cp /usr/bin/hubdns /usr/bin/new && mv /usr/bin/new /usr/bin/hubdns && \
                 systemctl restart hubdns"
            }
            _ => "systemctl restart hubdns",
        });
    });
}
