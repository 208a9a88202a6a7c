//! The task that probes: asks one address after the other, evenly over the interval.
//!
//! Never in the way of anything: it holds no lock across a wait, its sockets are bounded, and what
//! it finds is a value that others read when they like.

use std::{
    collections::{BTreeSet, VecDeque},
    future::pending,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    HealthConfig, Unhealthy,
    connect::connect,
    roster::Roster,
    state::{Observed, Transition},
};
use crate::telemetry::{HealthVerdict, Metrics, ProbeResult};

/// How long an interface may take to accept: within a region a connection stands in a few
/// milliseconds, and the first retransmission of a lost SYN comes after 1 s.
const TIMEOUT_MAX: Duration = Duration::from_secs(2);

/// Probes at once, each a socket. When nothing answers, each lasts 2 s, so this is 128 a second,
/// or 640 addresses at the default interval of 5 s; more take longer a round.
const PROBES_IN_FLIGHT_MAX: usize = 256;

/// An address that did not answer is asked again after this part of the interval, and not when its
/// turn comes: two more silences and it is left out, so clients are sent there for 2 to 7 s at the
/// default interval where it refuses, and for 7 to 12 s where it is silent.
const DOUBT_PART: u32 = 5;

/// Finds out which addresses do not answer.
pub struct Prober {
    config: HealthConfig,
    metrics: Arc<Metrics>,
}

// === impl Prober ===

impl Prober {
    /// One that probes nothing yet.
    pub fn new(config: HealthConfig, metrics: Arc<Metrics>) -> Self {
        Self { config, metrics }
    }

    /// Probes the addresses of the moment until it is told to end, and reports which are down
    /// whenever that changes. With probes off it waits for the end and reports nothing.
    pub async fn run(
        self,
        addresses: watch::Receiver<Arc<BTreeSet<IpAddr>>>,
        report: watch::Sender<Unhealthy>,
        token: CancellationToken,
    ) {
        if let Some(port) = self.config.tcp_port {
            token.run_until_cancelled(self.probe(port, addresses, &report)).await;
        }
        // `report` stays until the end: a reader takes its absence for the end.
        token.cancelled().await;
    }

    /// Ends when nobody can change the list of addresses any more.
    async fn probe(
        &self,
        port: u16,
        mut addresses: watch::Receiver<Arc<BTreeSet<IpAddr>>>,
        report: &watch::Sender<Unhealthy>,
    ) {
        let timeout = self.config.interval.min(TIMEOUT_MAX);
        let mut roster = Roster::default();
        roster.set(&addresses.borrow_and_update().clone());
        // The one before may have said something.
        self.publish(report, &roster);
        let mut probes = FuturesUnordered::new();
        let mut due = Instant::now();
        // In the order in which they are due: all wait for the same time.
        let mut doubted: VecDeque<(Instant, IpAddr)> = VecDeque::new();
        let probe = |ip| async move { (ip, connect(SocketAddr::new(ip, port), timeout).await) };
        loop {
            let may_ask = !roster.is_empty() && probes.len() < PROBES_IN_FLIGHT_MAX;
            tokio::select! {
                changed = addresses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    roster.set(&addresses.borrow_and_update().clone());
                    self.publish(report, &roster);
                }
                Some((ip, result)) = probes.next() => {
                    if self.heard(&mut roster, ip, result) {
                        self.publish(report, &roster);
                    }
                    if result == ProbeResult::Unanswered && roster.doubts(ip) {
                        doubted.push_back((Instant::now() + self.config.interval / DOUBT_PART, ip));
                    }
                }
                () = first_due(&doubted), if may_ask => {
                    let ip = doubted.pop_front().map(|(_, ip)| ip);
                    probes.extend(ip.filter(|ip| roster.doubts(*ip)).map(probe));
                }
                () = sleep_until(due), if may_ask => {
                    probes.extend(roster.next().map(probe));
                    due = after(due, roster.step(self.config.interval), Instant::now());
                }
            }
        }
    }

    /// Notes one probe. Whether what is said of the address has changed.
    fn heard(&self, roster: &mut Roster, ip: IpAddr, result: ProbeResult) -> bool {
        self.metrics.control.probed(result);
        let answered = match result {
            ProbeResult::Answered => true,
            ProbeResult::Unanswered => false,
            ProbeResult::NotAsked => return false,
        };
        let observed = roster.observe(ip, answered);
        match observed.verdict {
            Some(Transition::WentDown) => {
                match roster.is_unheard(ip) {
                    true => tracing::info!(%ip, "an address has not answered any probe"),
                    false => {
                        tracing::warn!(%ip, state = "down", "an address does not answer probes");
                    }
                }
                self.metrics.control.health_changed(HealthVerdict::Down);
            }
            Some(Transition::CameUp) => {
                tracing::info!(%ip, state = "up", "an address answers probes again");
                self.metrics.control.health_changed(HealthVerdict::Up);
            }
            None => (),
        }
        match observed.flaps {
            Some(true) => tracing::warn!(
                %ip,
                "an address flaps: each time it has to answer longer before it is given out again"
            ),
            Some(false) => tracing::info!(%ip, "an address flaps no more"),
            None => (),
        }
        observed != Observed::default()
    }

    fn publish(&self, report: &watch::Sender<Unhealthy>, roster: &Roster) {
        let unhealthy = roster.unhealthy();
        let flapping = i64::try_from(unhealthy.flapping().len()).unwrap_or(i64::MAX);
        self.metrics.control.flapping_addresses.set(flapping);
        report.send_if_modified(|known| {
            let changed = *known != unhealthy;
            if changed {
                *known = unhealthy;
            }
            changed
        });
    }
}

/// When the first of those that are asked again is due; never without any.
async fn first_due(doubted: &VecDeque<(Instant, IpAddr)>) {
    match doubted.front() {
        Some((due, _)) => sleep_until(*due).await,
        None => pending().await,
    }
}

/// When the next probe is due. Time that was lost is not made up for: that would be a burst.
fn after(due: Instant, step: Duration, now: Instant) -> Instant {
    let next = due + step;
    if next < now { now + step } else { next }
}
