//! Names of AWS that upstreams answered with public addresses, and what an endpoint could do about it.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    Visit,
    list::{Slice, nothing},
    parts::{self, Column, Shape, count, grouped},
};
use crate::{
    admin::json::{CoverageDocument, LeakDocument, ObjectionDocument},
    base::age,
};

/// Services that are summed up; all are in the list, and in the metrics.
const SERVICES_MAX: usize = 6;
/// Objections and names told in one row; the JSON API has more.
const OBJECTIONS_MAX: usize = 3;
const ASKED_MAX: usize = 5;

// === impl Visit ===

impl Visit {
    pub(super) fn coverage(&self) -> Markup {
        let secs = self.since_start.as_secs();
        let told = CoverageDocument::new(&self.metrics.coverage, self.published.table(), secs);
        html! {
            section aria-labelledby="leaks" {
                h2 #leaks { "AWS names answered with public addresses" }
                div #coverage {
                    @if !told.enabled {
                        p { "Nothing is counted: " code { "coverage.enabled" } " is false." }
                    }
                    (self.leaks(&told))
                }
            }
        }
    }

    fn leaks(&self, told: &CoverageDocument) -> Markup {
        let wanted = self.asked.text("q").to_ascii_lowercase();
        let found: Vec<&LeakDocument> =
            told.leaks.iter().filter(|leak| is_found(leak, &wanted)).collect();
        let slice = Slice::new(found.len(), self.asked.page("leaks"));
        let times: u64 = found.iter().map(|leak| leak.times).sum();
        html! {
            @if told.enabled && told.leaks.is_empty() {
                p.soft { "None in " (age(told.secs)) "." }
            } @else if !told.leaks.is_empty() && found.is_empty() {
                p.soft { (nothing(told.leaks.len(), "name")) }
            } @else if !found.is_empty() {
                (parts::table(
                    "AWS names answered with public addresses",
                    &html! {
                        (slice.told("name", "names")) ", " (grouped(times)) (if times == 1 { " answer" } else { " answers" })
                        " in " (age(told.secs)) ", all views together: "
                        (by_service(&found)) "."
                    },
                    &[
                        Column::new("Name"),
                        Column::number("Answers"),
                        Column::new("Now"),
                        Column::new("Would be answered by"),
                    ],
                    slice.of(&found).iter().map(|leak| self.leak_row(leak)),
                ))
                (self.pager("leaks", "leaks", &slice))
            }
            @if !told.leaks.is_empty() {
                p { small {
                    "Clients reach these by public addresses. All of it: "
                    a href="/api/v1/coverage" { "/api/v1/coverage" }
                    ", or " code { "hubdns coverage" } "."
                } }
            }
        }
    }

    fn leak_row(&self, leak: &LeakDocument) -> Vec<Markup> {
        vec![
            html! {
                @match (&leak.name, &leak.region) {
                    (Some(name), _) => code { (name) },
                    (None, Some(region)) => { "Other names of " (region) },
                    (None, None) => "Other names of no region",
                }
                (asked(leak))
            },
            html! { (grouped(leak.times)) },
            html! { (standing(&leak.standing)) (self.details(leak)) },
            covering(leak),
        ]
    }

    /// Why it stands so, and which endpoints are there.
    fn details(&self, leak: &LeakDocument) -> Markup {
        // The next column, or the one objection, says it.
        let is_told = ["missing", "answered"].contains(&leak.standing.as_str());
        let (objections, endpoints) = (&leak.objections, &leak.endpoints);
        let left = endpoints.len().saturating_sub(OBJECTIONS_MAX)
            + objections.len().saturating_sub(OBJECTIONS_MAX)
            + leak.more;
        html! {
            @if !is_told && objections.len() != 1 { small { (leak.why) } }
            @for objection in objections.iter().take(OBJECTIONS_MAX) {
                small { (self.objection(objection)) }
            }
            @for endpoint in endpoints.iter().take(OBJECTIONS_MAX) {
                small { (self.endpoint(endpoint, "answered")) }
            }
            (more(left))
        }
    }

    fn objection(&self, objection: &ObjectionDocument) -> Markup {
        let views = &objection.views;
        let shown = views.iter().take(OBJECTIONS_MAX).map(String::as_str).collect::<Vec<_>>();
        html! {
            @if let Some(endpoint) = &objection.endpoint {
                (self.endpoint(endpoint, "not-answered")) ": "
            }
            (objection.why)
            " (" (if views.len() == 1 { "view " } else { "views " }) (shown.join(", "))
            @if shown.len() < views.len() { " and " (grouped(views.len() - shown.len())) " more" }
            ")"
        }
    }

    /// An endpoint, and the way to what is said of it there.
    fn endpoint(&self, endpoint: &str, part: &str) -> Markup {
        html! { a href=(self.asked.link("q", endpoint, part)) { code { (endpoint) } } }
    }
}

fn more(left: usize) -> Markup {
    html! { @if 0 < left { small { "and " (grouped(left)) " more" } } }
}

/// What clients asked for, where that is more than the name itself.
fn asked(leak: &LeakDocument) -> Markup {
    let names: Vec<_> =
        leak.asked.iter().filter(|it| Some(&it.name) != leak.name.as_ref()).collect();
    html! {
        @for asked in names.iter().take(ASKED_MAX) {
            small { code { (asked.name) } ": " (grouped(asked.times)) }
        }
        (more(names.len().saturating_sub(ASKED_MAX)))
    }
}

/// `rds 1,204, sqs 88 and 3 more services`, the most frequent first.
fn by_service(leaks: &[&LeakDocument]) -> String {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    leaks.iter().for_each(|it| *times.entry(&it.service).or_default() += it.times);
    let mut services: Vec<(&str, u64)> = times.into_iter().collect();
    services.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let shown = services.iter().take(SERVICES_MAX);
    let mut text: Vec<String> =
        shown.map(|(service, times)| format!("{service} {}", grouped(times))).collect();
    if SERVICES_MAX < services.len() {
        text.push(count(services.len() - SERVICES_MAX, "more service", "more services"));
    }
    text.join(", ")
}

fn standing(word: &str) -> Markup {
    match word {
        "answered" => Shape::Good.with("answered by now"),
        "declined" => Shape::Out.with("declined"),
        "unpublished" => Shape::Doubtful.with("not by this name"),
        "missing" => Shape::Bad.with("no endpoint"),
        "no_service" => Shape::Open.with("no service known"),
        // As it is, and so is a word that this page does not know.
        other => Shape::Open.with(other),
    }
}

/// The endpoint service, and how well that is known.
fn covering(leak: &LeakDocument) -> Markup {
    html! {
        @match &leak.endpoint_service {
            None => span.off { "not known" },
            Some(service) => {
                code { (service) }
                @match leak.known.as_str() {
                    "likely" => small { "most likely" },
                    "alias" => small { "by an alias" },
                    _ => {}
                }
            }
        }
    }
}

fn is_found(leak: &LeakDocument, wanted: &str) -> bool {
    let has = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(wanted));
    wanted.is_empty()
        || has(&leak.name)
        || has(&leak.endpoint_service)
        || leak.service.contains(wanted)
        || leak.endpoints.iter().any(|it| it.contains(wanted))
        || leak.objections.iter().any(|it| has(&it.endpoint))
        || leak.asked.iter().any(|it| it.name.contains(wanted))
}
