//! The names that are answered, name by zone, and those that are not.
//!
//! A hub may have thousands: so many are shown at once as a person reads, and the filter finds the
//! others.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::{
    Visit,
    list::{Slice, nothing},
    parts::{self, Column, Shape, grouped},
};
use crate::{
    admin::json::{AddressDocument, DeclinedDocument, NameDocument},
    base::age,
    policy::{Address, Caveat, Claim, CnameClaim, Declined},
    table::ViewTable,
};

/// The columns: a zone's name, and its id where that is known, which is the same in all accounts.
type Zones = BTreeSet<(String, String)>;

// === impl Visit ===

impl Visit {
    /// The view whose names are shown: the one asked for, else everybody else's.
    fn shown(&self) -> Option<&ViewTable> {
        let table = self.published.table();
        let asked = self.asked.text("view");
        table.view(asked).or_else(|| table.views().last())
    }

    pub(super) fn names(&self) -> Markup {
        let views: Vec<&str> =
            self.published.table().views().map(|view| view.name().as_str()).collect();
        let shown = self.shown().map_or("", |view| view.name().as_str());
        html! {
            section aria-labelledby="answered" {
                h2 #answered { "Names that are answered" }
                form action="/#answered" method="get" data-part="answered" role="search" {
                    label.wide {
                        "Find a name, endpoint, address or service"
                        input #q name="q" type="search" value=(self.asked.text("q"))
                            autocomplete="off" autocapitalize="none" spellcheck="false";
                    }
                    label {
                        "View"
                        select name="view" {
                            @for view in &views { option selected[*view == shown] { (view) } }
                        }
                    }
                    (self.asked.hidden(&["q", "view"]))
                    button { "Find" }
                }
                div #names { (self.names_list()) }
            }
        }
    }

    fn names_list(&self) -> Markup {
        let Some(view) = self.shown() else { return html! { p.soft { "None." } } };
        let wanted = self.asked.text("q").to_ascii_lowercase();
        let all: Vec<&Claim> = view.entries().iter().map(|entry| entry.claim()).collect();
        let found: Vec<&Claim> =
            all.iter().copied().filter(|claim| is_found(claim, &wanted)).collect();
        let mut zones = Zones::new();
        all.iter().flat_map(|claim| addresses(claim)).for_each(|address| note(&mut zones, address));
        let slice = Slice::new(found.len(), self.asked.page("names"));
        let rows: Vec<NameDocument> =
            slice.of(&found).iter().map(|claim| NameDocument::from(*claim)).collect();
        let caption = html! {
            (slice.told("name", "names")) " of view " b { (view.name()) }
            @if !wanted.is_empty() { " with “" (wanted) "”, of " (grouped(all.len())) }
            "."
        };
        let mut columns = parts::columns(&["Name", "From"]);
        columns.extend(
            zones
                .iter()
                .map(|(name, id)| Column::with(name, Some(id.as_str()).filter(|id| id != name))),
        );
        html! {
            @if found.is_empty() { p.soft { (nothing(all.len(), "name")) } } @else {
                div.names {
                    (parts::table(
                        "Names that are answered", &caption, &columns,
                        rows.iter().map(|name| self.name_row(name, &zones)),
                    ))
                }
                (self.pager("names", "answered", &slice))
            }
            (cnames(view, &wanted))
        }
    }

    fn name_row(&self, name: &NameDocument, zones: &Zones) -> Vec<Markup> {
        let here = |name_of_zone: &str, zone: &str| {
            let all = name.addresses.iter().chain(&name.left_out);
            let is_here = |it: &&AddressDocument| match &it.az_id {
                Some(id) => id == zone,
                None => it.az == name_of_zone,
            };
            all.filter(is_here).collect::<Vec<_>>()
        };
        let mut cells = vec![
            html! {
                code { (name.name) }
                small {
                    (name.types.join(", ")) " · " (origin(&name.origin))
                    @for caveat in &name.caveats { " · " (caveat.caveat.replace('_', " ")) }
                }
            },
            html! { (name.service) small { code { (name.endpoint) } " · " (name.source) } },
        ];
        cells.extend(zones.iter().map(|(name, id)| {
            let here = here(name, id);
            html! {
                @if here.is_empty() { span.off { "none" } }
                @for address in here { (self.address(address)) }
            }
        }));
        cells
    }

    fn address(&self, address: &AddressDocument) -> Markup {
        let (shape, word) = match (address.state.as_str(), self.probes) {
            ("given", true) => (Shape::Good, "up"),
            ("given", false) => (Shape::Open, "not probed"),
            ("down", _) => (Shape::Bad, "down"),
            ("unheard", _) => (Shape::Open, "never answered"),
            ("drained", _) => (Shape::Out, "drained"),
            ("down_given", _) => (Shape::Doubtful, "down, given"),
            ("drained_given", _) => (Shape::Doubtful, "drained, given"),
            // A word that this page does not know is still told.
            (other, _) => (Shape::Open, other),
        };
        html! {
            div.eni {
                (shape.with(word)) code { (address.ip) } small.mono { (address.eni) }
            }
        }
    }

    pub(super) fn declined(&self) -> Markup {
        let view = self.shown();
        let all: Vec<&Declined> = view.into_iter().flat_map(|it| it.declined().iter()).collect();
        let wanted = self.asked.text("q").to_ascii_lowercase();
        let found: Vec<&Declined> =
            all.iter().copied().filter(|it| is_declined(it, &wanted)).collect();
        let slice = Slice::new(found.len(), self.asked.page("declined"));
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        found.iter().for_each(|it| *reasons.entry(it.why.word()).or_default() += 1);
        let reasons: Vec<String> =
            reasons.iter().map(|(why, times)| format!("{why} {times}")).collect();
        let caption = html! { (slice.told("line", "lines")) ", by reason: " (reasons.join(", ")) };
        let rows = slice.of(&found).iter().map(|it| DeclinedDocument::from(*it));
        html! {
            section aria-labelledby="not-answered" {
                h2 #not-answered { "Not answered, and why" }
                div #declined {
                    @if found.is_empty() { p.soft { (nothing(all.len(), "line")) } } @else {
                        (parts::table(
                            "Not answered, and why", &caption,
                            &parts::columns(&["Name", "Endpoint", "Reason"]),
                            rows.map(|row| declined_row(&row)),
                        ))
                        (self.pager("declined", "not-answered", &slice))
                    }
                }
            }
        }
    }
}

/// Names that stand for others: as many as a person reads, the filter finds the rest.
fn cnames(view: &ViewTable, wanted: &str) -> Markup {
    let found: Vec<&CnameClaim> = view
        .cnames()
        .iter()
        .filter(|it| {
            it.pattern.to_string().contains(wanted)
                || it.target.to_string().contains(wanted)
                || it.lender.as_ref().is_some_and(|it| {
                    it.endpoint.as_str().contains(wanted) || it.service.as_str().contains(wanted)
                })
        })
        .collect();
    let slice = Slice::new(found.len(), 1);
    html! {
        @if !found.is_empty() {
            h3 { "Names that stand for others" }
            (parts::table(
                "Names that stand for others",
                &html! { (slice.told("name", "names")) "." },
                &parts::columns(&["Name", "Stands for", "Endpoint", "Kept"]),
                slice.of(&found).iter().map(|cname| {
                    vec![
                        html! { code { (cname.pattern) } },
                        html! { code { (cname.target) } },
                        html! {
                            @match &cname.lender {
                                Some(it) => { (it.service) small { code { (it.endpoint) } } },
                                None => span.off { "an alias" },
                            }
                        },
                        html! { (age(cname.ttl.as_secs().into())) },
                    ]
                }),
            ))
        }
    }
}

fn declined_row(row: &DeclinedDocument) -> Vec<Markup> {
    vec![
        html! {
            @match &row.name {
                Some(name) => code { (name) },
                None => span.off { "the whole endpoint" },
            }
        },
        html! {
            (row.service.as_deref().unwrap_or("none"))
            @if let Some(endpoint) = &row.endpoint { small { code { (endpoint) } } }
        },
        html! { b { (row.reason.replace('_', " ")) } small { (row.why) } },
    ]
}

fn origin(word: &str) -> &str {
    match word {
        "published" => "published by the service",
        "s3_apex" => "apex of a published wildcard",
        "dns_entry" => "of the endpoint",
        other => other,
    }
}

fn is_found(claim: &Claim, wanted: &str) -> bool {
    wanted.is_empty()
        || claim.pattern.to_string().contains(wanted)
        || claim.endpoint.as_str().contains(wanted)
        || claim.service.as_str().contains(wanted)
        || addresses(claim).any(|address| {
            address.ip.to_string().contains(wanted) || address.eni.as_str().contains(wanted)
        })
}

fn is_declined(declined: &Declined, wanted: &str) -> bool {
    let has =
        |text: Option<&str>| text.is_some_and(|text| text.to_ascii_lowercase().contains(wanted));
    wanted.is_empty()
        || has(declined.name.as_deref())
        || has(declined.endpoint.as_ref().map(|it| it.as_str()))
        || has(declined.service.as_ref().map(|it| it.as_str()))
        || has(Some(declined.why.word()))
}

/// The addresses of a name, those that are not given among them.
fn addresses(claim: &Claim) -> impl Iterator<Item = &Address> {
    claim.addresses.iter().chain(claim.caveats.iter().flat_map(Caveat::addresses))
}

fn note(zones: &mut Zones, address: &Address) {
    let name = address.az.name.to_string();
    match address.az.id.as_deref() {
        // Another account has another name for it.
        Some(id) if zones.iter().any(|(_, known)| known == id) => (),
        Some(id) => {
            // One without an id was that zone.
            zones.remove(&(name.clone(), name.clone()));
            zones.insert((name, id.to_owned()));
        }
        None if zones.iter().any(|(known, _)| *known == name) => (),
        None => {
            zones.insert((name.clone(), name));
        }
    }
}
