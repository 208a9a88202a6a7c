//! Whether the daemon is ready, and how old what it knows is.
//!
//! Reads what the other rooms have published about themselves; asks nobody.

use tokio::time::Instant;

use super::{
    Admin,
    json::{
        BudgetDocument, DrainedZoneDocument, FlappingDocument, LoopDocument, RoundDocument,
        SourceDocument, SourcesDocument, StatusDocument, UnkeptDocument, UpstreamDocument,
        UpstreamsDocument, ViewSummary,
    },
};
use crate::refresh::{SourceStatus, Status};

/// An upstream that does not answer.
const FAILING: &str = "failing";
/// What is said for a table that does not exist yet.
const NO_TABLE: &str = "no table is in force yet";

/// Why the daemon is not ready, a line a reason; empty when it is.
pub(super) fn reasons(admin: &Admin) -> Vec<String> {
    let ends = |left: u64| {
        format!(
            "draining: answers go on, and hubdns ends in {left} s; `hubdns drain --cancel` undoes it"
        )
    };
    reasons_with(admin, ends)
}

/// The same without what is another each second: a person who listens is told of it once.
pub(super) fn lasting_reasons(admin: &Admin) -> Vec<String> {
    let ends = |_: u64| {
        "draining: answers go on until hubdns ends; `hubdns drain --cancel` undoes it".to_owned()
    };
    reasons_with(admin, ends)
}

/// Seconds until it ends, if it drains.
pub(super) fn ends_in(admin: &Admin) -> Option<u64> {
    let ends = *admin.draining.borrow();
    ends.map(|ends| ends.saturating_duration_since(Instant::now()).as_secs())
}

fn reasons_with(admin: &Admin, ends: impl Fn(u64) -> String) -> Vec<String> {
    let mut reasons = Vec::new();
    if *admin.stopping.borrow() {
        reasons.push("shutting down".to_owned());
    }
    reasons.extend(ends_in(admin).map(ends));
    if !admin.table.load().in_force() {
        reasons.push(no_table(&admin.status.borrow()));
    }
    if admin.listening.borrow().is_empty() {
        reasons.push("no DNS socket is bound yet".to_owned());
    }
    reasons.extend(admin.settings.borrow().forwarder.loops().iter().map(ToString::to_string));
    reasons
}

/// Why there is no table, as far as the control loop has said.
pub(super) fn no_table(status: &Status) -> String {
    let failed = status.sources.iter().filter_map(|source| {
        let error = source.error.as_deref()?;
        Some(format!("source {}: {error}", source.name))
    });
    let kept = status.round.iter().filter_map(|round| round.reason.clone());
    let mut why: Vec<String> = failed.collect();
    // A round is kept because its sources failed; that is told once.
    if why.is_empty() {
        why.extend(kept);
    }
    if why.is_empty() {
        why.push("discovery has not ended its first round".to_owned());
    }
    format!("{NO_TABLE}: {}", why.join("; "))
}

/// Seconds since a source last told the facts in force; `None` if it never has.
///
/// Facts of the state file were that old when it was read, which is when the daemon started.
pub(super) fn age_secs(source: &SourceStatus, started: Instant, now: Instant) -> Option<f64> {
    let told = source.confirmed.map(|at| now.saturating_duration_since(at).as_secs_f64());
    told.or_else(|| {
        let read = std::time::Duration::from_secs(source.from_state_file?);
        Some((read + now.saturating_duration_since(started)).as_secs_f64())
    })
}

/// `/api/v1/status`.
pub(super) fn status(admin: &Admin, started: Instant, now: Instant) -> StatusDocument {
    let reasons = reasons(admin);
    let published = admin.table.load();
    let status = admin.status.borrow();
    let summary = |view: &crate::table::ViewTable| ViewSummary {
        name: view.name().to_string(),
        names: view.len(),
        declined: view.declined().len(),
    };
    let SourcesDocument { sources, last_round } = sources(&status, started, now);
    StatusDocument {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: reasons.is_empty(),
        reasons,
        generation: published.generation().as_u64(),
        table_hash: published.in_force().then(|| published.table().hash().to_string()),
        listeners: admin.listening.borrow().clone(),
        views: match published.in_force() {
            true => published.table().views().map(summary).collect(),
            false => Vec::new(),
        },
        loops: loops(admin, now),
        budget: budget(admin),
        aws_hosts: Some(admin.aws_hosts.borrow().clone()),
        config_hash: Some(admin.config.borrow().hash.clone()),
        failing_upstreams: upstreams(admin, now)
            .upstreams
            .into_iter()
            .filter(|it| it.state == FAILING)
            .collect(),
        unkept: status.unkept.as_ref().map(|unkept| UnkeptDocument {
            error: unkept.error.clone(),
            age_secs: now.saturating_duration_since(unkept.since).as_secs(),
        }),
        sources,
        drained_zones: status
            .drained
            .iter()
            .map(|(zone, since_secs)| DrainedZoneDocument::new(zone, *since_secs))
            .collect(),
        flapping: status
            .flapping
            .iter()
            .map(|(ip, changes)| FlappingDocument { ip: *ip, changes: *changes })
            .collect(),
        last_round,
    }
}

/// `/api/v1/sources`.
pub(super) fn sources(status: &Status, started: Instant, now: Instant) -> SourcesDocument {
    let source = |source: &SourceStatus| SourceDocument {
        name: source.name.to_string(),
        age_secs: age_secs(source, started, now).map(whole_secs),
        from_state_file: source.confirmed.is_none() && source.from_state_file.is_some(),
        endpoints: source.endpoints,
        error: source.error.clone(),
        lack: source.lack.clone(),
        missing_permissions: source.missing_permissions.iter().map(ToString::to_string).collect(),
        held_back: source.held_back.clone(),
    };
    SourcesDocument {
        sources: status.sources.iter().map(source).collect(),
        last_round: status.round.as_ref().map(|round| RoundDocument {
            age_secs: now.saturating_duration_since(round.ended).as_secs(),
            outcome: round.outcome.to_owned(),
            reason: round.reason.clone(),
        }),
    }
}

/// `/api/v1/upstreams`.
pub(super) fn upstreams(admin: &Admin, now: Instant) -> UpstreamsDocument {
    let forwarder = admin.settings.borrow().forwarder.clone();
    let reports = forwarder.upstreams();
    let upstream = reports.iter().map(|report| UpstreamDocument {
        address: report.address.to_string(),
        zones: report
            .asked_for
            .iter()
            .map(|it| match &it.view {
                Some(view) => format!("{view}: {}", it.zone),
                None => it.zone.to_string(),
            })
            .collect(),
        state: match (report.failing, report.rtt) {
            (true, _) => FAILING,
            (false, None) => "unasked",
            (false, Some(_)) => "up",
        }
        .to_owned(),
        rtt_micros: report.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        asked_without: report.lacks.iter().map(|lack| lack.word().to_owned()).collect(),
        limited: report.limited,
        trusted: report.trusted,
    });
    UpstreamsDocument {
        upstreams: upstream.collect(),
        budget: budget(admin),
        loops: loops(admin, now),
    }
}

/// How near the limits of packets we are.
fn budget(admin: &Admin) -> Option<BudgetDocument> {
    let standing = admin.settings.borrow().forwarder.budget()?;
    Some(BudgetDocument {
        upstreams: standing.upstreams.iter().map(ToString::to_string).collect(),
        packets: standing.packets,
        peak: standing.peak,
        soft: standing.soft,
        hard: standing.hard,
    })
}

/// Where what we forward comes back to us.
fn loops(admin: &Admin, now: Instant) -> Vec<LoopDocument> {
    let known = admin.settings.borrow().forwarder.loops();
    let documents = known.iter().map(|it| LoopDocument {
        upstream: it.upstream.to_string(),
        domain: it.domain.to_string(),
        age_secs: now.saturating_duration_since(it.since).as_secs(),
    });
    documents.collect()
}

/// Ages are never negative and fit by far.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole seconds are meant, and an age is not negative"
)]
fn whole_secs(age: f64) -> u64 {
    age as u64
}
