//! The admin listener and the control socket, asked over real sockets.

mod agree;
mod api;
mod connections;
mod metrics;
mod names;
mod requests;

use std::{
    collections::HashMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration, time::Instant,
};

use hyper::Method;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Admin, InForce,
    client::{self, ClientError, ask_within, with_parameters},
    guard::Caller,
    json::{
        AwsHostsDocument, ErrorDocument, ExplainDocument, NamesDocument, Part, ROWS_MAX,
        StatusDocument, from_text, to_text,
    },
    listen::{self, Limits},
    serve, serve_control,
};
use crate::{
    answer::{self, About, Cookies, Exempt, LineKind, Settings, Vantage},
    forward::{BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig, Forwarder, Trust},
    policy::{self, PolicyConfig, facts},
    refresh::{Control, Publications, RoundReport, SourceStatus, Status, Unkept},
    serve::ServeConfig,
    table::{AnswerTable, Publisher, channel, compile},
    telemetry::Metrics,
};

const HUB: &str = "
    vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 names=sqs.eu-west-1.amazonaws.com
    vpce-2 com.amazonaws.eu-west-1.transfer.server eu-west-1a=10.0.1.6 eu-west-1a=fd00::6 \
        names=*.server.transfer.eu-west-1.amazonaws.com
    vpce-3 com.amazonaws.eu-west-1.execute-api eu-west-1a=10.0.1.7 names=*.execute-api.eu-west-1.amazonaws.com
";

/// All that can be looked at, and the ends by which a test changes it.
pub(super) struct Daemon {
    publisher: Publisher,
    status: watch::Sender<Status>,
    listening: watch::Sender<Vec<SocketAddr>>,
    stopping: watch::Sender<bool>,
    admin: Admin,
    address: SocketAddr,
    socket: PathBuf,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    _settings: watch::Sender<Arc<Settings>>,
    _home: TempDir,
}

fn policy() -> PolicyConfig {
    PolicyConfig {
        deny: vec![policy::ServiceRule::new("execute-api")],
        views: vec![facts::view("onprem", "10.9.0.0/16")],
        zones: vec![("10.1.2.0/24".parse().unwrap(), "eu-west-1b".into())],
        allow: vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()],
        ..facts::config()
    }
}

fn table() -> AnswerTable {
    compile(policy::plan(&facts::inventory(HUB), &policy()), &policy())
}

fn forward() -> ForwardConfig {
    ForwardConfig {
        upstreams: vec!["169.254.169.253:53".parse().unwrap()],
        trusted: vec![],
        ca_file: None,
        case_randomization: CaseRandomization::Auto,
        budget: BudgetConfig::DEFAULT,
        zones: vec![],
        views: vec![],
        cache: CacheConfig::NONE,
    }
}

fn in_force() -> InForce {
    InForce {
        toml: "[answers]\nttl_secs = 60\n".to_owned(),
        hash: "c0ffee".to_owned(),
        probes: true,
        serve: ServeConfig::NOWHERE,
    }
}

fn aws_hosts() -> AwsHostsDocument {
    AwsHostsDocument {
        key: "forward.upstreams".to_owned(),
        upstreams: forward().upstreams.iter().map(ToString::to_string).collect(),
        zones: vec![],
    }
}

fn source(error: Option<&str>) -> SourceStatus {
    SourceStatus {
        name: "hub".into(),
        confirmed: None,
        from_state_file: None,
        endpoints: 0,
        error: error.map(str::to_owned),
        lack: None,
        missing_permissions: vec![],
        held_back: None,
    }
}

fn status_of(source: SourceStatus) -> Status {
    Status { sources: vec![source], ..Status::default() }
}

// === impl Daemon ===

impl Daemon {
    /// Nothing is known yet and nothing is bound.
    pub(super) async fn start() -> Daemon {
        let home = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let forwarder = Forwarder::new(forward(), Trust::default(), metrics.clone());
        let (publisher, table) = channel();
        let (settings, settings_seen) = watch::channel(Arc::new(Settings {
            forwarder,
            identity: Arc::from(*b"hub-a"),
            cookies: Cookies::random(|| 0),
            exempt: Exempt::default(),
            rates: None,
            about: About::default(),
            observers: Arc::new(crate::querylog::Observers::nobody()),
        }));
        let (status, status_seen) = watch::channel(Status::default());
        let (listening, listening_seen) = watch::channel(Vec::new());
        let (stopping, stopping_seen) = watch::channel(false);
        let admin = Admin {
            table,
            settings: settings_seen,
            status: status_seen,
            publications: watch::channel(Publications::default()).1,
            control: Control::unheard(),
            listening: listening_seen,
            aws_hosts: watch::channel(aws_hosts()).1,
            stopping: stopping_seen,
            config: watch::channel(Arc::new(in_force())).1,
            traffic: Arc::default(),
            draining: watch::channel(None).1,
            orders: mpsc::channel(1).0,
            metrics,
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let socket = home.path().join("control.sock");
        let unix = UnixListener::bind(&socket).unwrap();
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve(admin.clone(), tcp, shutdown.clone()));
        tasks.spawn(serve_control(admin.clone(), unix, shutdown.clone()));
        Daemon {
            publisher,
            status,
            listening,
            stopping,
            admin,
            address,
            socket,
            shutdown,
            tasks,
            _settings: settings,
            _home: home,
        }
    }

    /// With a table in force and a socket bound.
    pub(super) async fn ready() -> Daemon {
        let mut daemon = Daemon::start().await;
        daemon.publisher.publish(table());
        daemon.listening.send_replace(vec!["10.0.0.10:53".parse().unwrap()]);
        daemon
    }

    /// The same with so many names besides that of SQS.
    pub(super) async fn with_names(names: usize) -> Daemon {
        let mut daemon = Daemon::ready().await;
        let line = |at| format!("vpce-n{at} s.{at} eu-west-1a=10.0.9.9 names=n{at}.example\n");
        let hub: String = (0..names).map(line).collect();
        let sqs = HUB.lines().nth(1).unwrap_or_default();
        let inventory = facts::inventory(&format!("{sqs}\n{hub}"));
        let config = PolicyConfig { views: vec![], ..policy() };
        daemon.publisher.publish(compile(policy::plan(&inventory, &config), &config));
        daemon
    }

    /// A source that fails with this text.
    pub(super) fn told_by_a_source(&self, error: &str) {
        self.status.send_replace(status_of(source(Some(error))));
    }

    /// The socket that is bound.
    pub(super) fn listens_on(&self, address: SocketAddr) {
        self.listening.send_replace(vec![address]);
    }

    /// What it counts.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.admin.metrics
    }

    /// A request over TCP as it is written, and the whole answer as it is read.
    pub(super) async fn tell(&self, request: &str) -> Response {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        Response::read(&text)
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.get_as(&self.address.to_string(), path).await
    }

    async fn get_as(&self, host: &str, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.tell(&request).await
    }

    /// The status and the sentence of a request that is not answered.
    async fn refused(&self, path: &str) -> (u16, String) {
        let response = self.get(path).await;
        (response.status, response.error())
    }
}

pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

// === impl Response ===

impl Response {
    fn read(text: &str) -> Response {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers: HashMap<_, _> =
            headers.map(|(key, value)| (key.to_lowercase(), value.to_owned())).collect();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{text}");
        assert_eq!(headers["cache-control"], "no-store", "{text}");
        Response { status, headers, body: body.to_owned() }
    }

    fn error(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/json");
        from_text::<ErrorDocument>(&self.body).unwrap().error
    }
}

#[tokio::test]
async fn readiness_turns_with_each_reason() {
    let mut daemon = Daemon::start().await;
    let reasons = async |daemon: &Daemon| {
        let response = daemon.get("/readyz").await;
        (response.status, response.body)
    };
    let unbound = "no DNS socket is bound yet\n";
    let first = "no table is in force yet: discovery has not ended its first round\n";
    assert_eq!(reasons(&daemon).await, (503, format!("{first}{unbound}")));

    daemon.status.send_replace(status_of(source(Some("EC2 refused DescribeVpcEndpoints"))));
    let failed = "no table is in force yet: source hub: EC2 refused DescribeVpcEndpoints\n";
    assert_eq!(reasons(&daemon).await, (503, format!("{failed}{unbound}")));

    daemon.publisher.publish(table());
    assert_eq!(reasons(&daemon).await, (503, unbound.to_owned()));

    daemon.listening.send_replace(vec!["127.0.0.1:5300".parse().unwrap()]);
    assert_eq!(reasons(&daemon).await, (200, "ready\n".to_owned()));

    daemon.stopping.send_replace(true);
    assert_eq!(reasons(&daemon).await, (503, "shutting down\n".to_owned()));
    assert_eq!(daemon.get("/livez").await.body, "ok\n");
}

#[tokio::test]
async fn explain_tells_what_the_offline_command_tells() {
    let daemon = Daemon::ready().await;
    let offline = |name: &str, rtype: &str, client: &str, listener: &str| {
        let vantage =
            Vantage { client: client.parse().unwrap(), listener: listener.parse().unwrap() };
        let (name, rtype) = (name.parse().unwrap(), rtype.parse().unwrap());
        answer::explain(&table(), &forward(), &Exempt::default(), &name, rtype, vantage)
    };
    let online = async |query: &str| {
        let response = daemon.get(&format!("/api/v1/explain?{query}")).await;
        assert_eq!(response.status, 200, "{}", response.body);
        from_text::<ExplainDocument>(&response.body).unwrap()
    };
    let sqs = "sqs.eu-west-1.amazonaws.com";
    let expected = offline(sqs, "A", "10.1.2.3", "10.0.0.10:53");
    let told = online(&format!("name={sqs}&from=10.1.2.3&listener=10.0.0.10:53")).await;
    assert_eq!(told, ExplainDocument::from(&expected));
    assert_eq!(told.to_string(), expected.to_string());

    let by_default = online(&format!("name={sqs}&type=AAAA")).await;
    let expected = offline(sqs, "AAAA", "127.0.0.1", "10.0.0.10:53");
    assert_eq!(by_default.to_string(), expected.to_string());

    for (name, rtype, client) in [
        ("x.execute-api.eu-west-1.amazonaws.com", "A", "10.1.2.3"),
        ("u.server.transfer.eu-west-1.amazonaws.com", "AAAA", "10.9.0.1"),
        ("example.com", "TYPE4242", "192.0.2.1"),
    ] {
        let told = online(&format!("name={name}&type={rtype}&from={client}")).await;
        let mut expected = offline(name, rtype, client, "10.0.0.10:53");
        // Of a name that is not ours the daemon has its cache as well.
        if expected.asks.is_some() {
            let line = (LineKind::Cache, "has nothing: an upstream is asked".to_owned());
            expected.lines.insert(expected.lines.len() - 1, line);
        }
        assert_eq!(told.to_string(), expected.to_string());
    }
    // An IPv4 client of an IPv6 socket, and a listener by its address alone.
    for listener in ["10.0.0.10", "[::ffff:10.0.0.10]:53"] {
        let query = format!("name={sqs}&from=::ffff:10.9.0.1&listener={listener}");
        let expected = offline(sqs, "A", "10.9.0.1", "10.0.0.10:53");
        assert_eq!(online(&query).await.to_string(), expected.to_string());
    }
}

#[tokio::test]
async fn an_address_that_is_none_of_ours_is_not_explained() {
    let daemon = Daemon::ready().await;
    let explain = async |listener: &str| {
        let path = format!("/api/v1/explain?name=a&listener={listener}");
        daemon.get(&path).await.status
    };
    let told = daemon.refused("/api/v1/explain?name=a&listener=10.0.0.10:5353").await;
    let why = "listener: 10.0.0.10:5353 is no address of ours that can be asked; hubdns listens on \
               10.0.0.10:53";
    assert_eq!(told, (404, why.to_owned()));
    let page = daemon.get("/?name=a&listener=10.0.0.99").await.body;
    assert!(page.contains("Not explained</span>: listener: 10.0.0.99:53 is no address"), "{page}");
    // One that stands for every address of this host stands for no other's.
    daemon.listening.send_replace(vec!["0.0.0.0:53".parse().unwrap()]);
    for (listener, status) in
        [("127.0.0.7", 200), ("0.0.0.0", 200), ("192.0.2.1", 404), ("127.0.0.1:5353", 404)]
    {
        assert_eq!(explain(listener).await, status, "{listener}");
    }
}

#[tokio::test]
async fn before_a_table_nothing_is_said_of_any_name() {
    let mut daemon = Daemon::start().await;
    let why = "no table is in force yet: discovery has not ended its first round".to_owned();
    assert_eq!(daemon.refused("/api/v1/names").await, (503, why.clone()));
    // What keeps sockets closed is told before that they are.
    assert_eq!(daemon.refused("/api/v1/explain?name=a").await, (503, why.clone()));
    let refused = daemon.refused("/api/v1/explain?name=a&listener=10.0.0.10").await;
    assert_eq!(refused, (503, why));
    daemon.publisher.publish(table());
    let (status, unbound) = daemon.refused("/api/v1/explain?name=a").await;
    assert_eq!(status, 503);
    assert!(unbound.starts_with("listener: no DNS socket is bound yet"), "{unbound}");
}

#[tokio::test]
async fn status_tells_how_the_daemon_stands() {
    let daemon = Daemon::ready().await;
    let kept = SourceStatus { from_state_file: Some(77), endpoints: 3, ..source(Some("denied")) };
    let round = RoundReport {
        ended: tokio::time::Instant::now(),
        outcome: "kept",
        reason: Some("no source could be asked".to_owned()),
    };
    daemon.status.send_replace(Status {
        sources: vec![kept],
        round: Some(round),
        drained: vec![("euw1-az1".to_owned(), 1_700_000_000)],
        flapping: [("10.0.1.5".parse().unwrap(), 4)].into(),
        unkept: Some(Unkept {
            since: tokio::time::Instant::now(),
            error: "cannot write the state file /s: disk full".to_owned(),
        }),
    });
    let response = daemon.get("/api/v1/status").await;
    let mut status: StatusDocument = from_text(&response.body).unwrap();
    let hub = &mut status.sources[0];
    assert!(hub.age_secs.is_some_and(|age| (77..87).contains(&age)), "{}", response.body);
    // What follows is the same on each run.
    hub.age_secs = Some(77);
    status.last_round.as_mut().unwrap().age_secs = 0;
    status.unkept.as_mut().unwrap().age_secs = 0;
    status.version = "0.0.0".to_owned();
    insta::assert_snapshot!(to_text(&status));
}
