//! The daemon below a supervisor that passes sockets and keeps them, as systemd does: what it tells,
//! what it takes over, and what a restart, an upgrade and a crash cost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod load;
mod losses;
mod sockets;
mod words;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::support::{Supervisor, free_port};

/// A name of the recorded hub, in three zones.
const SQS: &str = "sqs.eu-west-1.amazonaws.com";

/// A daemon's folder and addresses, and the supervisor that runs it.
struct Site {
    supervisor: Supervisor,
    dns: SocketAddr,
    admin: SocketAddr,
    dir: TempDir,
}

// === impl Site ===

impl Site {
    /// Nothing runs yet.
    fn new(watchdog_usec: u64) -> Self {
        // In memory: a process ends when its last fsync is done, whatever ends it, and how long that
        // takes on a disk with other work is no figure of ours.
        let dir = TempDir::new_in("/dev/shm").unwrap();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut site = Self {
            supervisor: Supervisor::start(dir.path(), watchdog_usec),
            dns: at(free_port()),
            admin: at(free_port()),
            dir,
        };
        site.write(&format!("[server]\nlisten = [\"{}\"]\n", site.dns));
        site.run(Path::new(env!("CARGO_BIN_EXE_hubdns")));
        site
    }

    /// Writes the configuration: what every one has, and this.
    fn write(&self, more: &str) {
        let hub = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/small");
        let (admin, dir) = (self.admin, self.dir.path().display());
        let text = format!(
            "[[source]]\nname = \"files\"\nkind = \"files\"\npath = \"{hub}\"\n\
             [refresh]\nstate_file = \"{dir}/inventory.json\"\n[health]\nprobe = \"off\"\n\
             [forward]\nupstreams = []\n[admin]\nlisten = \"{admin}\"\n\
             [control]\nsocket = \"{dir}/control.sock\"\n{more}"
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Which binary is started from now on.
    fn run(&mut self, program: &Path) {
        let config = self.config();
        self.supervisor.program(program, &config);
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("hubdns.toml")
    }
}
