//! What the answers stand on: sources, views, upstreams.

use maud::{Markup, html};

use super::{
    Visit,
    parts::{self, Shape, fact, grouped},
};
use crate::{
    admin::json::{
        BudgetDocument, SourceDocument, UpstreamDocument, ViewRuleDocument, ViewsDocument,
    },
    base::age,
};

/// Packets a second that AWS takes from one interface; more are lost.
const PACKETS_MAX: u32 = 1_024;

// === impl Visit ===

impl Visit {
    pub(super) fn sources(&self) -> Markup {
        let round = self.status.last_round.as_ref();
        html! {
            section aria-labelledby="discovery" {
                h2 #discovery { "Sources" }
                div #sources {
                    (parts::table(
                        "Sources",
                        &html! {
                            @match round {
                                Some(round) => {
                                    "The last look ended " (age(round.age_secs)) " ago: "
                                    (round.outcome)
                                    @if let Some(why) = &round.reason { ", since " (why) }
                                    "."
                                }
                                None => "No look has ended yet.",
                            }
                        },
                        &parts::columns(&["Source", "State", "Endpoints", "Told", "Last error"]),
                        self.status.sources.iter().map(source_row),
                    ))
                    @if let Some(hosts) = &self.status.aws_hosts {
                        p { small {
                            "AWS's hosts are looked up by " code { (hosts.key) } ": "
                            @if hosts.upstreams.is_empty() { "nobody" }
                            (hosts.upstreams.join(", "))
                            @for zone in &hosts.zones {
                                "; below " code { (zone.name) } " " (zone.upstreams.join(", "))
                            }
                        } }
                    }
                }
            }
        }
    }

    pub(super) fn views(&self) -> Markup {
        let views = ViewsDocument::from(self.published.table());
        html! {
            section aria-labelledby="audiences" {
                h2 #audiences { "Views" }
                div #views {
                    (parts::table(
                        "Views",
                        &html! { "The first that a client matches is its view." },
                        &parts::columns(&["View", "Clients", "Asking", "Only endpoints", "Leaves out",
                            "Names"]),
                        views.views.iter().map(view_row),
                    ))
                }
            }
        }
    }

    pub(super) fn upstreams(&self) -> Markup {
        let told = &self.upstreams;
        html! {
            section aria-labelledby="forwarding" {
                h2 #forwarding { "Upstreams" }
                div #upstreams {
                    @if told.upstreams.is_empty() {
                        p.soft { "None: what is not ours is answered with SERVFAIL." }
                    } @else {
                        (parts::table(
                            "Upstreams",
                            &html! { "Who is asked for what is not ours." },
                            &parts::columns(&["Upstream", "State", "Answers in", "Asked for", "Remarks"]),
                            told.upstreams.iter().map(upstream_row),
                        ))
                    }
                    @if let Some(budget) = &told.budget { (packets(budget)) }
                    @for it in &told.loops {
                        p { (Shape::Bad.with("loop")) " " code { (it.upstream) }
                            " asks us again for names in " code { (it.domain) } ", since "
                            (age(it.age_secs)) "." }
                    }
                }
            }
        }
    }
}

fn source_row(source: &SourceDocument) -> Vec<Markup> {
    let state = match (&source.error, source.age_secs) {
        (Some(_), _) => Shape::Bad.with("fails"),
        (None, None) => Shape::Open.with("not heard yet"),
        (None, Some(_)) if source.from_state_file => Shape::Open.with("from the state file"),
        (None, Some(_)) if source.held_back.is_some() => Shape::Doubtful.with("held back"),
        (None, Some(_)) if source.lack.is_some() => Shape::Doubtful.with("in part"),
        (None, Some(_)) => Shape::Good.with("answers"),
    };
    vec![
        html! { (source.name) },
        html! { (state) },
        html! { (grouped(source.endpoints)) },
        html! {
            @match source.age_secs {
                Some(secs) => { (age(secs)) " ago" },
                None => "never",
            }
        },
        html! {
            @if [&source.error, &source.lack, &source.held_back].iter().all(|it| it.is_none()) {
                span.off { "none" }
            }
            @for error in source.error.iter().chain(&source.lack) { code { (error) } }
            @if let Some(why) = &source.held_back { p { "Held back: " (why) } }
            @if !source.missing_permissions.is_empty() {
                p { "Missing IAM action: "
                    strong { (source.missing_permissions.join(", ")) } }
            }
        },
    ]
}

fn view_row(view: &ViewRuleDocument) -> Vec<Markup> {
    let list = |texts: &[String], none: &str| {
        html! { @if texts.is_empty() { span.off { (none) } } @else { (texts.join(", ")) } }
    };
    let listeners: Vec<String> = view.listeners.iter().map(ToString::to_string).collect();
    let tags = view.tags.iter().map(|(key, value)| format!("{key}={value}"));
    let only: Vec<String> = tags.chain(view.only.iter().cloned()).collect();
    let declined: usize = view.declined.values().sum();
    vec![
        html! {
            (view.name)
            @if view.onprem { small { "on premises" } }
        },
        html! { (list(&view.clients, if view.rest { "everybody else" } else { "any" })) },
        html! { (list(&listeners, "any listener")) },
        html! { (list(&only, "any endpoint")) },
        html! {
            (list(&view.deny, "nothing more"))
            @if !view.allow.is_empty() { small { "but not " (view.allow.join(", ")) } }
        },
        html! {
            (grouped(view.names))
            small { (grouped(declined)) " not answered" }
        },
    ]
}

fn upstream_row(upstream: &UpstreamDocument) -> Vec<Markup> {
    let state = match upstream.state.as_str() {
        "up" => Shape::Good.with("up"),
        "failing" => Shape::Bad.with("does not answer"),
        _ => Shape::Open.with("not asked yet"),
    };
    let mut remarks: Vec<String> =
        upstream.asked_without.iter().map(|it| format!("asked without {it}")).collect();
    if upstream.limited {
        remarks.push("limited by AWS".to_owned());
    }
    if upstream.trusted {
        remarks.push("trusted to validate".to_owned());
    }
    vec![
        html! { code { (upstream.address) } },
        html! { (state) },
        html! {
            @match upstream.rtt_micros {
                Some(micros) => (millis(micros)),
                None => span.off { "not known" },
            }
        },
        html! { (upstream.asked_for()) },
        html! {
            @if remarks.is_empty() { span.off { "none" } } @else { (remarks.join(", ")) }
        },
    ]
}

/// Packets of those that AWS takes.
fn packets(budget: &BudgetDocument) -> Markup {
    let BudgetDocument { packets, peak, soft, hard, .. } = budget;
    html! {
        h3 #packets { "Packets a second to " (budget.upstreams.join(", ")) }
        p {
            meter aria-labelledby="packets" min="0" max=(PACKETS_MAX) high=(soft) value=(packets) {}
            " " (grouped(packets)) " of " (grouped(PACKETS_MAX)) " that AWS takes"
        }
        dl {
            (fact("Peak of two minutes", &grouped(peak)))
            (fact("Spared from", &grouped(soft)))
            (fact("Not sent above", &grouped(hard)))
        }
    }
}

/// `0.42 ms`, `12.0 ms`.
fn millis(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        _ => format!("{} ms", micros / 1_000),
    }
}
