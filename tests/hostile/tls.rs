//! Upstreams by TLS: good ones, ones that are somebody else, ones that close and fall silent.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    slice,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hubdns::forward::{HostLookup, LookupConfig, LookupFrom, Trust};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;

use crate::{
    SLACK,
    message::Asked,
    query_time,
    support::{DigAnswer, Hubdns, Unbound, eventually, free_port, try_dig},
};

/// Authorities and their certificates.
struct Certificates(TempDir);

/// What a server does on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Answers,
    /// It answers what is called `slow` behind the next question.
    AnswersOutOfOrder,
    /// It answers one question and closes.
    ClosesAfterOne,
    /// It shakes hands and says nothing more.
    Silent,
}

/// A server by TLS. Its threads end with the test's process.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// The same port by UDP, to which nothing may come.
    in_the_clear: UdpSocket,
}

// === impl Certificates ===

impl Certificates {
    fn new() -> Self {
        let made = Self(TempDir::new().unwrap());
        for authority in ["ca", "stranger"] {
            made.openssl(authority, "basicConstraints=critical,CA:TRUE", "DNS:ca", None);
        }
        made
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Makes `NAME.pem` and `NAME.key` for a subject, by an authority.
    fn make(&self, name: &str, subject: &str, authority: &str) {
        self.openssl(name, "basicConstraints=critical,CA:FALSE", subject, Some(authority));
    }

    fn openssl(&self, name: &str, constraints: &str, subject: &str, authority: Option<&str>) {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(["req", "-x509", "-nodes", "-days", "2"]);
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.args(["-subj", &format!("/CN={name}"), "-addext", constraints]);
        command.args(["-addext", &format!("subjectAltName={subject}")]);
        command.args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")]);
        if let Some(authority) = authority {
            command.args(["-CA", &format!("{authority}.pem")]);
            command.args(["-CAkey", &format!("{authority}.key")]);
        }
        let output = command.output().expect("openssl is installed: run tests/setup.sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn server_config(&self, name: &str) -> Arc<ServerConfig> {
        let pem = |end: &str| self.path(&format!("{name}.{end}"));
        let chain = CertificateDer::pem_file_iter(pem("pem")).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(pem("key")).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"dot".to_vec()];
        Arc::new(config)
    }
}

// === impl Server ===

impl Server {
    fn start(config: &Arc<ServerConfig>, way: Way) -> Self {
        let (listener, in_the_clear) = (0..20)
            .find_map(|_| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                let socket = UdpSocket::bind(listener.local_addr().unwrap());
                socket.ok().map(|socket| (listener, socket))
            })
            .unwrap();
        in_the_clear.set_nonblocking(true).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            asked: Arc::default(),
            in_the_clear,
        };
        let (config, asked) = (Arc::clone(config), Arc::clone(&server.asked));
        let connections = Arc::clone(&server.connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::Relaxed);
                let (config, asked) = (Arc::clone(&config), Arc::clone(&asked));
                thread::spawn(move || converse(stream.unwrap(), config, &asked, way));
            }
        });
        server
    }

    /// What it was asked, but for probes for loops.
    fn asked(&self) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        let is_probe = |query: &&Asked| query.text().starts_with("hubdns-probe-");
        asked.iter().filter(|query| !is_probe(query)).cloned().collect()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether nothing came but by TLS.
    fn is_private(&self) -> bool {
        self.in_the_clear.recv(&mut [0; 16]).is_err()
    }
}

/// Serves a connection until the client goes or the way says so.
fn converse(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    asked: &Mutex<Vec<Asked>>,
    way: Way,
) -> Option<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut held = None;
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len).ok()?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut packet).ok()?;
        let query = Asked { nth: 0, by_tcp: true, packet };
        asked.lock().unwrap().push(query.clone());
        if way == Way::Silent {
            continue;
        }
        if way == Way::AnswersOutOfOrder && query.text().starts_with("slow") {
            held = Some(query);
            continue;
        }
        for query in [Some(query), held.take()].into_iter().flatten() {
            let answer = query.right(1);
            let len = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&len, answer.as_slice()].concat()).ok()?;
        }
        stream.flush().ok()?;
        if way == Way::ClosesAfterOne {
            stream.conn.send_close_notify();
            stream.flush().ok()?;
            return None;
        }
    }
}

/// A daemon whose one zone, `test`, is asked of `upstream`.
fn daemon(certificates: &Certificates, upstream: &str) -> Hubdns {
    Hubdns::start(&format!(
        "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{}/src/discover/demo\"\n\
         [forward]\nupstreams = []\nca_file = \"{}\"\n\
         [[forward.zone]]\nname = \"test\"\nupstreams = [\"{upstream}\"]\n",
        env!("CARGO_MANIFEST_DIR"),
        certificates.path("ca.pem").display(),
    ))
}

fn ask(daemon: &Hubdns, name: &str) -> DigAnswer {
    try_dig(daemon.dns(), &format!("{name} A +timeout=8")).unwrap()
}

#[test]
fn an_upstream_by_tls_is_asked_on_one_connection_in_padded_queries() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test,IP:127.0.0.1", "ca");
    let server = Server::start(&certificates.server_config("good"), Way::Answers);
    for upstream in
        [format!("tls://{}#dns.test", server.address), format!("tls://{}", server.address)]
    {
        let (before, connections) = (server.asked().len(), server.connections());
        let daemon = daemon(&certificates, &upstream);
        thread::scope(|scope| {
            for at in 0..20 {
                let daemon = &daemon;
                scope.spawn(move || {
                    let answer = ask(daemon, &format!("{at}.test"));
                    assert_eq!(answer.data("A"), ["192.0.2.1"], "{}", answer.raw);
                });
            }
        });
        let asked = server.asked();
        assert_eq!(asked.len() - before, 20);
        assert!(asked.iter().all(|query| query.packet.len() % 128 == 0));
        assert_eq!(server.connections() - connections, 1);
        let sample =
            format!("hubdns_upstream_requests_total{{proto=\"tls\",upstream=\"{upstream}\"}}");
        // Probes for loops are counted as well.
        assert!(Some(20.0) <= daemon.metric(&sample));
    }
    assert!(server.is_private());
}

#[test]
fn who_is_not_the_one_configured_is_asked_nothing_by_no_way() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    certificates.make("unknown", "DNS:dns.test,IP:127.0.0.1", "stranger");
    for (certificate, name) in [("good", "#other.test"), ("good", ""), ("unknown", "#dns.test")] {
        let server = Server::start(&certificates.server_config(certificate), Way::Answers);
        let upstream = format!("tls://{}{name}", server.address);
        let daemon = daemon(&certificates, &upstream);
        let answer = ask(&daemon, "www.test");
        assert_eq!((answer.status.as_str(), answer.ede), ("SERVFAIL", Some(23)), "{}", answer.raw);
        let text = "no upstream has proved by TLS to be the one configured";
        assert_eq!(answer.ede_text.as_deref(), Some(text));
        assert!(server.asked().is_empty() && server.is_private());
        let sample =
            format!("hubdns_upstream_failures_total{{reason=\"tls\",upstream=\"{upstream}\"}}");
        assert!(Some(0.0) < daemon.metric(&sample));
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_costs_no_answer() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let server = Server::start(&certificates.server_config("good"), Way::ClosesAfterOne);
    let daemon = daemon(&certificates, &format!("tls://{}#dns.test", server.address));
    for at in 0..10 {
        let answer = ask(&daemon, &format!("{at}.test"));
        assert_eq!(answer.data("A"), ["192.0.2.1"], "{}", answer.raw);
    }
    assert!(10 <= server.connections());
}

#[test]
fn answers_by_tls_come_in_any_order() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let server = Server::start(&certificates.server_config("good"), Way::AnswersOutOfOrder);
    let daemon = daemon(&certificates, &format!("tls://{}#dns.test", server.address));
    thread::scope(|scope| {
        let slow = scope.spawn(|| ask(&daemon, "slow.test"));
        eventually("the slow one is asked", Duration::from_secs(10), || {
            (!server.asked().is_empty()).then_some(())
        });
        let quick = ask(&daemon, "quick.test");
        assert_eq!(quick.data("A"), ["192.0.2.1"], "{}", quick.raw);
        assert_eq!(slow.join().unwrap().data("A"), ["192.0.2.1"]);
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_silent_upstream_by_tls_costs_its_deadline_and_gets_another_connection() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let server = Server::start(&certificates.server_config("good"), Way::Silent);
    let daemon = daemon(&certificates, &format!("tls://{}#dns.test", server.address));
    let answer = ask(&daemon, "www.test");
    assert_eq!((answer.status.as_str(), answer.ede), ("SERVFAIL", Some(22)), "{}", answer.raw);
    assert!(query_time(&answer) < Duration::from_millis(3_500) + SLACK, "{}", answer.raw);
    assert!((2..=4).contains(&server.connections()), "{}", server.connections());
}

#[test]
fn a_port_that_speaks_no_tls_is_given_up_in_time() {
    let certificates = Certificates::new();
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let daemon = daemon(&certificates, &format!("tls://{}", plain.local_addr().unwrap()));
    let answer = ask(&daemon, "www.test");
    assert_eq!(answer.status, "SERVFAIL", "{}", answer.raw);
    assert!(query_time(&answer) < Duration::from_millis(3_500) + SLACK, "{}", answer.raw);
}

#[test]
fn a_real_unbound_answers_by_tls() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let port = free_port();
    let path = |file: &str| certificates.path(file).display().to_string();
    let settings = format!(
        "interface: 127.0.0.1@{port}\ntls-port: {port}\ntls-service-key: \"{}\"\n\
         tls-service-pem: \"{}\"\nlocal-zone: \"test.\" nodefault",
        path("good.key"),
        path("good.pem")
    );
    let unbound = Unbound::start_with(&[("test", "www 60 A 192.0.2.80")], &settings);
    let daemon = daemon(&certificates, &format!("tls://127.0.0.1:{port}#dns.test"));
    for name in ["www.test", "www.test", "absent.test"] {
        let answer = ask(&daemon, name);
        let expected: &[&str] = if name == "www.test" { &["192.0.2.80"] } else { &[] };
        assert_eq!(answer.data("A"), expected, "{}", answer.raw);
    }
    assert_eq!(unbound.queries().len(), 2);
}

/// Puts these certificates into a file of authorities, and has the daemon read its configuration again.
fn believe(daemon: &Hubdns, file: &Path, authorities: &[PathBuf]) -> String {
    let certificates: String =
        authorities.iter().map(|it| std::fs::read_to_string(it).unwrap()).collect();
    std::fs::write(file, certificates).unwrap();
    let output = daemon.command("reload").output().unwrap();
    assert!(output.status.success(), "{output:?} {}", daemon.log());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn authorities_that_were_renewed_in_their_file_are_believed_after_a_reload() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let [clients, ours] =
        [(); 2].map(|()| Server::start(&certificates.server_config("good"), Way::Answers));
    let (ca, stranger) = (certificates.path("ca.pem"), certificates.path("stranger.pem"));
    let file = certificates.path("authorities.pem");
    std::fs::copy(&stranger, &file).unwrap();
    let daemon = Hubdns::start(&format!(
        "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{}/src/discover/demo\"\n\
         [[source]]\nname = \"away\"\nkind = \"ec2\"\nregion = \"eu-west-1\"\n\
         endpoint_url = \"http://ec2.aws.example:9\"\n\
         [forward]\nupstreams = []\nca_file = \"{}\"\n\
         [[forward.zone]]\nname = \"test\"\nupstreams = [\"tls://{}#dns.test\"]\n\
         [discovery_dns]\nupstreams = [\"tls://{}#dns.test\"]\n",
        env!("CARGO_MANIFEST_DIR"),
        file.display(),
        clients.address,
        ours.address,
    ));
    let told = "the certificates of forward.ca_file";
    assert_eq!(ask(&daemon, "www.test").status, "SERVFAIL");
    assert!(!believe(&daemon, &file, slice::from_ref(&stranger)).contains(told), "the same ones");
    assert!(clients.asked().is_empty() && ours.asked().is_empty());

    let outcome = believe(&daemon, &file, slice::from_ref(&ca));
    assert!(outcome.contains(told), "{outcome}");
    let answers = |name: &str| {
        let answer = ask(&daemon, name);
        assert_eq!(answer.data("A"), ["192.0.2.1"], "{}", answer.raw);
    };
    answers("new.test");
    eventually("AWS's hosts are looked up", Duration::from_secs(20), || {
        (!ours.asked().is_empty()).then_some(())
    });
    // One more is no reason to ask anew, and one less is.
    believe(&daemon, &file, &[ca, stranger.clone()]);
    answers("new.test");
    assert_eq!(clients.asked().len(), 1);
    believe(&daemon, &file, &[stranger]);
    assert_eq!(ask(&daemon, "new.test").status, "SERVFAIL");
}

#[test]
fn resolvers_by_tls_for_awss_hosts_alone_are_nothing_to_who_asks_for_clients() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let server = Server::start(&certificates.server_config("good"), Way::Answers);
    let config = |more: &str| {
        format!(
            "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{}/src/discover/demo\"\n\
             [forward]\nupstreams = [\"192.0.2.1\"]\nca_file = \"{}\"\n{more}",
            env!("CARGO_MANIFEST_DIR"),
            certificates.path("ca.pem").display(),
        )
    };
    let mut daemon = Hubdns::start(&config(""));
    let upstreams =
        format!("[discovery_dns]\nupstreams = [\"tls://{}#dns.test\"]\n", server.address);
    for more in [&upstreams, ""] {
        daemon.write_config(&config(more));
        let output = daemon.command("reload").output().unwrap();
        assert!(output.status.success(), "{output:?} {}", daemon.log());
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("[discovery_dns]") && !told.contains("certificates"), "{told}");
    }
}

#[test]
fn authorities_of_resolvers_for_awss_hosts_alone_are_looked_at_too() {
    let certificates = Certificates::new();
    let config = format!(
        "[[source]]\nname = \"hub\"\nkind = \"ec2\"\nregion = \"eu-west-1\"\n\
         [forward]\nca_file = \"{}\"\n[discovery_dns]\nupstreams = [\"tls://192.0.2.1#dns.test\"]\n",
        certificates.path("absent.pem").display(),
    );
    let mut daemon = Hubdns::spawn(&config, &[]);
    assert!(!daemon.process().wait(Duration::from_secs(20)).success());
    assert!(daemon.log().contains("upstreams by TLS cannot be verified"), "{}", daemon.log());
}

#[test]
fn hosts_of_our_own_calls_are_looked_up_by_tls_too() {
    let certificates = Certificates::new();
    certificates.make("good", "DNS:dns.test", "ca");
    let server = Server::start(&certificates.server_config("good"), Way::Answers);
    let look_up = |name: &str, ca_file: &Path| {
        let config = LookupConfig {
            from: LookupFrom::DiscoveryDns,
            upstreams: vec![format!("tls://{}#{name}", server.address).parse().unwrap()],
            zones: vec![],
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let trust = Trust::read(config.all_upstreams(), Some(ca_file)).unwrap();
            let lookup = HostLookup::new(&config, &trust).unwrap();
            lookup.lookup("ec2.eu-west-1.amazonaws.com").await
        })
    };
    let started = Instant::now();
    let found = look_up("dns.test", &certificates.path("ca.pem")).unwrap();
    assert!(found.contains(&"192.0.2.1".parse().unwrap()), "{found:?}");
    assert!(look_up("other.test", &certificates.path("ca.pem")).is_err());
    assert!(look_up("dns.test", &certificates.path("stranger.pem")).is_err());
    assert!(server.is_private() && started.elapsed() < Duration::from_secs(20));
}
