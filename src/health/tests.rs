//! The prober against real listeners on the loopback's many addresses.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{HealthConfig, Prober, Unhealthy};
use crate::telemetry::Metrics;

/// Longer than any of this takes on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A prober at work.
struct Running {
    addresses: watch::Sender<Arc<BTreeSet<IpAddr>>>,
    report: watch::Receiver<Unhealthy>,
    metrics: Arc<Metrics>,
    token: CancellationToken,
    task: JoinSet<()>,
}

/// `127.0.0.N`; not 127.0.0.1, which is the address connections come from.
fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn set(list: impl IntoIterator<Item = IpAddr>) -> Arc<BTreeSet<IpAddr>> {
    Arc::new(list.into_iter().collect())
}

fn start(port: Option<u16>, interval: Duration, list: Arc<BTreeSet<IpAddr>>) -> Running {
    let (addresses, to_probe) = watch::channel(list);
    let (reporter, report) = watch::channel(Unhealthy::default());
    let metrics = Arc::new(Metrics::new().unwrap());
    let token = CancellationToken::new();
    let prober = Prober::new(HealthConfig { tcp_port: port, interval }, metrics.clone());
    let mut task = JoinSet::new();
    task.spawn(prober.run(to_probe, reporter, token.clone()));
    Running { addresses, report, metrics, token, task }
}

// === impl Running ===

impl Running {
    /// The next report that differs from the one before.
    async fn next(&mut self) -> Vec<IpAddr> {
        timeout(PATIENCE, self.report.changed()).await.expect("a report").unwrap();
        self.report.borrow_and_update().iter().copied().collect()
    }

    /// The value of a metric.
    fn metric(&self, name: &str) -> u64 {
        let page = self.metrics.render().unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().unwrap()
    }

    async fn end(mut self) {
        self.token.cancel();
        timeout(PATIENCE, self.task.join_next()).await.expect("an end").unwrap().unwrap();
    }
}

/// Listeners on one port of several addresses.
fn listeners(last: &[u8]) -> (u16, Vec<TcpListener>) {
    // Another process may have the port on one of the addresses.
    for _ in 0..100 {
        let first = TcpListener::bind(SocketAddr::new(ip(last[0]), 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        let others = last[1..].iter().map(|n| TcpListener::bind(SocketAddr::new(ip(*n), port)));
        if let Ok(others) = others.collect::<Result<Vec<_>, _>>() {
            return (port, [first].into_iter().chain(others).collect());
        }
    }
    panic!("no port is free on {last:?}");
}

const NOBODY: [IpAddr; 0] = [];
const UNANSWERED: &str = r#"hubdns_health_probes_total{result="unanswered"}"#;
const ANSWERED: &str = r#"hubdns_health_probes_total{result="answered"}"#;
const WENT_DOWN: &str = r#"hubdns_health_changes_total{state="down"}"#;
const CAME_UP: &str = r#"hubdns_health_changes_total{state="up"}"#;

#[tokio::test]
async fn an_address_that_closes_is_reported_and_again_when_it_is_back() {
    let (port, mut open) = listeners(&[2, 3, 4]);
    let interval = Duration::from_millis(60);
    let mut prober = start(Some(port), interval, set([ip(2), ip(3), ip(4)]));
    sleep(interval * 5).await;
    assert!(!prober.report.has_changed().unwrap(), "all of them answer");

    drop(open.remove(1));
    assert_eq!(prober.next().await, [ip(3)]);
    assert!(3 <= prober.metric(UNANSWERED));
    assert_eq!(prober.metric(WENT_DOWN), 1);

    open.push(TcpListener::bind(SocketAddr::new(ip(3), port)).unwrap());
    assert_eq!(prober.next().await, NOBODY);
    assert_eq!(prober.metric(CAME_UP), 1);
    sleep(interval * 4).await;
    assert!(!prober.report.has_changed().unwrap(), "no change, no report");
    assert_eq!((prober.metric(WENT_DOWN), prober.metric(CAME_UP)), (1, 1));
    prober.end().await;
}

#[tokio::test]
async fn an_address_that_comes_and_goes_is_told_as_flapping() {
    let (port, open) = listeners(&[11]);
    let interval = Duration::from_millis(20);
    let mut prober = start(Some(port), interval, set([ip(11)]));
    let mut listener = open.into_iter().next();
    for changes in 1..=4 {
        let up = listener.take().is_none();
        if up {
            listener = Some(TcpListener::bind(SocketAddr::new(ip(11), port)).unwrap());
        }
        let down = prober.next().await;
        assert_eq!(down.is_empty(), up, "change {changes}");
        let flapping = prober.report.borrow().flapping().clone();
        assert_eq!(flapping.get(&ip(11)).copied(), (changes == 4).then_some(4));
    }
    assert_eq!(prober.metric("hubdns_flapping_addresses"), 1);
    prober.addresses.send(set([])).unwrap();
    prober.next().await;
    assert_eq!(prober.metric("hubdns_flapping_addresses"), 0);
    prober.end().await;
}

#[tokio::test]
async fn an_address_in_doubt_is_asked_again_before_its_turn() {
    let (port, open) = listeners(&[11]);
    let interval = Duration::from_secs(2);
    let mut prober = start(Some(port), interval, set([ip(11)]));
    sleep(interval / 4).await;
    drop(open);
    let closed = Instant::now();
    assert_eq!(prober.next().await, [ip(11)]);
    // Three turns are two intervals apart at least.
    assert!(closed.elapsed() < interval * 2, "{:?}", closed.elapsed());
    assert_eq!(prober.metric(UNANSWERED), 3);
    prober.end().await;
}

#[tokio::test]
async fn an_address_that_vanishes_is_forgotten() {
    let (port, _open) = listeners(&[5]);
    let both = set([ip(5), ip(6)]);
    let mut prober = start(Some(port), Duration::from_millis(50), both.clone());
    assert_eq!(prober.next().await, [ip(6)]);
    prober.addresses.send(set([ip(5)])).unwrap();
    assert_eq!(prober.next().await, NOBODY);
    prober.addresses.send(both).unwrap();
    assert_eq!(prober.next().await, [ip(6)]);
    assert_eq!(prober.metric(WENT_DOWN), 2);
    assert_eq!(prober.metric(CAME_UP), 0);
    prober.end().await;
}

#[tokio::test]
async fn addresses_that_come_later_are_probed_too() {
    let (port, _open) = listeners(&[7]);
    let mut prober = start(Some(port), Duration::from_millis(50), set([]));
    sleep(Duration::from_millis(120)).await;
    prober.addresses.send(set([ip(7), ip(8)])).unwrap();
    assert_eq!(prober.next().await, [ip(8)]);
    prober.end().await;
}

#[tokio::test]
async fn with_probes_off_nothing_is_asked_and_the_report_stays_open() {
    let prober = start(None, Duration::from_millis(10), set([ip(9)]));
    sleep(Duration::from_millis(150)).await;
    assert!(!prober.report.has_changed().unwrap(), "neither changed nor closed");
    assert_eq!(prober.metric(UNANSWERED) + prober.metric(ANSWERED), 0);
    prober.end().await;
}

#[tokio::test]
async fn it_waits_for_its_end_when_the_list_has_no_owner_any_more() {
    let (port, _open) = listeners(&[10]);
    let Running { addresses, report, token, mut task, metrics: _ } =
        start(Some(port), Duration::from_millis(20), set([ip(10)]));
    drop(addresses);
    sleep(Duration::from_millis(100)).await;
    assert!(task.try_join_next().is_none());
    assert!(report.has_changed().is_ok(), "the report is not closed");
    token.cancel();
    timeout(PATIENCE, task.join_next()).await.expect("an end").unwrap().unwrap();
}

#[tokio::test]
async fn probes_are_spread_over_the_interval() {
    const ADDRESSES: u8 = 100;
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = everywhere.local_addr().unwrap().port();
    let interval = Duration::from_secs(2);
    let step = interval / u32::from(ADDRESSES);
    let started = Instant::now();
    let prober = start(Some(port), interval, set((0..ADDRESSES).map(|n| ip(n + 20))));
    for _ in 0..5 {
        sleep(interval / 10).await;
        let made = u128::from(prober.metric(ANSWERED));
        // One at the start, one that is due at this moment.
        let due = started.elapsed().as_millis() / step.as_millis() + 2;
        assert!(0 < made && made <= due, "{made} probes after {:?}", started.elapsed());
    }
    prober.end().await;
}

/// Connections of this host to `port` that wait for an answer, as the kernel lists them.
fn waiting_for(port: u16) -> usize {
    const SYN_SENT: &str = "02";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to_port = format!(":{port:04X}");
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    fields.filter(|it| it[3] == SYN_SENT && it[2].ends_with(&to_port)).count()
}

#[tokio::test]
async fn silence_everywhere_takes_no_more_sockets_than_allowed() {
    // Nobody accepts, and the queue of one is soon full: from then on there is silence.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let list = (1..=3).flat_map(|net| (1..=200).map(move |n| IpAddr::from([127, 1, net, n])));
    let prober = start(Some(port), Duration::from_millis(1_200), set(list));
    let mut most = 0;
    for _ in 0..30 {
        sleep(Duration::from_millis(50)).await;
        most = most.max(waiting_for(port));
    }
    // The kernel's list is no snapshot: one that ends while it is read can stand beside the one
    // that takes its place. Without the limit there would be 600.
    assert!((100..=300).contains(&most), "{most} at once");
    prober.end().await;
}
