//! A process that stands for systemd: it passes sockets, hears notifications and keeps descriptors.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{
    hubdns::loopback_env,
    process::{Process, eventually},
};

/// For a daemon to start, or to end, on a machine with other work.
const LIMIT: Duration = Duration::from_secs(30);

/// It, and below it at most one daemon.
pub struct Supervisor {
    process: Process,
}

// === impl Supervisor ===

impl Supervisor {
    /// Starts it. Each daemon below it has a watchdog of so many microseconds, none with 0.
    pub fn start(dir: &Path, watchdog_usec: u64) -> Self {
        let mut command = Command::new("python3");
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/pid1.py"))
            .arg(dir)
            .arg(watchdog_usec.to_string());
        loopback_env(&mut command, dir);
        Self { process: Process::spawn("pid1", &mut command, dir) }
    }

    /// Makes a socket as a socket unit does: `udp` or `tcp`.
    #[track_caller]
    pub fn make(&mut self, kind: &str, address: SocketAddr) {
        self.make_at(kind, &address.to_string());
    }

    /// The same of an address as it is written; `unix` has a path.
    #[track_caller]
    pub fn make_at(&mut self, kind: &str, address: &str) {
        let before = self.count("made");
        self.order(&json!({ "make": kind, "address": address }));
        eventually("a socket is made", LIMIT, || (before < self.count("made")).then_some(()));
    }

    /// How long it takes to close what it is told to give up, as systemd does it in a thread.
    pub fn closes_after(&mut self, lasts: Duration) {
        self.order(&json!({ "close_after": lasts.as_secs_f64() }));
    }

    /// How many descriptors it keeps, and tells that it does.
    pub fn stores(&mut self, most: usize) {
        self.order(&json!({ "store": most }));
    }

    /// What is to be started from now on.
    pub fn program(&mut self, program: &Path, config: &Path) {
        self.order(&json!({ "run": [program, "run", "--config", config] }));
    }

    /// Starts the daemon, and waits until it says that it is ready.
    #[track_caller]
    pub fn start_daemon(&mut self) {
        self.order(&json!({ "do": "start" }));
        self.await_ready(1);
    }

    /// `restart`, `crash` or `stop`; what that is stands at the supervisor's head.
    pub fn tell(&mut self, what: &str) {
        self.order(&json!({ "do": what }));
    }

    /// Waits until READY=1 has come so many times.
    #[track_caller]
    pub fn await_ready(&self, times: usize) {
        eventually(&format!("READY=1 for the {times}. time"), LIMIT, || {
            (times <= self.notified("READY=1").len()).then_some(())
        });
    }

    /// Everything that has happened.
    pub fn events(&self) -> Vec<Value> {
        let whole = self.process.stdout();
        // The last line may be half written.
        let lines = whole.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The notifications that have this line.
    pub fn notified(&self, line: &str) -> Vec<Value> {
        let has = |event: &Value| {
            event["lines"].as_array().is_some_and(|lines| lines.iter().any(|it| it == line))
        };
        self.events().into_iter().filter(has).collect()
    }

    /// How often this has happened.
    pub fn count(&self, event: &str) -> usize {
        self.events().iter().filter(|it| it["event"] == event).count()
    }

    /// The names of the descriptors that it keeps, as last told.
    pub fn kept(&self) -> Vec<String> {
        let events = self.events();
        let last = events.iter().rev().find_map(|event| event["kept"].as_array());
        let texts = last.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    /// What the daemons have logged.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    fn order(&mut self, order: &Value) {
        self.process.say(&format!("{order}\n"));
    }
}
