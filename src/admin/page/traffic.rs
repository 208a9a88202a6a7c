//! The last quarter of an hour: drawn, and as text.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{
    Visit,
    parts::{self, Column, grouped},
};
use crate::admin::json::TrafficSampleDocument;

/// Samples in a minute, of the table.
const SAMPLES_A_ROW: usize = 6;
/// Width of a sample, and height of the whole, in the drawing's own units.
const STEP: usize = 10;
const HEIGHT: u64 = 160;
/// Samples that the drawing has room for.
const SAMPLES: usize = 90;

/// What of a sample is counted.
type Of = fn(&TrafficSampleDocument) -> u64;

/// What is drawn, from the ground up.
const KINDS: [(&str, &str, Of); 4] = [
    ("fa", "our own names", |it| it.table),
    ("fb", "from the cache", |it| it.cache),
    ("fc", "from upstreams", |it| it.upstream),
    ("fd", "old answers, refusals, errors", |it| it.stale + it.local),
];

// === impl Visit ===

impl Visit {
    pub(super) fn traffic(&self) -> Markup {
        let samples = &self.traffic.samples;
        let answers: u64 = samples.iter().map(answers).sum();
        html! {
            section aria-labelledby="questions" {
                h2 #questions { "Answers of the last 15 minutes" }
                div #traffic {
                    @if answers == 0 { p.soft { "None." } } @else { (self.chart(answers)) }
                }
            }
        }
    }

    fn chart(&self, all: u64) -> Markup {
        let (samples, secs) = (&self.traffic.samples, self.traffic.sample_secs);
        let peak = samples.iter().map(answers).max().unwrap_or_default().max(1);
        let now = samples.last().map(answers).unwrap_or_default();
        let servfail: u64 = samples.iter().map(|it| it.servfail).sum();
        let told = format!(
            "{} answers; {} a second now, {} at the peak; {} SERVFAIL",
            grouped(all),
            a_second(now, secs),
            a_second(peak, secs),
            grouped(servfail)
        );
        let last = samples.last().map_or("", |it| clock(&it.at));
        html! {
            p { (told) "." }
            figure {
                svg.chart viewBox={ "0 0 " (SAMPLES * STEP) " " (HEIGHT) } role="img"
                    preserveAspectRatio="none" aria-label=(told) {
                    @for (at, (class, ..)) in KINDS.iter().enumerate() {
                        path class=(class) d=(band(samples, at, peak)) {}
                    }
                }
                div.axis { span { "15 min before" } span { (last) " UTC" } }
                figcaption {
                    ul.key {
                        @for (class, name, of) in KINDS {
                            li {
                                svg width="12" height="12" aria-hidden="true" {
                                    rect width="12" height="12" class=(class) {}
                                }
                                (name) ": " (grouped(samples.iter().map(of).sum::<u64>()))
                            }
                        }
                    }
                }
            }
            details #values {
                summary { "The values, by minute" }
                (self.values())
            }
        }
    }

    fn values(&self) -> Markup {
        let minutes = self.traffic.samples.rchunks(SAMPLES_A_ROW);
        let sum =
            |minute: &[TrafficSampleDocument], of: Of| grouped(minute.iter().map(of).sum::<u64>());
        let mut columns = vec![Column::new("UTC")];
        columns.extend(KINDS.iter().map(|(_, name, _)| Column::number(name)));
        columns.push(Column::number("SERVFAIL"));
        parts::table(
            "Answers by minute",
            &html! { "Answers, by the minute that ended then, the newest first." },
            &columns,
            minutes.map(|minute| {
                let mut cells = vec![html! { (minute.last().map_or("", |it| clock(&it.at))) }];
                cells.extend(KINDS.iter().map(|(.., of)| html! { (sum(minute, *of)) }));
                cells.push(html! { (sum(minute, |it| it.servfail)) });
                cells
            }),
        )
    }
}

/// The band of one kind on top of those before it, as steps from the right end.
fn band(samples: &[TrafficSampleDocument], kind: usize, peak: u64) -> String {
    let upto = |sample: &TrafficSampleDocument, kinds: usize| {
        let sum: u64 = KINDS.iter().take(kinds).map(|(.., of)| of(sample)).sum();
        HEIGHT - sum.saturating_mul(HEIGHT) / peak
    };
    let left = SAMPLES.saturating_sub(samples.len()) * STEP;
    let mut path = String::new();
    for (at, sample) in samples.iter().enumerate() {
        let (low, high) = (upto(sample, kind), upto(sample, kind + 1));
        if high < low {
            let x = left + at * STEP;
            let _ = write!(path, "M{x} {low}V{high}h{STEP}V{low}z");
        }
    }
    path
}

fn answers(sample: &TrafficSampleDocument) -> u64 {
    KINDS.iter().map(|(.., of)| of(sample)).sum()
}

fn a_second(count: u64, secs: u64) -> String {
    match count.checked_div(secs) {
        Some(0) if 0 < count => "less than 1".to_owned(),
        Some(rate) => grouped(rate),
        None => grouped(count),
    }
}

/// `20:31:05` of `2026-11-21T20:31:05Z`.
fn clock(at: &str) -> &str {
    at.split_once('T').map_or(at, |(_, clock)| clock.trim_end_matches('Z'))
}
