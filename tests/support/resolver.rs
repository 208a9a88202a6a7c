//! Somebody else's resolver, as a child on a port of its own: unbound, named, dnsmasq and the like.
//!
//! How each is configured is the test's part.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    dig::{DigAnswer, dig, try_dig},
    ports::free_port,
    process::{Process, eventually},
};

/// The slowest of them, Knot Resolver, takes half a second on a quiet machine; four tests share
/// two cores, and a question that comes too early costs dig two seconds.
const START_LIMIT: Duration = Duration::from_secs(40);

/// A running resolver on loopback. It ends with this value.
pub struct Resolver {
    process: Process,
    port: u16,
    dir: TempDir,
}

/// A command for a daemon that Debian keeps in sbin, which a user's PATH may lack.
pub fn daemon(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin");
    command
}

// === impl Resolver ===

impl Resolver {
    /// Starts what `configure` makes of an empty folder and a free port, and waits until it
    /// answers, if only with an error.
    #[track_caller]
    pub fn start(name: &str, configure: impl Fn(&Path, u16) -> Command) -> Self {
        // The second try is for the port that another process took in between.
        Self::try_start(name, &configure)
            .or_else(|_| Self::try_start(name, &configure))
            .unwrap_or_else(|said| panic!("{name} does not start: {said}"))
    }

    /// Its port on 127.0.0.1, UDP and TCP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `upstreams = ["..."]`.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Asks it, over UDP unless the arguments say otherwise.
    #[track_caller]
    pub fn dig(&self, args: &str) -> DigAnswer {
        dig(self.port, args)
    }

    /// All that it has said, to either stream.
    pub fn log(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    fn try_start(name: &str, configure: &impl Fn(&Path, u16) -> Command) -> Result<Self, String> {
        let dir = TempDir::new().expect("a temporary folder");
        let port = free_port();
        let process = Process::spawn(name, &mut configure(dir.path(), port), dir.path());
        let mut resolver = Self { process, port, dir };
        let up = eventually(&format!("{name} answers"), START_LIMIT, || {
            match (resolver.process.ended(), try_dig(resolver.address(), ". SOA")) {
                (Some(_), _) => Some(false),
                (None, Ok(_)) => Some(true),
                (None, Err(_)) => None,
            }
        });
        match up {
            true => Ok(resolver),
            false => Err(resolver.log()),
        }
    }
}
