//! The loop itself: one path from what was found to what is said.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    compiled::Compiled,
    config::RefreshConfig,
    known::Known,
    retire::retire,
    scout::{Found, scout},
    state::StateFile,
    status::{RoundReport, Status},
    step::{Outcome, step},
};
use crate::{
    base::{Chain, SourceName},
    discover::{ACTIONS, CODES, DiscoverError, HostLookup, Source, SourceConfig},
    health::{HealthConfig, Prober, Unhealthy},
    inventory::{Inventory, SourceFacts},
    policy::PolicyConfig,
    table::{Published, Publisher},
    telemetry::{Metrics, RoundOutcome},
};

/// What sources found and the loop has not looked at yet. Each source has one look in hand, so a
/// full queue makes some of them wait, and loses nothing.
const FOUND_MAX: usize = 16;
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
    /// Scouts and the prober. One that dies ends the loop, and so the daemon.
    tasks: JoinSet<()>,
    scouts: CancellationToken,
    prober: CancellationToken,
    probed: watch::Sender<Arc<BTreeSet<IpAddr>>>,
    unhealthy: watch::Receiver<Unhealthy>,
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
            tasks: JoinSet::new(),
            scouts: CancellationToken::new(),
            prober: CancellationToken::new(),
            probed: watch::Sender::new(Arc::default()),
            unhealthy: watch::channel(Unhealthy::default()).1,
        }
    }

    /// How things stand, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Puts the last good inventory in force, if there is one. Asks nobody.
    pub async fn restore(&mut self) {
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
                self.publish(compiled);
            }
        }
        self.tell();
    }

    /// Looks, decides and publishes until `token` is cancelled, or a part of it dies.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Reconfigure>, token: CancellationToken) {
        self.send_scouts();
        self.send_prober();
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                Some(ended) = self.tasks.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a source's look-out or the prober died");
                    break;
                },
                // Some addresses went, or came back: no name goes by it, so nothing guards it.
                Ok(()) = self.unhealthy.changed() => {
                    sleep(SETTLE).await;
                    self.follow_health().await;
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
        self.scouts.cancel();
        self.prober.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.state.close().await;
    }

    /// Starts a look-out for each source, and ends those before.
    fn send_scouts(&mut self) {
        self.scouts.cancel();
        self.scouts = CancellationToken::new();
        let config = Arc::new(self.inputs.refresh.clone());
        for source in &self.inputs.sources {
            self.metrics.control.source(source.name.as_str(), ACTIONS, CODES);
            let Some(known) = self.known.get_mut(&source.name) else { continue };
            let doubt = Arc::clone(&known.doubt);
            let source = Source::new(source.clone(), Arc::clone(&self.inputs.lookup));
            let found = self.found.0.clone();
            let (nudge, token) = (self.nudge.subscribe(), self.scouts.clone());
            self.tasks.spawn(scout(source, Arc::clone(&config), found, nudge, doubt, token));
        }
    }

    /// Starts probing as the configuration says, and ends what was before. The new prober knows
    /// nothing yet and has a channel of its own: what the old one still says is not heard.
    fn send_prober(&mut self) {
        self.prober.cancel();
        self.prober = CancellationToken::new();
        let prober = Prober::new(self.inputs.health.clone(), Arc::clone(&self.metrics));
        let (report, unhealthy) = watch::channel(Unhealthy::default());
        self.unhealthy = unhealthy;
        // Seen at once, so that what the old one had left out comes back.
        self.unhealthy.mark_changed();
        self.tasks.spawn(prober.run(self.probed.subscribe(), report, self.prober.clone()));
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
        if !self.in_force().in_force() && self.known.all_reported() && self.known.has_facts() {
            let inventory = self.known.inventory(None);
            let compiled = self.compile(inventory.clone()).await;
            self.publish(compiled);
            self.state.keep(inventory, (self.now_secs)());
        }
        self.tell();
    }

    /// A source told its facts: believe them, unless too much would go.
    async fn confirmed(&mut self, facts: SourceFacts) -> (RoundOutcome, Option<String>) {
        let unchanged = (RoundOutcome::Unchanged, None);
        let Some(source) = self.known.get_mut(&facts.source) else { return unchanged };
        let name = facts.source.clone();
        source.reported = true;
        if source.error.take().is_some() {
            tracing::info!(source = %name, "the source answers again");
        }
        let (facts, late) = match &source.facts {
            Some(before) if !source.redefined => facts.mended(before),
            Some(_) | None => (facts, false),
        };
        if late {
            source.doubt();
        }
        let facts = Arc::new(facts);
        let inventory = self.known.inventory(Some(&facts));
        // The way of most rounds: nothing is planned or compiled for what is known already.
        let same = self.known.get_mut(&name).is_some_and(|it| it.facts.as_ref() == Some(&facts));
        let in_force = self.in_force();
        if same || !in_force.in_force() {
            self.known.accept(facts);
            // What is on disk is a whole inventory, never the first of several sources.
            if in_force.in_force() {
                self.state.keep(inventory, (self.now_secs)());
            }
            return unchanged;
        }
        let compiled = self.compile(inventory.clone()).await;
        let percent = self.inputs.refresh.shrink_guard_percent;
        let Some(source) = self.known.get_mut(&name) else { return unchanged };
        let outcome = match source.redefined {
            true if compiled.table == *in_force.table() => Outcome::Unchanged,
            true => Outcome::Publish,
            false => {
                let (current, found) = (in_force.table(), &compiled.table);
                let (outcome, guard) = step(current, found, &facts, &source.guard, percent);
                source.guard = guard;
                outcome
            }
        };
        match outcome {
            Outcome::Keep(reason) => {
                source.doubt();
                tracing::warn!(source = %name, %reason, "what was found is not believed yet");
                (RoundOutcome::Kept, Some(reason.to_string()))
            }
            Outcome::Unchanged => {
                self.known.accept(facts);
                self.state.keep(inventory, (self.now_secs)());
                unchanged
            }
            Outcome::Publish => {
                self.known.accept(facts);
                self.publish(compiled);
                self.state.keep(inventory, (self.now_secs)());
                (RoundOutcome::Published, None)
            }
        }
    }

    /// A source could not be asked: one line with everything, and what it told before stays.
    fn failed(
        &mut self,
        name: &SourceName,
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

    /// Follows the prober. An address that went down may have been replaced, so the sources are
    /// asked soon.
    async fn follow_health(&mut self) {
        if !self.unhealthy.borrow_and_update().is_empty() {
            self.nudge.send_modify(|count| *count += 1);
        }
        self.say_again().await;
    }

    /// Says what is known as the configuration and the addresses that are down would have it now,
    /// where that is something else.
    async fn say_again(&mut self) {
        let in_force = self.in_force();
        if in_force.in_force() {
            let compiled = self.compile(self.known.inventory(None)).await;
            if compiled.table != *in_force.table() {
                self.publish(compiled);
            }
        }
    }

    /// Another configuration: what it says holds at once, and the guard has no say in it.
    async fn reconfigure(&mut self, inputs: Inputs) {
        let health_changed = self.inputs.health != inputs.health;
        self.known.renew(&self.inputs.sources, &inputs.sources);
        let stays = |name: &SourceName| inputs.sources.iter().any(|source| source.name == *name);
        for gone in self.inputs.sources.iter().filter(|source| !stays(&source.name)) {
            self.metrics.control.forget_source(gone.name.as_str(), ACTIONS, CODES);
        }
        self.state.move_to(inputs.refresh.state_file.clone());
        self.inputs = inputs;
        self.send_scouts();
        if health_changed {
            self.send_prober();
        }
        self.say_again().await;
        self.tell();
    }

    async fn compile(&self, inventory: Inventory) -> Compiled {
        let unhealthy = self.unhealthy.borrow().clone();
        let policy = Arc::clone(&self.inputs.policy);
        Compiled::new(inventory, policy, unhealthy, self.in_force()).await
    }

    /// Puts a table in force, and says what is different.
    fn publish(&mut self, compiled: Compiled) {
        self.probed.send_if_modified(|known| {
            let new = *known != compiled.addresses;
            if new {
                *known = Arc::clone(&compiled.addresses);
            }
            new
        });
        let replaced = compiled.publish(&mut self.publisher, &self.metrics.control);
        self.tasks.spawn(retire(replaced));
    }

    fn in_force(&self) -> Arc<Published> {
        self.publisher.reader().hold()
    }

    fn tell(&self) {
        let status = Status { sources: self.known.status(), round: self.round.clone() };
        self.status.send_replace(status);
    }
}
