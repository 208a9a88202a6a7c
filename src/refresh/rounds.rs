//! One round: what a source told, and what becomes of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    history::Cause, order::SourceRound, refresher::Refresher, scout::Found, status::RoundReport,
    step::Outcome,
};
use crate::{
    base::{Chain, SourceName},
    discover::{DiscoverError, Lack},
    inventory::SourceFacts,
    telemetry::{RoundOutcome, Span, Step},
};

/// A round for who collects traces: since `came` it is decided, after the source took so long.
fn span(round: &SourceRound, came: std::time::Instant, took: Duration) -> Span {
    let began = came.checked_sub(took).unwrap_or(came);
    let mut attributes = vec![
        ("hubdns.source", round.source.to_string()),
        ("hubdns.outcome", round.outcome.word().to_owned()),
    ];
    if let Some(publication) = &round.publication {
        attributes.push(("hubdns.generation", publication.generation.to_string()));
    }
    Span {
        name: "discovery round",
        began,
        took: began.elapsed(),
        attributes,
        error: round.reason.clone(),
        steps: vec![
            Step { name: "ask the source", began, took },
            Step { name: "decide and publish", began: came, took: came.elapsed() },
        ],
    }
}

// === impl Refresher ===

impl Refresher {
    /// One source told something.
    pub(super) async fn round(&mut self, found: Found) {
        // It was on its way while the configuration changed.
        if found.token.is_cancelled() {
            return;
        }
        let came = Instant::now();
        self.metrics.control.round_duration.set(found.took.as_secs_f64());
        let before = self.in_force().generation();
        let accept = self.awaited.accepts(&found.source, found.ticket);
        let first = self.known.get_mut(&found.source).is_some_and(|source| !source.reported);
        let (outcome, reason) = match found.facts {
            Ok(facts) => {
                self.lacks(&found.source, &found.lacks);
                self.confirmed(facts, accept).await
            }
            Err(error) => self.failed(&found.source, &error),
        };
        self.metrics.control.round(outcome);
        let (ended, word) = (Instant::now(), outcome.word());
        self.round = Some(RoundReport { ended, outcome: word, reason: reason.clone() });
        self.may_begin(first).await;
        self.keep_withheld();
        let published = before != self.in_force().generation();
        let publication = published.then(|| self.history.last()).flatten();
        let outcome = if published { RoundOutcome::Published } else { outcome };
        let round = SourceRound { source: found.source, outcome, reason, publication };
        self.metrics.spans.tell(|| span(&round, came.into_std(), found.took));
        self.awaited.ended(found.ticket, &round);
        self.tell();
    }

    /// A source told its facts: believe them, unless too much would go and nobody accepts that.
    async fn confirmed(
        &mut self,
        facts: SourceFacts,
        accept: bool,
    ) -> (RoundOutcome, Option<String>) {
        let unchanged = (RoundOutcome::Unchanged, None);
        let Some(source) = self.known.get_mut(&facts.source) else { return unchanged };
        let name = facts.source.clone();
        source.reported = true;
        if source.error.take().is_some() {
            tracing::info!(source = %name, "the source answers again");
        }
        let (facts, late) = match &source.facts {
            Some(before) if source.redefined => (facts.with_associations(before), Vec::new()),
            Some(before) => facts.mended(before),
            None => (facts, Vec::new()),
        };
        source.lacks_services(late);
        let facts = Arc::new(facts);
        let inventory = self.known.inventory(Some(&facts));
        // The way of most rounds: nothing is planned or compiled for what is known already.
        let same = self.known.get_mut(&name).is_some_and(|it| it.facts.as_ref() == Some(&facts));
        let in_force = self.in_force();
        if same || !in_force.in_force() {
            self.known.accept(facts);
            // What is on disk is a whole inventory, never the first of several sources.
            if in_force.in_force() {
                self.keep(inventory);
            }
            return unchanged;
        }
        let compiled = self.compile(inventory.clone()).await;
        let Some(source) = self.known.get_mut(&name) else { return unchanged };
        let percent = match source.redefined {
            true => 100,
            false => self.inputs.refresh.shrink_guard_percent,
        };
        let guard = std::mem::take(&mut source.guard);
        let weighed = compiled.weighed(in_force, Arc::clone(&facts), guard, percent);
        let (compiled, outcome, guard) = weighed.await;
        if let Some(source) = self.known.get_mut(&name) {
            source.guard = guard;
        }
        let (outcome, cause) = match outcome {
            Outcome::Keep(reason) if accept => {
                tracing::warn!(
                    source = %name, %reason, by = "control socket",
                    "what was found is believed: a person accepted it"
                );
                (Outcome::Publish, Cause::Accepted(name.clone()))
            }
            outcome => (outcome, Cause::Source(name.clone())),
        };
        match outcome {
            Outcome::Keep(reason) => {
                if let Some(source) = self.known.get_mut(&name) {
                    source.doubt();
                    source.held_back = Some(reason.to_string());
                }
                tracing::warn!(source = %name, %reason, "what was found is not believed yet");
                (RoundOutcome::Kept, Some(reason.to_string()))
            }
            Outcome::Unchanged => {
                self.known.accept(facts);
                self.keep(inventory);
                unchanged
            }
            Outcome::Publish => {
                self.known.accept(facts);
                self.publish(compiled, cause);
                self.keep(inventory);
                (RoundOutcome::Published, None)
            }
        }
    }

    /// What a source went without: counted each time, and said when it is new or over.
    fn lacks(&mut self, name: &SourceName, lacks: &[Lack]) {
        for Lack { error, .. } in lacks {
            let (action, code) = (error.action(), error.code());
            self.metrics.control.discovery_failed(name.as_str(), action, code);
        }
        let told: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        let text = (!told.is_empty()).then(|| told.join("; "));
        let Some(source) = self.known.get_mut(name) else { return };
        match (&source.lack, &text) {
            (before, Some(now)) if before.as_ref() != Some(now) => tracing::warn!(
                source = %name, without = now,
                "something is not discovered; the source's other endpoints are as ever"
            ),
            (Some(_), None) => tracing::info!(source = %name, "all is discovered again"),
            (_, _) => (),
        }
        source.lack = text;
        source.lack_permissions = lacks.iter().filter_map(|lack| lack.error.permission()).collect();
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
            source.error_permission = error.permission();
        }
        (RoundOutcome::Kept, Some(format!("source {name}: {text}")))
    }
}
