//! The loop itself: one path from what was found to what is said.

use std::{collections::BTreeSet, future::pending, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    compiled::Compiled,
    config::RefreshConfig,
    configuring::Configurations,
    drains::DrainedZones,
    history::{Cause, History, Publications},
    known::{Known, Scouting},
    order::{Awaited, Control, Looks, Order, OrderError},
    probing::PROBER_BACK_AFTER,
    retire::retire,
    scout::{Found, Signals, scout},
    state::StateFile,
    status::{RoundReport, Status},
};
use crate::{
    base::SourceName,
    discover::{ACTIONS, CODES, CallPace, HostLookup, Source, SourceConfig},
    health::{HealthConfig, Unhealthy},
    inventory::Inventory,
    policy::{Outage, PolicyConfig},
    table::{Published, Publisher},
    telemetry::Metrics,
};

/// What sources found and the loop has not looked at yet. Each source has one look in hand, so a
/// full queue makes some of them wait, and loses nothing.
const FOUND_MAX: usize = 16;
/// First looks are so far apart: each asks the metadata service for credentials, about 8 packets out of
/// the 1,024 a second that the link takes, which the VPC's resolver is asked by, too. 40 sources a second
/// are a third of it.
const STARTS_APART: Duration = Duration::from_millis(25);
/// When a zone fails its addresses go down one probe after the other. Gathering them for a moment
/// makes one table of many.
const SETTLE: Duration = Duration::from_millis(100);

/// What a configuration says to the loop.
#[derive(Clone)]
pub struct Inputs {
    /// `[[source]]`.
    pub sources: Vec<SourceConfig>,
    /// What is said to whom.
    pub policy: Arc<PolicyConfig>,
    /// `[refresh]`.
    pub refresh: RefreshConfig,
    /// `[health]`.
    pub health: HealthConfig,
    /// How the sources find AWS's hosts.
    pub lookup: HostLookup,
}

/// Keeps the table right. Owns the only publisher.
pub struct Refresher {
    pub(super) inputs: Inputs,
    publisher: Publisher,
    pub(super) known: Known,
    pub(super) state: StateFile,
    status: watch::Sender<Status>,
    pub(super) round: Option<RoundReport>,
    pub(super) history: History,
    pub(super) metrics: Arc<Metrics>,
    pub(super) now_secs: fn() -> u64,
    orders: (Control, mpsc::Receiver<Order>),
    /// Given to each order of looks, and told by the looks that began after it.
    ticket: u64,
    pub(super) awaited: Awaited,
    pub(super) drained: DrainedZones,
    /// When the first table waits for late sources no longer.
    pub(super) late_at: Option<Instant>,
    /// Whether the state file is behind, for a source that has told nothing yet.
    pub(super) withheld: bool,
    /// What the table in force leaves out.
    pub(super) outage: Outage,
    found: (mpsc::Sender<Found>, mpsc::Receiver<Found>),
    /// Of the calls of all sources, whatever configuration they are of.
    pace: CallPace,
    /// Scouts. One that dies ends the loop, and so the daemon.
    tasks: JoinSet<()>,
    /// [`PROBER_BACK_AFTER`].
    pub(super) prober_back_after: Duration,
    /// The prober, and one before it that ends. The daemon does without.
    pub(super) probers: JoinSet<()>,
    ends: CancellationToken,
    pub(super) prober: CancellationToken,
    pub(super) probed: watch::Sender<Arc<BTreeSet<IpAddr>>>,
    pub(super) unhealthy: watch::Receiver<Unhealthy>,
    /// What it said when it was followed last.
    pub(super) followed: Unhealthy,
}

/// That moment; never without one.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

// === impl Refresher ===

impl Refresher {
    /// A loop that has not looked at anything. `now_secs` tells the seconds since 1970. Must be
    /// called within the runtime.
    pub fn new(
        inputs: Inputs,
        publisher: Publisher,
        metrics: Arc<Metrics>,
        now_secs: fn() -> u64,
    ) -> Self {
        let (path, status) = (inputs.refresh.state_file.clone(), watch::Sender::default());
        Self {
            known: Known::new(inputs.sources.iter().map(|source| source.name.clone())),
            state: StateFile::new(path, Arc::clone(&metrics), status.clone()),
            inputs,
            publisher,
            status,
            round: None,
            history: History::default(),
            metrics,
            now_secs,
            orders: Control::new(),
            ticket: 0,
            awaited: Awaited::default(),
            drained: DrainedZones::default(),
            late_at: None,
            withheld: false,
            outage: Outage::default(),
            found: mpsc::channel(FOUND_MAX),
            pace: CallPace::new(),
            tasks: JoinSet::new(),
            prober_back_after: PROBER_BACK_AFTER,
            probers: JoinSet::new(),
            ends: CancellationToken::new(),
            prober: CancellationToken::new(),
            probed: watch::Sender::new(Arc::default()),
            unhealthy: watch::channel(Unhealthy::default()).1,
            followed: Unhealthy::default(),
        }
    }

    /// How things stand, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The last tables that went into force, the newest first.
    pub fn publications(&self) -> watch::Receiver<Publications> {
        self.history.subscribe()
    }

    /// The way for people's orders. They are looked at from [`run`](Self::run) on.
    pub fn control(&self) -> Control {
        self.orders.0.clone()
    }

    /// Puts the last good inventory in force, if there is one. Asks nobody.
    pub async fn restore(&mut self) {
        self.restore_drains().await;
        self.tell();
        if let Some(last_good) = self.state.read(&self.metrics).await {
            let age_secs = (self.now_secs)().saturating_sub(last_good.written_at_secs);
            self.known.restore(last_good.inventory, age_secs);
            if self.known.has_facts() {
                tracing::info!(
                    age_secs,
                    "the last good inventory is in force until sources answer"
                );
                let compiled = self.compile(self.known.inventory(None)).await;
                self.publish(compiled, Cause::LastGood);
            }
        }
        self.tell();
    }

    /// Looks, decides and publishes until `token` is cancelled, or a part of it dies.
    pub async fn run(mut self, mut configurations: Configurations, token: CancellationToken) {
        self.send_scouts(false);
        self.send_prober();
        let (mut settled_at, mut prober_due): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                Some(ended) = self.tasks.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a source's look-out died");
                    break;
                },
                Some(ended) = self.probers.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "the prober died; all addresses are given until it is back");
                    self.forget_health();
                    prober_due = Some(Instant::now() + self.prober_back_after);
                },
                () = reached(prober_due) => {
                    prober_due = None;
                    self.send_prober();
                }
                // Some addresses went, or came back: no name goes by it, so nothing guards it.
                Ok(()) = self.unhealthy.changed() => {
                    settled_at.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                () = reached(settled_at) => {
                    settled_at = None;
                    self.follow_health().await;
                }
                () = reached(self.late_at) => self.begin_without_the_late().await,
                Some(found) = self.found.1.recv() => self.round(found).await,
                Some(order) = self.orders.1.recv() => self.carry_out(order).await,
                next = configurations.next() => match next {
                    Some((number, inputs)) => {
                        self.reconfigure(inputs).await;
                        configurations.done(number);
                    }
                    None => break,
                },
            }
        }
        self.ends.cancel();
        self.prober.cancel();
        while self.tasks.join_next().await.is_some() {}
        while self.probers.join_next().await.is_some() {}
        self.state.close().await;
    }

    /// Has a scout look at each source now. One that does so already goes on with the session that it
    /// has, unless its source, how often it looks or how AWS's hosts are found have changed: credentials
    /// are not asked for anew by each reload.
    fn send_scouts(&mut self, keep: bool) {
        let config = Arc::new(self.inputs.refresh.clone());
        let mut begins = Duration::ZERO;
        for source in &self.inputs.sources {
            let interval = source.interval.unwrap_or(config.interval);
            self.metrics.control.source(source.name.as_str(), interval, ACTIONS, CODES);
            let Some(known) = self.known.get_mut(&source.name) else { continue };
            let wanted = (source.clone(), interval, config.services_interval);
            if keep && known.scout.as_ref().is_some_and(|scout| scout.config == wanted) {
                known.ask(self.ticket);
                continue;
            }
            let token = self.ends.child_token();
            known.scout = Some(Scouting { config: wanted, _ends: token.clone().drop_guard() });
            let signals = Signals {
                nudge: known.nudge.subscribe(),
                asked: known.asked.subscribe(),
                doubt: Arc::clone(&known.doubt),
                table: self.publisher.reader(),
                token: token.clone(),
            };
            let (lookup, pace) = (Arc::clone(&self.inputs.lookup), self.pace.clone());
            let source = Source::new(source.clone(), lookup, pace);
            let scout = scout(source, Arc::clone(&config), self.found.0.clone(), signals);
            self.tasks.spawn(async move {
                if token.run_until_cancelled(sleep(begins)).await.is_some() {
                    scout.await;
                }
            });
            begins += STARTS_APART;
        }
    }

    /// What a person ordered.
    async fn carry_out(&mut self, order: Order) {
        match order {
            // Whoever asked may have gone.
            Order::Look { source, accept, told } => {
                let _ = told.send(self.look(source.as_deref(), accept));
            }
            Order::Zone { zone, drain, told } => {
                let _ = told.send(self.drain(&zone, drain).await);
            }
        }
    }

    /// Sends the scout of one source, or of all, at once.
    fn look(&mut self, source: Option<&str>, accept: bool) -> Result<Looks, OrderError> {
        let all = self.inputs.sources.iter().map(|source| source.name.clone());
        let wanted = |name: &SourceName| source.is_none_or(|wanted| name.as_str() == wanted);
        let sources: Vec<SourceName> = all.filter(wanted).collect();
        if sources.is_empty() {
            let known: Vec<&str> = self.inputs.sources.iter().map(|it| it.name.as_str()).collect();
            let name = source.unwrap_or_default().to_owned();
            return Err(OrderError::UnknownSource { name, known: known.join(", ") });
        }
        self.ticket += 1;
        let rounds = self.awaited.add(self.ticket, accept, sources.clone());
        for name in &sources {
            if let Some(source) = self.known.get_mut(name) {
                source.ask(self.ticket);
            }
        }
        tracing::info!(?sources, accept, by = "control socket", "sources are asked now");
        Ok(Looks { sources, rounds })
    }

    /// Says what is known as the configuration and the addresses that are down would have it now,
    /// where that is something else.
    pub(super) async fn say_again(&mut self, cause: Cause) {
        let in_force = self.in_force();
        if in_force.in_force() {
            let compiled = self.compile(self.known.inventory(None)).await;
            if compiled.table != *in_force.table() {
                self.publish(compiled, cause);
            }
        }
    }

    /// Another configuration: what it says holds at once, and the guard has no say in it.
    async fn reconfigure(&mut self, inputs: Inputs) {
        let health_changed = self.inputs.health != inputs.health;
        let names = |inputs: &Inputs| -> Vec<SourceName> {
            inputs.sources.iter().map(|source| source.name.clone()).collect()
        };
        // Nothing else of a configuration is in a table.
        let says_else =
            self.inputs.policy != inputs.policy || names(&self.inputs) != names(&inputs);
        self.known.renew(&self.inputs.sources, &inputs.sources);
        let stays = |name: &SourceName| inputs.sources.iter().any(|source| source.name == *name);
        for gone in self.inputs.sources.iter().filter(|source| !stays(&source.name)) {
            self.metrics.control.forget_source(gone.name.as_str(), ACTIONS, CODES);
        }
        self.awaited.keep(&stays);
        self.state.move_to(inputs.refresh.state_file.clone());
        let moved = self.inputs.refresh.state_file != inputs.refresh.state_file;
        let same_hosts = Arc::ptr_eq(&self.inputs.lookup, &inputs.lookup);
        self.inputs = inputs;
        if moved {
            // Also an empty list: a file that is there may have others of another time. What cannot
            // be written has been told and counted.
            let _ = self.keep_drains().await;
        }
        self.send_scouts(same_hosts);
        if health_changed {
            self.send_prober();
        }
        if says_else {
            self.say_again(Cause::Reload).await;
        }
        self.tell();
    }

    pub(super) async fn compile(&self, inventory: Inventory) -> Compiled {
        let unhealthy = self.unhealthy.borrow().clone();
        let policy = Arc::clone(&self.inputs.policy);
        let drained = self.drained.clone();
        Compiled::new(inventory, policy, unhealthy, drained, self.in_force()).await
    }

    /// Puts a table in force, and says what is different.
    pub(super) fn publish(&mut self, compiled: Compiled, cause: Cause) {
        self.probed.send_if_modified(|known| {
            let new = *known != compiled.addresses;
            if new {
                *known = Arc::clone(&compiled.addresses);
            }
            new
        });
        self.outage = compiled.outage;
        let (control, now_secs) = (&self.metrics.control, (self.now_secs)());
        let (publication, replaced) =
            compiled.publish(&mut self.publisher, control, cause, now_secs);
        self.history.add(Arc::new(publication));
        let token = self.ends.clone();
        self.tasks.spawn(async move {
            token.run_until_cancelled(retire(replaced)).await;
        });
    }

    pub(super) fn in_force(&self) -> Arc<Published> {
        self.publisher.reader().hold()
    }

    pub(super) fn tell(&self) {
        self.status.send_modify(|status| {
            *status = Status {
                sources: self.known.status(),
                round: self.round.clone(),
                drained: self.drained.list(),
                flapping: self.unhealthy.borrow().flapping().clone(),
                // It is the state file's to tell.
                unkept: status.unkept.take(),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use super::*;
    use crate::{discover::SourceKind, refresh::configuring::tests::inputs, table};

    /// What a reload changes, and how many scouts are sent for it.
    type Change<'c> = (&'c dyn Fn(&mut Inputs), usize);

    #[tokio::test]
    async fn a_reload_opens_a_session_anew_only_where_what_it_is_for_has_changed() {
        let source = SourceConfig {
            name: "hub".into(),
            kind: SourceKind::Demo,
            vpc_ids: vec![],
            tags: BTreeMap::new(),
            subnets: false,
            interval: None,
        };
        let before = Inputs { sources: vec![source], ..inputs(60) };
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut refresher = Refresher::new(before.clone(), table::channel().0, metrics, || 0);
        refresher.send_scouts(false);
        let (minute, folder) = (Duration::from_secs(61), tempfile::tempdir().unwrap());
        let changes: [Change<'_>; 7] = [
            (&|_| (), 0),
            (&|it| it.refresh.shrink_guard_percent = 50, 0),
            (&|it| it.refresh.state_file = Some(PathBuf::from(folder.path()).join("state")), 0),
            (&|it| it.sources[0].interval = Some(minute), 1),
            (&|it| it.refresh.interval = minute, 0),
            (&|it| it.refresh.services_interval = minute, 1),
            (&|it| it.sources[0].vpc_ids = vec!["vpc-1".into()], 1),
        ];
        let mut wanted = before;
        for (at, (change, sent)) in changes.into_iter().enumerate() {
            change(&mut wanted);
            let scouts = refresher.tasks.len();
            refresher.reconfigure(wanted.clone()).await;
            assert_eq!(refresher.tasks.len() - scouts, sent, "the change {at}");
        }
    }
}
