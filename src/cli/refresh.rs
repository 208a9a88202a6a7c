//! `hubdns refresh`: the sources are asked now, and what came of it is told.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use super::{
    args::{Format, RefreshArgs},
    ask,
    fold::folded,
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::{
        client::{self, LOOKS_WITHIN, with_parameters},
        json::{PublicationDocument, RefreshDocument, SourceRoundDocument, from_text, to_text},
    },
    base::{Chain, printable},
};

/// For the looks, and for the daemon to write what came of them.
const TOLD_WITHIN: Duration = LOOKS_WITHIN.saturating_add(Duration::from_secs(10));

/// Changes of a table that a person is told: a screen has room for them. `--format json` has more.
const CHANGES_MAX: usize = 20;

/// What a round is called that put a table in force, or found nothing new.
const GOOD: [&str; 2] = ["published", "unchanged"];

pub(super) fn refresh(args: &RefreshArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    parameters.extend(args.source.as_deref().map(|source| ("source", source)));
    parameters.extend(args.accept.then_some(("accept", "true")));
    let path = with_parameters("/api/v1/refresh", &parameters);
    let asked = client::post_within(&socket, &path, TOLD_WITHIN);
    let asked = waiting("the daemon asks its sources", asked);
    let text = match small_runtime()?.block_on(asked) {
        Ok((200, text)) => text,
        Ok((status, text)) => return Err(ask::refused(status, text)),
        Err(error) => anyhow::bail!("{}", Chain(&error)),
    };
    let document: RefreshDocument = from_text(&text)?;
    say(&match args.daemon.format {
        Format::Text => folded(&render(&document)),
        Format::Json => to_text(&document),
    })?;
    let good = |round: &SourceRoundDocument| {
        round.outcome.as_deref().is_some_and(|outcome| GOOD.contains(&outcome))
    };
    Ok(if document.sources.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line a source, and below it what is answered otherwise.
fn render(document: &RefreshDocument) -> String {
    let mut text = String::new();
    for round in &document.sources {
        let SourceRoundDocument { source, outcome, reason, table } = round;
        // Writing to a text does not fail.
        let _ = match (outcome, table) {
            (None, _) => writeln!(
                text,
                "source {source}: has not answered within {} s; what it told before stays in force",
                document.waited_secs
            ),
            (Some(_), Some(table)) => {
                write!(text, "source {source}: {}", published(table))
            }
            (Some(outcome), None) => {
                let why = reason.as_deref().map(|why| format!(": {}", printable(why)));
                writeln!(text, "source {source}: {outcome}{}", why.unwrap_or_default())
            }
        };
    }
    text
}

/// A table in a line, and its changes below.
pub(super) fn published(table: &PublicationDocument) -> String {
    let PublicationDocument { generation, added, removed, changed, more, .. } = table;
    let mut text = format!(
        "table {generation} is in force: {added} added, {removed} removed, {changed} changed\n"
    );
    for change in table.changes.iter().take(CHANGES_MAX) {
        let _ = writeln!(text, "  {}", printable(change));
    }
    let more = more + table.changes.len().saturating_sub(CHANGES_MAX);
    if 0 < more {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{published, render};
    use crate::admin::json::{PublicationDocument, RefreshDocument, SourceRoundDocument};

    #[test]
    fn a_table_that_changes_much_is_told_on_one_screen() {
        let table = PublicationDocument {
            generation: 2,
            at: "2026-01-02T03:04:05Z".to_owned(),
            cause: "zone".to_owned(),
            table_hash: "0".repeat(16),
            added: 0,
            removed: 0,
            changed: 25,
            changes: (1..=25).map(|at| format!("default: ~ n{at}.example")).collect(),
            more: 3,
        };
        let told = published(&table);
        assert_eq!(told.lines().count(), 22, "{told}");
        assert!(told.ends_with("  default: ~ n20.example\n  and 8 more\n"), "{told}");
    }

    #[test]
    fn a_person_reads_what_came_of_each_source() {
        let late = SourceRoundDocument::late("slow");
        let with = |source: &str, outcome: &str| SourceRoundDocument {
            source: source.to_owned(),
            outcome: Some(outcome.to_owned()),
            ..late.clone()
        };
        let table = PublicationDocument {
            generation: 7,
            at: "2026-01-02T03:04:05Z".to_owned(),
            cause: "source hub".to_owned(),
            table_hash: "0".repeat(16),
            added: 1,
            removed: 0,
            changed: 2,
            changes: vec!["default: ~ sqs.example A 10.0.1.5 -> 10.0.1.6".to_owned()],
            more: 2,
        };
        let published = SourceRoundDocument { table: Some(table), ..with("hub", "published") };
        let reason = Some("6 of 9 names of source data would go".to_owned());
        let kept = SourceRoundDocument { reason, ..with("data", "kept") };
        let sources = vec![published, with("files", "unchanged"), kept, late];
        insta::assert_snapshot!(render(&RefreshDocument { sources, waited_secs: 45 }), @r"
        source hub: table 7 is in force: 1 added, 0 removed, 2 changed
          default: ~ sqs.example A 10.0.1.5 -> 10.0.1.6
          and 2 more
        source files: unchanged
        source data: kept: 6 of 9 names of source data would go
        source slow: has not answered within 45 s; what it told before stays in force
        ");
    }
}
