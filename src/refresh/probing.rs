//! The prober, as the loop has it: sent, followed, and gone without.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{history::Cause, refresher::Refresher};
use crate::health::{Prober, Unhealthy};

/// A prober that died is sent again after this: one that dies of what it always meets must not fill the
/// log.
pub(super) const PROBER_BACK_AFTER: Duration = Duration::from_secs(10);

// === impl Refresher ===

impl Refresher {
    /// Starts probing as the configuration says, and ends what was before. The new prober knows
    /// nothing yet and has a channel of its own: what the old one still says is not heard.
    pub(super) fn send_prober(&mut self) {
        self.prober.cancel();
        self.prober = CancellationToken::new();
        let prober = Prober::new(self.inputs.health.clone(), Arc::clone(&self.metrics));
        let (report, unhealthy) = watch::channel(Unhealthy::default());
        self.unhealthy = unhealthy;
        // Seen at once, so that what the old one had left out comes back.
        self.unhealthy.mark_changed();
        self.probers.spawn(prober.run(self.probed.subscribe(), report, self.prober.clone()));
    }

    /// Takes no address for down until a prober tells.
    pub(super) fn forget_health(&mut self) {
        self.unhealthy = watch::channel(Unhealthy::default()).1;
        self.unhealthy.mark_changed();
    }

    /// Follows the prober. An address that went down may have been replaced, so its source is asked
    /// soon.
    pub(super) async fn follow_health(&mut self) {
        let now = self.unhealthy.borrow_and_update().clone();
        let went: BTreeSet<IpAddr> =
            now.iter().filter(|ip| !self.followed.contains(ip)).copied().collect();
        self.followed = now;
        if !went.is_empty() {
            self.known.nudge(&went);
        }
        self.say_again(Cause::Health).await;
        self.tell();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        net::{IpAddr, TcpListener},
        sync::Arc,
        time::Duration,
    };

    use tokio::{
        sync::{oneshot, watch},
        time::{sleep, timeout},
    };
    use tokio_util::sync::CancellationToken;

    use crate::{
        discover::{SourceConfig, SourceKind},
        health::{HealthConfig, Unhealthy},
        policy::{PolicyConfig, facts},
        refresh::{Inputs, Refresher, configuring, configuring::tests::inputs, history::Cause},
        table,
        telemetry::Metrics,
    };

    const FIRST: &str = "127.0.0.1";
    const SECOND: &str = "127.0.0.2";

    /// A port that is free at both addresses, and open at the first.
    fn port_of_both() -> (TcpListener, u16) {
        loop {
            let first = TcpListener::bind((FIRST, 0)).unwrap();
            let port = first.local_addr().unwrap().port();
            if TcpListener::bind((SECOND, port)).is_ok() {
                return (first, port);
            }
        }
    }

    fn refresher() -> Refresher {
        let metrics = Arc::new(Metrics::new().unwrap());
        Refresher::new(inputs(60), table::channel().0, metrics, || 0)
    }

    #[tokio::test]
    async fn a_prober_that_dies_ends_nothing() {
        let mut refresher = refresher();
        refresher.probers.spawn(async { panic!("as by a mistake of ours") });
        let (_configurer, configurations) = configuring();
        let runs = refresher.run(configurations, CancellationToken::new());
        assert!(timeout(Duration::from_millis(200), runs).await.is_err(), "the loop goes on");
    }

    #[tokio::test]
    async fn what_a_prober_said_that_died_holds_no_more() {
        let mut refresher = refresher();
        let down: Unhealthy = [IpAddr::from([10, 0, 1, 5])].into_iter().collect();
        refresher.unhealthy = watch::channel(down).1;
        refresher.follow_health().await;
        assert_eq!(refresher.followed.len(), 1);
        refresher.forget_health();
        assert!(refresher.unhealthy.has_changed().is_err(), "nobody is left who could tell");
        refresher.follow_health().await;
        assert!(refresher.followed.is_empty());
    }

    #[tokio::test]
    async fn a_prober_that_died_is_back_after_a_while_and_what_it_left_out_at_once() {
        let (_first, port) = port_of_both();
        let folder = tempfile::tempdir().unwrap();
        let source = SourceConfig {
            name: "hub".into(),
            kind: SourceKind::Files { path: folder.path().to_owned() },
            vpc_ids: vec![],
            tags: BTreeMap::new(),
            subnets: false,
            interval: None,
        };
        let health = HealthConfig { tcp_port: Some(port), interval: Duration::from_millis(100) };
        let inputs = Inputs { sources: vec![source], health, ..inputs(60) };
        let (publisher, reader) = table::channel();
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut refresher = Refresher::new(inputs, publisher, metrics, || 0);
        refresher.prober_back_after = Duration::from_millis(200);
        let endpoint = &format!("vpce-1 s.a a={FIRST} b={SECOND} names=x.example");
        refresher.known.restore(facts::inventory(endpoint), 0);
        let compiled = refresher.compile(refresher.known.inventory(None)).await;
        refresher.publish(compiled, Cause::LastGood);
        let (dies, death) = oneshot::channel::<()>();
        refresher.probers.spawn(async {
            let _ = death.await;
            panic!("as by a mistake of ours");
        });
        let (_configurer, configurations) = configuring();
        let token = CancellationToken::new();
        let given = || {
            let published = reader.load();
            let view = published.table().view(PolicyConfig::REST_VIEW).unwrap();
            view.entries()[0].claim().addresses.len()
        };
        let gives = async |count: usize, within: Duration| {
            let seen = async {
                while given() != count {
                    sleep(Duration::from_millis(20)).await;
                }
            };
            timeout(within, seen).await.is_ok()
        };
        // Who has never answered is not told to be down: it answers, and again if that was a prober
        // before, until somebody tells.
        let is_told_down = async || {
            for _ in 0..20 {
                let listens = tokio::net::TcpListener::bind((SECOND, port)).await.unwrap();
                for _ in 0..3 {
                    let asked = timeout(Duration::from_secs(1), listens.accept()).await;
                    drop(asked);
                }
                drop(listens);
                if gives(1, Duration::from_secs(1)).await {
                    return true;
                }
            }
            false
        };
        let watched = async {
            assert!(is_told_down().await, "an address is down");
            dies.send(()).unwrap();
            assert!(gives(2, Duration::from_secs(10)).await, "nobody tells of it any more");
            assert!(is_told_down().await, "another prober tells");
            token.cancel();
        };
        tokio::join!(refresher.run(configurations, token.clone()), watched);
    }
}
