//! The daemon itself, as the build made it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, ExitStatus},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    dig::{DigAnswer, dig},
    http::http_get,
    ports::free_port,
    process::{Process, eventually},
};

/// From start to ready: one round against a double takes well under a second, four tests
/// share two cores, and a first attempt that fails is tried again.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// From SIGTERM to the end: queries in flight are answered first, within 5 s.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// What the daemon and the AWS CLI find in their environment, and nothing else: no metadata
/// service, no profile, credentials that no AWS takes, the system's certificates.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_PAGER", ""),
    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
];

/// A daemon on loopback. It is killed when this value is dropped.
pub struct Hubdns {
    process: Process,
    config: String,
    environment: Vec<(String, String)>,
    within: Vec<String>,
    ports: Ports,
    dir: TempDir,
}

/// What is picked for a daemon.
#[derive(Clone, Copy)]
struct Ports {
    dns: u16,
    tls: u16,
    https: u16,
    admin: u16,
}

/// Takes the machine's own settings of AWS, proxies and certificates away from a command.
pub fn loopback_env<'c>(command: &'c mut Command, home: &Path) -> &'c mut Command {
    let set = ENVIRONMENT.iter().copied();
    command.env_clear().envs(set).env("HOME", home)
}

/// A command of the daemon's binary, not yet run: `hubdns(&dir).args(["check", ...])`.
pub fn hubdns(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubdns"));
    loopback_env(&mut command, home).current_dir(home);
    command
}

// === impl Hubdns ===

impl Hubdns {
    /// Starts `hubdns run` and waits until it is ready.
    ///
    /// In the text, `{dns_port}`, `{tls_port}`, `{https_port}`, `{admin_port}` and `{dir}` (a fresh
    /// folder) stand for what the helper picks. The tables `[server]`, `[admin]`, `[control]`, `[refresh]`, `[health]` and
    /// `[forward]` are added where the text has none: listening on those ports, with state and
    /// socket in the folder, without probes and without an upstream.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more, or other, variables in its environment: `AWS_ENDPOINT_URL_STS` for a
    /// source with a role. A variable that is given empty is taken away.
    #[track_caller]
    pub fn start_with(config: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_within(&[], config, environment)
    }

    /// The same by a command that becomes the daemon, which stands behind it as its arguments:
    /// `&["prlimit", "--nofile=100"]`. `{dir}` is filled as in the configuration.
    #[track_caller]
    pub fn start_within(within: &[&str], config: &str, environment: &[(&str, &str)]) -> Self {
        let mut daemon = Self::spawn_within(within, config, environment);
        // The second try is for a port that another process took in between.
        if !daemon.try_wait_ready() {
            daemon = Self::spawn_within(within, config, environment);
            assert!(daemon.try_wait_ready(), "hubdns ended: {}", daemon.log());
        }
        daemon
    }

    /// Starts it and does not wait: for tests of what it does before it is ready.
    pub fn spawn(config: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn_within(&[], config, environment)
    }

    fn spawn_within(within: &[&str], config: &str, environment: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let ports =
            Ports { dns: free_port(), tls: free_port(), https: free_port(), admin: free_port() };
        let config = filled(config, ports, dir.path());
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(owned).collect();
        let within: Vec<String> =
            within.iter().map(|word| filled_words(word, ports, dir.path())).collect();
        let process = run(&config, &environment, &within, dir.path());
        Self { process, config, environment, within, ports, dir }
    }

    /// Starts it again after it has ended: the same folder, ports, configuration, environment.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.spawn_again();
        self.wait_ready();
    }

    /// The same without waiting, for tests of how soon it answers.
    pub fn spawn_again(&mut self) {
        self.process = run(&self.config, &self.environment, &self.within, self.dir.path());
    }

    /// Waits until `/readyz` says 200.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        assert!(self.try_wait_ready(), "hubdns ended: {}", self.log());
    }

    /// Asks it, over UDP unless the arguments say otherwise.
    #[track_caller]
    pub fn dig(&self, args: &str) -> DigAnswer {
        dig(self.ports.dns, args)
    }

    /// Status and body of a page of its admin listener.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        http_get(self.admin(), path).expect("the admin listener answers")
    }

    /// The value of one sample of `/metrics`, named as it stands there with its labels.
    #[track_caller]
    pub fn metric(&self, sample: &str) -> Option<f64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        let of_sample = |line: &str| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(of_sample)
    }

    /// The port of `[server] listen`.
    pub fn dns_port(&self) -> u16 {
        self.ports.dns
    }

    /// Where `[server.tls]` listens if the configuration says `{tls_port}`.
    pub fn tls(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.tls).into()
    }

    /// Where `[server.https]` listens if the configuration says `{https_port}`.
    pub fn https(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.https).into()
    }

    /// Where `[server] listen` is.
    pub fn dns(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.dns).into()
    }

    /// Where `[admin] listen` is.
    pub fn admin(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.admin).into()
    }

    /// Its folder: `hubdns.toml`, `inventory.json`, `control.sock`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes another configuration for the next reload, filled as by [`Hubdns::start`].
    pub fn write_config(&mut self, config: &str) {
        self.config = filled(config, self.ports, self.dir.path());
        fs::write(self.dir.path().join("hubdns.toml"), &self.config).expect("a file");
    }

    /// A command of the binary in the daemon's folder, with `--config` of this daemon behind
    /// the words: `daemon.command("names")`.
    pub fn command(&self, words: &str) -> Command {
        let mut command = hubdns(self.dir.path());
        with_environment(&mut command, &self.environment)
            .args(words.split_whitespace())
            .arg("--config")
            .arg("hubdns.toml");
        command
    }

    /// All that it has logged, to either stream.
    pub fn log(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    /// Its process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.terminate(STOP_LIMIT)
    }

    /// `false` when it ended instead.
    #[track_caller]
    fn try_wait_ready(&mut self) -> bool {
        let admin = self.admin();
        eventually("hubdns is ready", READY_LIMIT, || {
            match (self.process.ended(), http_get(admin, "/readyz")) {
                (Some(_), _) => Some(false),
                (None, Ok((200, _))) => Some(true),
                (None, _) => None,
            }
        })
    }
}

fn run(config: &str, environment: &[(String, String)], within: &[String], dir: &Path) -> Process {
    let file = dir.join("hubdns.toml");
    fs::write(&file, config).expect("a file");
    let mut command = match within {
        [] => hubdns(dir),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            loopback_env(&mut command, dir).current_dir(dir).args(rest);
            command.arg(env!("CARGO_BIN_EXE_hubdns"));
            command
        }
    };
    with_environment(&mut command, environment).arg("run").arg("--config").arg(file);
    Process::spawn("hubdns", &mut command, dir)
}

fn with_environment<'c>(
    command: &'c mut Command,
    environment: &[(String, String)],
) -> &'c mut Command {
    for (name, value) in environment {
        match value.is_empty() {
            true => command.env_remove(name),
            false => command.env(name, value),
        };
    }
    command
}

/// The configuration with its placeholders filled and the missing tables added.
fn filled(config: &str, ports: Ports, dir: &Path) -> String {
    let defaults = [
        ("server", "listen = [\"127.0.0.1:{dns_port}\"]"),
        ("admin", "listen = \"127.0.0.1:{admin_port}\""),
        ("control", "socket = \"{dir}/control.sock\""),
        ("refresh", "interval_secs = 5\nstate_file = \"{dir}/inventory.json\""),
        ("health", "probe = \"off\""),
        ("forward", "upstreams = []"),
    ];
    let mut text = config.to_owned();
    for (table, body) in defaults {
        let heading = format!("[{table}]");
        if !config.lines().any(|line| line.trim() == heading) {
            text += &format!("\n{heading}\n{body}\n");
        }
    }
    // The default state file is the machine's; a test that runs as root would write it.
    assert!(text.contains("state_file"), "[refresh] without a state_file");
    filled_words(&text, ports, dir)
}

/// A text with its placeholders filled.
fn filled_words(text: &str, ports: Ports, dir: &Path) -> String {
    text.replace("{dns_port}", &ports.dns.to_string())
        .replace("{tls_port}", &ports.tls.to_string())
        .replace("{https_port}", &ports.https.to_string())
        .replace("{admin_port}", &ports.admin.to_string())
        .replace("{dir}", &dir.display().to_string())
}
