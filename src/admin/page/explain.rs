//! Why a client gets its answer: the form, and what came of it.

use maud::{Markup, html};

use super::{
    Visit, asked,
    parts::{self, Shape},
};
use crate::{
    admin::{client::with_parameters, json::ExplainDocument},
    base::RecordType,
};

/// The types that a person picks from; any other can be written into the address.
const TYPES: [&str; 8] = ["A", "AAAA", "HTTPS", "CNAME", "TXT", "MX", "SRV", "NS"];

// === impl Visit ===

impl Visit {
    pub(super) fn explain(&self) -> Markup {
        let asked = |key| self.asked.text(key);
        let field = |key: &'static str, label: &str, hint: &str, class: Option<&str>| {
            html! {
                label class=[class] {
                    (label)
                    input name=(key) value=(asked(key)) placeholder=(hint) autocomplete="off"
                        autocapitalize="none" spellcheck="false" required[key == "name"];
                }
            }
        };
        html! {
            section aria-labelledby="explain" {
                h2 #explain { "Why does a client get this answer?" }
                form action="/#explain" method="get" data-part="explain" {
                    (field("name", "Name", "sqs.eu-west-1.amazonaws.com", Some("wide")))
                    (self.types())
                    (field("from", "Client address", "yours", None))
                    (field("listener", "Listener", "the first", None))
                    (self.asked.hidden(&asked::EXPLAIN))
                    button { "Explain" }
                }
                div #result tabindex="-1" aria-live="polite" {
                    @match &self.explained {
                        None => {}
                        Some(Ok(told)) => (self.told(told)),
                        Some(Err(why)) => p { (Shape::Bad.with("Not explained")) ": " (why) },
                    }
                }
            }
        }
    }

    fn types(&self) -> Markup {
        let asked = self.asked.text("type");
        let asked = asked.parse::<RecordType>().map_or(asked.to_owned(), |it| it.to_string());
        let other = (!asked.is_empty() && !TYPES.contains(&asked.as_str())).then_some(&asked);
        html! {
            label {
                "Type"
                select name="type" {
                    @for rtype in TYPES { option selected[rtype == asked] { (rtype) } }
                    @if let Some(other) = other { option selected { (other) } }
                }
            }
        }
    }

    fn told(&self, told: &ExplainDocument) -> Markup {
        let ExplainDocument { name, r#type, client, listener, decision, .. } = told;
        // Whole: without the client's address it would mean whoever follows it.
        let (from, to) = (client.to_string(), listener.to_string());
        let given = asked::EXPLAIN.into_iter().zip([name, r#type, &from, &to].map(String::as_str));
        let link = with_parameters("/", &given.collect::<Vec<_>>()) + "#explain";
        let command = format!("hubdns explain {name} {type} --from {client} --listener {listener}");
        html! {
            h3 {
                code { (name) " " (r#type) } " from " code { (client) } " to " code { (listener) }
                ": " (shape(decision).with(decision))
            }
            ol.steps { @for step in &told.steps { li { b { (step.about) } " " span { (step.text) } } } }
            @if !told.given.is_empty() {
                (parts::table(
                    "Addresses given",
                    &html! { "Addresses given" },
                    &parts::head(&["Address", "Zone", "Interface"]),
                    &html! {
                        @for given in &told.given {
                            tr {
                                th scope="row" { code { (given.ip) } }
                                td { (given.az) }
                                td { code { (given.eni) } }
                            }
                        }
                    },
                ))
            }
            p { small {
                a href=(link) { "Link to this" }
                " The same in a terminal: " code { (command) }
            } }
        }
    }
}

fn shape(decision: &str) -> Shape {
    match decision {
        "answer" => Shape::Good,
        "refuse" => Shape::Bad,
        // An absence of ours, or somebody else's to answer.
        _ => Shape::Open,
    }
}
