//! The loop itself: one path from what was found to what is said.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    config::RefreshConfig,
    known::Known,
    scout::{Found, scout},
    state::StateFile,
    status::{RoundReport, Status},
    step::{Outcome, step},
};
use crate::{
    base::Chain,
    discover::{ACTIONS, CODES, DiscoverError, HostLookup, Source, SourceConfig},
    health::{HealthConfig, Prober, Unhealthy},
    inventory::{Inventory, SourceFacts},
    policy::{self, Outage, PolicyConfig},
    table::{AnswerTable, Publisher, compile, diff},
    telemetry::{Metrics, RoundOutcome},
};

/// What sources found and the loop has not looked at yet. Each source has one look in hand, so a
/// full queue only makes them wait.
const FOUND_MAX: usize = 16;
/// When a zone fails its addresses go down one probe after the other. Gathering them for a moment
/// makes one table of many.
const SETTLE: Duration = Duration::from_millis(100);
/// Changed names in the log of one publish; the rest is a number.
const CHANGES_LOGGED_MAX: usize = 20;

/// What a configuration says to the loop.
#[derive(Clone)]
pub struct Inputs {
    /// `[[source]]`.
    pub sources: Vec<SourceConfig>,
    /// What is said to whom.
    pub policy: PolicyConfig,
    /// `[refresh]`.
    pub refresh: RefreshConfig,
    /// `[health]`.
    pub health: HealthConfig,
    /// How the sources find AWS's hosts.
    pub lookup: HostLookup,
}

/// Another configuration for the loop.
pub struct Reconfigure {
    /// What it says.
    pub inputs: Inputs,
    /// Told when the table says so too.
    pub done: oneshot::Sender<()>,
}

/// Keeps the table right. Owns the only publisher.
pub struct Refresher {
    inputs: Inputs,
    publisher: Publisher,
    known: Known,
    state: StateFile,
    status: watch::Sender<Status>,
    round: Option<RoundReport>,
    metrics: Arc<Metrics>,
    now_secs: fn() -> u64,
    nudge: watch::Sender<u64>,
    found: (mpsc::Sender<Found>, mpsc::Receiver<Found>),
    scouts: (TaskTracker, CancellationToken),
    probed: watch::Sender<Arc<BTreeSet<IpAddr>>>,
    unhealthy: (watch::Sender<Unhealthy>, watch::Receiver<Unhealthy>),
    prober: CancellationToken,
}

/// What an inventory leads to.
struct Compiled {
    table: AnswerTable,
    addresses: BTreeSet<IpAddr>,
    outage: Outage,
}

// === impl Refresher ===

impl Refresher {
    /// A loop that has not looked at anything. `now_secs` tells the seconds since 1970.
    pub fn new(
        inputs: Inputs,
        publisher: Publisher,
        metrics: Arc<Metrics>,
        now_secs: fn() -> u64,
    ) -> Self {
        Self {
            known: Known::new(inputs.sources.iter().map(|source| source.name.clone())),
            state: StateFile::new(inputs.refresh.state_file.clone(), Arc::clone(&metrics)),
            inputs,
            publisher,
            status: watch::Sender::new(Status::default()),
            round: None,
            metrics,
            now_secs,
            nudge: watch::Sender::new(0),
            found: mpsc::channel(FOUND_MAX),
            scouts: (TaskTracker::new(), CancellationToken::new()),
            probed: watch::Sender::new(Arc::default()),
            unhealthy: watch::channel(Unhealthy::default()),
            prober: CancellationToken::new(),
        }
    }

    /// How things stand, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Puts the last good inventory in force, if there is one. Asks nobody.
    pub async fn restore(&mut self) {
        self.tell();
        if let Some(last_good) = self.state.read().await {
            let age_secs = (self.now_secs)().saturating_sub(last_good.written_at_secs);
            self.known.restore(last_good.inventory, age_secs);
            if self.known.has_facts() {
                tracing::info!(
                    age_secs,
                    "the last good inventory is in force until sources answer"
                );
                let compiled = self.compile(&self.known.inventory(None));
                self.publish(compiled);
            }
        }
        self.tell();
    }

    /// Looks, decides and publishes until `token` is cancelled.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Reconfigure>, token: CancellationToken) {
        self.send_scouts();
        self.send_prober();
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                // Some addresses went, or came back: no name goes by it, so nothing guards it.
                Ok(()) = self.unhealthy.1.changed() => {
                    sleep(SETTLE).await;
                    self.follow_health();
                }
                Some(found) = self.found.1.recv() => self.round(found).await,
                order = orders.recv() => match order {
                    Some(Reconfigure { inputs, done }) => {
                        self.reconfigure(inputs).await;
                        // Whoever asked may have gone; the configuration is in force all the same.
                        let _ = done.send(());
                    }
                    None => break,
                },
            }
        }
        self.scouts.1.cancel();
        self.prober.cancel();
        self.scouts.0.close();
        self.scouts.0.wait().await;
    }

    /// Starts a look-out for each source, and ends those before.
    fn send_scouts(&mut self) {
        self.scouts.1.cancel();
        self.scouts.1 = CancellationToken::new();
        let config = Arc::new(self.inputs.refresh.clone());
        for source in &self.inputs.sources {
            self.metrics.control.source(source.name.as_str(), ACTIONS, CODES);
            let source = Source::new(source.clone(), Arc::clone(&self.inputs.lookup));
            let found = self.found.0.clone();
            let (nudge, token) = (self.nudge.subscribe(), self.scouts.1.clone());
            self.scouts.0.spawn(scout(source, Arc::clone(&config), found, nudge, token));
        }
    }

    /// Starts probing as the configuration says, and ends what was before.
    fn send_prober(&mut self) {
        self.prober.cancel();
        self.prober = CancellationToken::new();
        self.unhealthy.0.send_replace(Unhealthy::default());
        let prober = Prober::new(self.inputs.health.clone(), Arc::clone(&self.metrics));
        let (addresses, report) = (self.probed.subscribe(), self.unhealthy.0.clone());
        self.scouts.0.spawn(prober.run(addresses, report, self.prober.clone()));
    }

    /// One source told something.
    async fn round(&mut self, found: Found) {
        // It was on its way while the configuration changed.
        if found.token.is_cancelled() {
            return;
        }
        self.metrics.control.round_duration.set(found.took.as_secs_f64());
        let (outcome, reason) = match found.facts {
            Ok(facts) => self.confirmed(facts).await,
            Err(error) => self.failed(&found.source, &error),
        };
        self.metrics.control.round(outcome);
        self.round = Some(RoundReport { ended: Instant::now(), outcome: outcome.word(), reason });
        // With no last good inventory the first table waits until every source has told
        // something: names of one that is late would be forwarded, and resolve elsewhere.
        if !self.publisher.reader().load().in_force()
            && self.known.all_reported()
            && self.known.has_facts()
        {
            let compiled = self.compile(&self.known.inventory(None));
            self.publish(compiled);
        }
        self.tell();
    }

    /// A source told its facts: believe them, unless too much would go.
    async fn confirmed(&mut self, facts: SourceFacts) -> (RoundOutcome, Option<String>) {
        let in_force = self.publisher.reader().load().in_force();
        let inventory = self.known.inventory(Some(&facts));
        let percent = self.inputs.refresh.shrink_guard_percent;
        let compiled = in_force.then(|| self.compile(&inventory));
        let now_in_force = self.publisher.reader().hold();
        let Some(source) = self.known.get_mut(&facts.source) else {
            return (RoundOutcome::Unchanged, None);
        };
        source.reported = true;
        if source.error.take().is_some() {
            tracing::info!(source = %facts.source, "the source answers again");
        }
        let outcome = compiled.as_ref().map(|compiled| {
            let current = now_in_force.table();
            let (outcome, guard) = step(current, &compiled.table, &source.guard, percent);
            source.guard = guard;
            outcome
        });
        if let Some(Outcome::Keep(reason)) = outcome {
            tracing::warn!(source = %facts.source, %reason, "what was found is not believed yet");
            return (RoundOutcome::Kept, Some(reason.to_string()));
        }
        source.facts = Some(facts);
        source.confirmed = Some(Instant::now());
        source.from_state_file = None;
        self.state.keep(&inventory, (self.now_secs)()).await;
        match (outcome, compiled) {
            (Some(Outcome::Publish), Some(compiled)) => {
                self.publish(compiled);
                (RoundOutcome::Published, None)
            }
            (Some(_) | None, _) => (RoundOutcome::Unchanged, None),
        }
    }

    /// A source could not be asked: one line with everything, and what it told before stays.
    fn failed(
        &mut self,
        name: &crate::base::SourceName,
        error: &DiscoverError,
    ) -> (RoundOutcome, Option<String>) {
        let (action, code) = (error.action(), error.code());
        let text = Chain(error).to_string();
        self.metrics.control.discovery_failed(name.as_str(), action, code);
        tracing::warn!(
            source = %name, action, code, error = text,
            "discovery failed; what the source told before stays in force"
        );
        if let Some(source) = self.known.get_mut(name) {
            source.reported = true;
            source.error = Some(text.clone());
        }
        (RoundOutcome::Kept, Some(format!("source {name}: {text}")))
    }

    /// Says what is known without the addresses that are down now. One that went down may have
    /// been replaced, so the sources are asked at once.
    fn follow_health(&mut self) {
        self.nudge.send_modify(|count| *count += 1);
        let published = self.publisher.reader().hold();
        let compiled = self.compile(&self.known.inventory(None));
        if published.in_force() && compiled.table != *published.table() {
            self.publish(compiled);
        }
    }

    /// Another configuration: what it says holds at once, and the guard has no say in it.
    async fn reconfigure(&mut self, inputs: Inputs) {
        let health_changed = self.inputs.health != inputs.health;
        self.known.renew(inputs.sources.iter().map(|source| source.name.clone()));
        self.state.move_to(inputs.refresh.state_file.clone());
        self.inputs = inputs;
        self.send_scouts();
        if health_changed {
            self.send_prober();
        }
        if self.publisher.reader().load().in_force() {
            let compiled = self.compile(&self.known.inventory(None));
            self.publish(compiled);
        }
        self.tell();
    }

    fn compile(&self, inventory: &Inventory) -> Compiled {
        let policy = &self.inputs.policy;
        let plan = policy::plan(inventory, policy);
        let claims = plan.views.iter().flat_map(|view| &view.claims);
        let addresses = claims.flat_map(|claim| &claim.addresses).map(|it| it.ip).collect();
        let unhealthy = self.unhealthy.1.borrow().clone();
        let plan = policy::without(plan, &|ip| unhealthy.contains(ip));
        Compiled { table: compile(&plan, policy), addresses, outage: Outage::of(&plan) }
    }

    /// Puts a table in force, and says what is different.
    fn publish(&mut self, compiled: Compiled) {
        let Compiled { table, addresses, outage } = compiled;
        let before = self.publisher.reader().hold();
        let changes = diff(before.table(), &table);
        let hash = table.hash().to_string();
        let control = &self.metrics.control;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        control.unhealthy_addresses.set(number(outage.unhealthy_addresses));
        control.endpoints_failing_open.set(number(outage.endpoints_failing_open));
        self.probed.send_if_modified(|known| {
            let new = **known != addresses;
            if new {
                *known = Arc::new(addresses);
            }
            new
        });
        let mut views = Vec::new();
        for view in table.views() {
            let mut declined: BTreeMap<&str, usize> = BTreeMap::new();
            for declination in view.declined() {
                *declined.entry(declination.why.word()).or_default() += 1;
            }
            views.push((view.name().clone(), view.len(), declined));
        }
        let names = table.len();
        let generation = self.publisher.publish(table);
        control.table_starts(generation.as_u64(), &hash);
        for (view, names, declined) in &views {
            let declined: Vec<_> = declined.iter().map(|(word, count)| (*word, *count)).collect();
            control.table_view(view.as_str(), *names, &declined);
        }
        if before.in_force() {
            for change in changes.iter().take(CHANGES_LOGGED_MAX) {
                tracing::info!(view = %change.view, %change, "answer changes");
            }
        }
        tracing::info!(
            generation = generation.as_u64(),
            hash,
            names,
            changes = changes.len(),
            "a table is in force"
        );
    }

    fn tell(&self) {
        let status = Status { sources: self.known.status(), round: self.round.clone() };
        self.status.send_replace(status);
    }
}
