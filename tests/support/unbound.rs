//! A real unbound as the upstream. It answers from zones that the test writes and from nothing
//! else: its root is a zone with nothing in it, so no packet leaves the machine.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    ports::free_port,
    process::{Process, eventually},
};

const START_LIMIT: Duration = Duration::from_secs(10);

/// A running unbound. It ends with this value.
pub struct Unbound {
    port: u16,
    process: Process,
    _dir: TempDir,
}

// === impl Unbound ===

impl Unbound {
    /// What follows SOA and NS of every zone; also the TTL of its negative answers.
    pub const NEGATIVE_TTL_SECS: u32 = 300;

    /// A small world: plain names, a CNAME chain that lands on SQS, a name below a
    /// service's, and the public addresses that a leak would show.
    pub const WORLD: &[(&str, &str)] = &[
        (
            "corp.example",
            "www 120 A 192.0.2.80\n\
             www 120 AAAA 2001:db8::80\n\
             alias 120 CNAME www\n\
             queue 120 CNAME chain\n\
             chain 120 CNAME sqs.eu-west-1.amazonaws.com.\n\
             lost 120 CNAME nowhere\n",
        ),
        (
            "amazonaws.com",
            "sqs.eu-west-1 60 A 198.51.100.1\n\
             sqs.eu-west-1 60 AAAA 2001:db8:aaaa::1\n\
             deeper.sqs.eu-west-1 60 A 198.51.100.2\n\
             rds.eu-west-1 60 A 198.51.100.3\n",
        ),
    ];

    /// Starts one that knows [`Unbound::WORLD`], and `big.example`, whose TXT records take
    /// 2,400 bytes: more than any client may have over UDP here.
    pub fn start() -> Self {
        let big: String = (0..12).map(|at| format!("@ 60 TXT \"{at:0200}\"\n")).collect();
        let zones = [Self::WORLD, &[("big.example", &big)]].concat();
        Self::start_with(&zones, "")
    }

    /// Starts one with these zones, as (origin, records in master-file form), and these lines
    /// more under `server:`. SOA and NS are added.
    pub fn start_with(zones: &[(&str, &str)], server: &str) -> Self {
        // The second try is for the port that another process took in between.
        Self::try_start(free_port(), zones, server)
            .or_else(|_| Self::try_start(free_port(), zones, server))
            .unwrap_or_else(|said| panic!("unbound does not start: {said}"))
    }

    /// Starts one that sends what it is asked in `domain` on to a port of 127.0.0.1, and has an
    /// answer from [`Unbound::WORLD`] to the rest: as a resolver does that has a forwarding rule.
    pub fn forwarding(domain: &str, to: u16) -> Self {
        let (zones, server) = Self::rule(domain, to);
        Self::start_with(&zones, &server)
    }

    /// Puts another in its place, on its port, that forwards likewise.
    pub fn become_forwarding(&mut self, domain: &str, to: u16) {
        let (zones, server) = Self::rule(domain, to);
        self.become_another(&zones, &server);
    }

    /// Puts another in its place, on its port, that knows [`Unbound::WORLD`].
    pub fn become_right(&mut self) {
        self.become_another(Self::WORLD, "");
    }

    /// Puts another in its place, on its port, as [`Unbound::start_with`].
    pub fn become_knowing(&mut self, zones: &[(&str, &str)], server: &str) {
        self.become_another(zones, server);
    }

    fn rule(domain: &str, to: u16) -> (Vec<(&'static str, &'static str)>, String) {
        let within =
            |origin: &str| domain == "." || format!(".{origin}").ends_with(&format!(".{domain}"));
        let kept = Self::WORLD.iter().copied().filter(|(origin, _)| !within(origin));
        let server = format!(
            "do-not-query-localhost: no\n\
             forward-zone:\nname: \"{domain}\"\nforward-addr: 127.0.0.1@{to}\n"
        );
        (kept.collect(), server)
    }

    fn become_another(&mut self, zones: &[(&str, &str)], server: &str) {
        self.process.kill();
        *self = Self::try_start(self.port, zones, server)
            .unwrap_or_else(|said| panic!("unbound does not start again: {said}"));
    }

    /// Its port on 127.0.0.1, UDP and TCP.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `upstreams = ["..."]`.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Every question it was asked, as `name. TYPE`, in order, but for hubdns's probes for loops.
    pub fn queries(&self) -> Vec<String> {
        let (_, questions) = self.heard();
        questions
    }

    /// How many questions it was asked, probes included.
    pub fn heard_count(&self) -> usize {
        let (probes, questions) = self.heard();
        probes.len() + questions.len()
    }

    /// hubdns's probes for loops among what it was asked, and the rest.
    pub fn heard(&self) -> (Vec<String>, Vec<String>) {
        let log = self.process.stderr();
        log.lines().filter_map(query).partition(|query| {
            // In random case, as every name (0x20).
            query.to_ascii_lowercase().starts_with("hubdns-probe-")
        })
    }

    /// Stops it, so that nobody answers.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Holds it so that it is silent, with its port still bound, until [`Unbound::resume`].
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    fn try_start(port: u16, zones: &[(&str, &str)], server: &str) -> Result<Self, String> {
        let dir = TempDir::new().expect("a temporary folder");
        let config = dir.path().join("unbound.conf");
        fs::write(&config, Self::config(&dir, zones, server, port)).expect("a file");
        let mut command = Command::new("unbound");
        // Debian keeps it in sbin, which a user's PATH may lack.
        command.env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").arg("-d").arg("-c").arg(&config);
        let mut process = Process::spawn("unbound", &mut command, dir.path());
        let up = eventually("unbound answers", START_LIMIT, || {
            match (process.ended(), TcpStream::connect((Ipv4Addr::LOCALHOST, port))) {
                (Some(_), _) => Some(false),
                (None, Ok(_)) => Some(true),
                (None, Err(_)) => None,
            }
        });
        match up {
            true => Ok(Self { port, process, _dir: dir }),
            false => Err(process.stderr()),
        }
    }

    fn config(dir: &TempDir, zones: &[(&str, &str)], server: &str, port: u16) -> String {
        let mut text = format!(
            "server:\n\
             interface: 127.0.0.1\n\
             port: {port}\n\
             access-control: 127.0.0.0/8 allow\n\
             do-daemonize: no\n\
             username: \"\"\n\
             chroot: \"\"\n\
             pidfile: \"\"\n\
             directory: \"{dir}\"\n\
             use-syslog: no\n\
             log-queries: yes\n\
             num-threads: 1\n\
             module-config: \"iterator\"\n\
             {server}\n\
             remote-control:\n\
             control-enable: no\n",
            dir = dir.path().display(),
        );
        // A root of its own, unless somebody else is asked for all names.
        let root: &[(&str, &str)] = if server.contains("name: \".\"") { &[] } else { &[("", "")] };
        for (origin, records) in root.iter().chain(zones) {
            let name = format!("{origin}zone");
            // for-downstream no: its zones are asked as by a resolver, so that RA is set, AA is
            // not, and a CNAME is followed from one into the other.
            write!(
                text,
                "auth-zone:\nname: \"{origin}.\"\nzonefile: \"{name}\"\n\
                 for-upstream: yes\nfor-downstream: no\nfallback-enabled: no\n",
            )
            .expect("a String takes all");
            let zone = format!(
                "$ORIGIN {origin}.\n@ 3600 SOA ns.invalid. host.invalid. 1 3600 600 86400 {}\n\
                 @ 3600 NS ns.invalid.\n{records}",
                Self::NEGATIVE_TTL_SECS,
            );
            fs::write(dir.path().join(name), zone).expect("a file");
        }
        text
    }
}

/// `[time] unbound[1:0] info: 127.0.0.1 wWw.cORp.Example. A IN` holds `www.corp.example. A`: the case
/// is drawn anew for every query (0x20).
fn query(line: &str) -> Option<String> {
    let asked = line.split_once("info: 127.0.0.1 ")?.1;
    let (name, rtype) = asked.strip_suffix(" IN")?.split_once(' ')?;
    Some(format!("{} {rtype}", name.to_ascii_lowercase()))
}
