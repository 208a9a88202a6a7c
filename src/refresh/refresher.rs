//! The loop itself: one path from what was found to what is said.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
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
    inventory::{Inventory, SourceFacts},
    policy::{self, PolicyConfig},
    table::{AnswerTable, Publisher, compile, diff},
    telemetry::{Metrics, RoundOutcome},
};

/// What sources found and the loop has not looked at yet. Each source has one look in hand, so a
/// full queue only makes them wait.
const FOUND_MAX: usize = 16;
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
    /// How the sources find AWS's hosts.
    pub lookup: HostLookup,
}

/// What the loop can be told.
pub enum Command {
    /// Look at every source now.
    Nudge,
    /// Another configuration is in force; answers when the table says so.
    Reconfigure(Box<Inputs>, oneshot::Sender<()>),
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
                let table = self.compile(&self.known.inventory(None));
                self.publish(table);
            }
        }
        self.tell();
    }

    /// Looks, decides and publishes until `token` is cancelled.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>, token: CancellationToken) {
        self.send_scouts();
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                Some(found) = self.found.1.recv() => self.round(found).await,
                command = commands.recv() => match command {
                    Some(Command::Nudge) => self.nudge.send_modify(|count| *count += 1),
                    Some(Command::Reconfigure(inputs, done)) => {
                        self.reconfigure(*inputs).await;
                        // Whoever asked may have gone; the configuration is in force all the same.
                        let _ = done.send(());
                    }
                    None => break,
                },
            }
        }
        self.scouts.1.cancel();
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
            let table = self.compile(&self.known.inventory(None));
            self.publish(table);
        }
        self.tell();
    }

    /// A source told its facts: believe them, unless too much would go.
    async fn confirmed(&mut self, facts: SourceFacts) -> (RoundOutcome, Option<String>) {
        let in_force = self.publisher.reader().load().in_force();
        let inventory = self.known.inventory(Some(&facts));
        let percent = self.inputs.refresh.shrink_guard_percent;
        let table = in_force.then(|| self.compile(&inventory));
        let now_in_force = self.publisher.reader().hold();
        let Some(source) = self.known.get_mut(&facts.source) else {
            return (RoundOutcome::Unchanged, None);
        };
        source.reported = true;
        if source.error.take().is_some() {
            tracing::info!(source = %facts.source, "the source answers again");
        }
        let outcome = table.map(|table| {
            let (outcome, guard) = step(now_in_force.table(), table, &source.guard, percent);
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
        match outcome {
            Some(Outcome::Publish(table)) => {
                self.publish(*table);
                (RoundOutcome::Published, None)
            }
            Some(Outcome::Unchanged | Outcome::Keep(_)) | None => (RoundOutcome::Unchanged, None),
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

    /// Another configuration: what it says holds at once, and the guard has no say in it.
    async fn reconfigure(&mut self, inputs: Inputs) {
        self.known.renew(inputs.sources.iter().map(|source| source.name.clone()));
        self.state.move_to(inputs.refresh.state_file.clone());
        self.inputs = inputs;
        self.send_scouts();
        if self.publisher.reader().load().in_force() {
            let table = self.compile(&self.known.inventory(None));
            self.publish(table);
        }
        self.tell();
    }

    fn compile(&self, inventory: &Inventory) -> AnswerTable {
        compile(&policy::plan(inventory, &self.inputs.policy), &self.inputs.policy)
    }

    /// Puts a table in force, and says what is different.
    fn publish(&mut self, table: AnswerTable) {
        let before = self.publisher.reader().hold();
        let changes = diff(before.table(), &table);
        let hash = table.hash().to_string();
        let control = &self.metrics.control;
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
            %generation, hash, names, changes = changes.len(),
            "a table is in force"
        );
    }

    fn tell(&self) {
        let status = Status { sources: self.known.status(), round: self.round.clone() };
        self.status.send_replace(status);
    }
}
