//! What went into force of late, and the configuration that is.

use maud::{Markup, html};

use super::{
    Visit,
    parts::{count, fact},
};
use crate::admin::json::PublicationDocument;

/// Tables that are shown, and changes of each; the JSON API has more of both.
const TABLES_MAX: usize = 10;
const LINES_MAX: usize = 40;

// === impl Visit ===

impl Visit {
    pub(super) fn changes(&self) -> Markup {
        let tables = &self.changes.tables;
        html! {
            section aria-labelledby="history" {
                h2 #history { "Changes" }
                div #changes {
                    @if tables.is_empty() { p.soft { "No table has gone into force yet." } }
                    @for (at, table) in tables.iter().take(TABLES_MAX).enumerate() {
                        (publication(table, at == 0))
                    }
                    @if TABLES_MAX < tables.len() {
                        p { a href="/api/v1/changes" {
                            (count(tables.len() - TABLES_MAX, "older table", "older tables"))
                        } }
                    }
                }
            }
        }
    }

    pub(super) fn config(&self) -> Markup {
        let features = if cfg!(feature = "ec2") { "ec2" } else { "none" };
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let machine = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
        html! {
            section aria-labelledby="build" {
                h2 #build { "Configuration and build" }
                div #config {
                    dl {
                        (fact("Version", &self.status.version))
                        (fact("Build", build))
                        (fact("Features", features))
                        (fact("Machine", &machine))
                        (fact("Configuration", &self.config.hash))
                    }
                    details #toml {
                        summary { "The configuration in force, with every default and without secrets" }
                        pre tabindex="0" aria-label="Configuration" { (self.config.toml) }
                    }
                }
            }
        }
    }
}

/// One table, and what it answers otherwise than the one before.
fn publication(table: &PublicationDocument, open: bool) -> Markup {
    let PublicationDocument { generation, at, cause, added, removed, changed, .. } = table;
    let more = table.more + table.changes.len().saturating_sub(LINES_MAX);
    html! {
        details id={ "g" (generation) } open[open && table.changes.len() <= LINES_MAX] {
            summary {
                time datetime=(at) { (at.replace('T', " ").replace('Z', " UTC")) }
                ", " (cause) ": "
                (added) " added, " (removed) " removed, " (changed) " changed"
                small { "Generation " (generation) ", table " code { (table.table_hash) } }
            }
            @if table.changes.is_empty() { p.soft { "Nothing is answered otherwise." } } @else {
                ul.diff {
                    @for line in table.changes.iter().take(LINES_MAX) {
                        li class=(kind(line)) { (line) }
                    }
                }
            }
            @if 0 < more {
                p.soft { (count(more, "more change", "more changes")) }
            }
        }
    }
}

/// What a line of a diff is: `VIEW: + NAME ...`.
fn kind(line: &str) -> &'static str {
    let change = line.split_once(": ").map_or(line, |(_, change)| change);
    match change.chars().next() {
        Some('+') => "add",
        Some('-') => "del",
        Some('~') => "chg",
        Some(_) | None => "",
    }
}
