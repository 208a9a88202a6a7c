//! One round: what a source told, and what becomes of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    history::Cause, known::Redefined, order::SourceRound, refresher::Refresher, scout::Found,
    status::RoundReport, step::Outcome,
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
        let (facts, late) = source.mend(facts);
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
            Redefined::No => self.inputs.refresh.shrink_guard_percent,
            Redefined::Choice | Redefined::Place => 100,
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

    /// What a source went without: counted when it was asked for in vain, and said when it is new or
    /// over.
    fn lacks(&mut self, name: &SourceName, lacks: &[Lack]) {
        for Lack { error, .. } in lacks.iter().filter(|lack| lack.asked) {
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        base::Az,
        discover::{Dispensable, SourceConfig, SourceKind},
        inventory::Subnet,
        policy::facts,
        refresh::{configuring::tests::inputs, known::Redefined},
        table,
        telemetry::Metrics,
    };

    /// A source of what is in this folder.
    fn source(path: &Path) -> SourceConfig {
        SourceConfig {
            name: "hub".into(),
            kind: SourceKind::Files { path: path.to_owned() },
            vpc_ids: vec!["vpc-1".into()],
            tags: BTreeMap::new(),
            subnets: true,
            interval: None,
        }
    }

    fn refresher(source: SourceConfig) -> Refresher {
        let metrics = Arc::new(Metrics::new().unwrap());
        let inputs = crate::refresh::Inputs { sources: vec![source], ..inputs(60) };
        Refresher::new(inputs, table::channel().0, metrics, || 0)
    }

    fn told(lines: &str) -> SourceFacts {
        SourceFacts::clone(&facts::inventory(lines).sources[0])
    }

    /// What is in force after the source has told this.
    async fn after(refresher: &mut Refresher, facts: SourceFacts) -> SourceFacts {
        let name: SourceName = "hub".into();
        let found = Found {
            source: name.clone(),
            facts: Ok(facts),
            lacks: vec![],
            took: Duration::ZERO,
            ticket: 0,
            token: CancellationToken::new(),
        };
        refresher.round(found).await;
        let source = refresher.known.get_mut(&name).unwrap();
        assert_eq!(source.redefined, Redefined::No);
        SourceFacts::clone(source.facts.as_ref().unwrap())
    }

    #[tokio::test]
    async fn what_is_lacking_is_counted_when_it_was_asked_for_and_told_all_the_while() {
        let mut refresher = refresher(source(Path::new("here")));
        let name: SourceName = "hub".into();
        for (asked, counted) in [(true, 1.0), (false, 1.0), (false, 1.0), (true, 2.0)] {
            let error = Arc::new(DiscoverError::NotBuiltIn);
            refresher.lacks(&name, &[Lack { of: Dispensable::Zones, error, asked }]);
            let page = refresher.metrics.render().unwrap();
            let errors = page.lines().filter(|it| it.starts_with("hubdns_discovery_errors_total{"));
            let sum: f64 =
                errors.map(|it| it.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
            assert!((sum - counted).abs() < 0.5, "{page}");
            assert!(refresher.known.get_mut(&name).unwrap().lack.is_some());
        }
    }

    #[tokio::test]
    async fn a_source_that_is_redefined_keeps_what_its_next_look_could_not_be_told() {
        let subnet = Subnet {
            id: "subnet-1".into(),
            vpc: "vpc-1".into(),
            az: Az { name: "a".into(), id: None },
            networks: vec!["10.0.1.0/24".parse().unwrap()],
        };
        let lines = "vpce-1 com.amazonaws.us-east-1.sqs a=10.0.1.5 names=sqs.x\n\
                     vpce-2 arn:x a=10.0.1.6 kind=Resource leads=own.x";
        let before = told(lines).with_subnets(Some(vec![subnet]));
        // Somebody changes one, another region times out, two actions are denied, a list is late.
        let mut less = told(&lines.replace("names=", "state=pending names="));
        less.services.clear();
        less.interfaces.remove(0);
        less.endpoints[1].associations = None;

        let here = source(Path::new("here"));
        let more = SourceConfig { vpc_ids: vec!["vpc-1".into(), "vpc-2".into()], ..here.clone() };
        let elsewhere = source(Path::new("elsewhere"));
        for (redefined, expected) in
            [(more, before.clone()), (elsewhere, before.clone().with_subnets(None))]
        {
            let mut refresher = refresher(here.clone());
            assert_eq!(after(&mut refresher, before.clone()).await, before);
            refresher.known.renew(&refresher.inputs.sources, &[redefined]);
            assert_eq!(after(&mut refresher, less.clone()).await, expected);
        }
    }
}
