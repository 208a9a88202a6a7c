//! Why a client gets its answer: the form, and what came of it.

use maud::{Markup, html};

use super::{
    Visit, asked,
    parts::{self, Shape},
};
use crate::{
    admin::{
        client::with_parameters,
        json::{ExplainDocument, LiveDocument},
    },
    base::{RecordType, shell_word},
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
                    input type="hidden" name=(asked::LIVE) value=(self.word);
                    button { "Explain" }
                }
                div #result tabindex="-1" aria-live="polite" {
                    @match &self.explained {
                        None => {}
                        Some(Ok(told)) => (self.told(told)),
                        Some(Err(why)) => p { (Shape::Bad.with("Not explained")) ": " (why) },
                    }
                }
                div #live tabindex="-1" aria-live="polite" {
                    @if let Some(Ok(told)) = &self.explained { (self.live(told)) }
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

    /// What hubdns answers when it is asked by DNS, or the way to have it asked.
    fn live(&self, told: &ExplainDocument) -> Markup {
        html! {
            @match &told.live {
                Some(live) => p {
                    "Asked by DNS: " (answer(live)) " "
                    @if live.agrees.is_some() || live.rcode.is_some() {
                        small #asked-at { "Asked when this page was loaded." }
                    }
                },
                None => p.soft { "Not asked by DNS yet." },
            }
            form action="/#explain" method="get" data-part="explain" {
                @for (key, value) in given(told) {
                    input type="hidden" name=(key) value=(value);
                }
                (self.asked.hidden(&asked::EXPLAIN))
                input type="hidden" name=(asked::LIVE) value=(self.word);
                button.more { (if told.live.is_some() { "Ask again" } else { "Ask now" }) }
            }
        }
    }

    fn told(&self, told: &ExplainDocument) -> Markup {
        let ExplainDocument { name, r#type, client, listener, decision, .. } = told;
        // Whole: without the client's address it would mean whoever follows it.
        let given = given(told);
        let given: Vec<_> = given.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let link = with_parameters("/", &given) + "#explain";
        let command = format!(
            "hubdns explain {} {type} --from {client} --listener {listener}",
            shell_word(name)
        );
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
                    &parts::columns(&["Address", "Zone", "Interface"]),
                    told.given.iter().map(|given| {
                        vec![
                            html! { code { (given.ip) } },
                            html! { (given.az) },
                            html! { code { (given.eni) } },
                        ]
                    }),
                ))
            }
            p { small {
                a href=(link) { "Link to this" }
                " The same in a terminal: " code { (command) }
            } }
        }
    }
}

/// The whole question, as parameters.
fn given(told: &ExplainDocument) -> [(&'static str, String); 4] {
    let ExplainDocument { name, r#type, client, listener, .. } = told;
    let [for_name, for_type, from, to] = asked::EXPLAIN;
    [
        (for_name, name.clone()),
        (for_type, r#type.clone()),
        (from, client.to_string()),
        (to, listener.to_string()),
    ]
}

/// What the live path said.
fn answer(live: &LiveDocument) -> Markup {
    let (shape, word) = match (live.agrees, &live.rcode) {
        (Some(true), _) => (Shape::Good, "agrees"),
        (Some(false), _) => (Shape::Bad, "differs"),
        (None, Some(_)) => (Shape::Open, "answered"),
        (None, None) => (Shape::Open, "not asked"),
    };
    let what = ["DIFFERS: ", "not asked: "]
        .iter()
        .find_map(|head| live.what.strip_prefix(head))
        .unwrap_or(&live.what);
    html! { (shape.with(word)) ": " (what) "." }
}

fn shape(decision: &str) -> Shape {
    match decision {
        "answer" => Shape::Good,
        "refuse" => Shape::Bad,
        // An absence of ours, or somebody else's to answer.
        _ => Shape::Open,
    }
}
