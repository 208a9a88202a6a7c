//! What a visitor of the page asks for, and the links that ask for something else.

use axum::http::Uri;
use maud::{Markup, html};

use crate::admin::{client::with_parameters, parameters::Parameters};

/// What of it is explained.
pub(super) const EXPLAIN: [&str; 4] = ["name", "type", "from", "listener"];
/// The word by which what is explained is also asked, of the page's own forms alone.
pub(super) const LIVE: &str = "live";
/// Which of the names are listed.
const LIST: [&str; 2] = ["view", "q"];
/// Which page of each list.
const PAGES: [&str; 3] = ["names", "declined", "leaks"];

/// The parameters of the page; one that is empty is as good as none, since a form sends it so.
pub(super) struct Asked(Vec<(&'static str, String)>);

// === impl Asked ===

impl Asked {
    /// Ignores what it does not know: a mail's scanner adds its own.
    pub(super) fn read(uri: &Uri) -> Self {
        let known = [&EXPLAIN[..], &[LIVE], &LIST, &PAGES].concat();
        let parameters = Parameters::of_a_link(uri, &known);
        let given = known.into_iter().filter_map(|key| {
            let text = parameters.text(key)?.trim();
            (!text.is_empty()).then(|| (key, text.to_owned()))
        });
        Self(given.collect())
    }

    /// A parameter's text; empty if there is none.
    pub(super) fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == key).map_or("", |(_, text)| text)
    }

    /// Whether anything is to be explained.
    pub(super) fn is_explained(&self) -> bool {
        EXPLAIN.iter().any(|key| !self.text(key).is_empty())
    }

    /// Those of `explain` alone, as the JSON API reads them.
    pub(super) fn explain(&self) -> Parameters {
        let given = EXPLAIN.iter().map(|key| (*key, self.text(key)));
        Parameters::new(given.filter(|(_, text)| !text.is_empty()))
    }

    /// The page of a list, from 1.
    pub(super) fn page(&self, list: &str) -> usize {
        self.text(list).parse().unwrap_or(1).max(1)
    }

    /// The same page but for one parameter. What lists other rows begins with their first, and nothing
    /// is asked by following it.
    pub(super) fn link(&self, key: &'static str, value: &str, part: &str) -> String {
        let stays = |known: &str| {
            ![key, LIVE].contains(&known) && (PAGES.contains(&key) || !PAGES.contains(&known))
        };
        let others = self.0.iter().filter(|(known, _)| stays(known));
        let mut all: Vec<(&str, &str)> = others.map(|(key, text)| (*key, text.as_str())).collect();
        if !value.is_empty() {
            all.push((key, value));
        }
        with_parameters("/", &all) + "#" + part
    }

    /// What one form has not asked for and should not forget.
    pub(super) fn hidden(&self, asks: &[&str]) -> Markup {
        let others = [&EXPLAIN[..], &LIST].concat();
        html! {
            @for key in others.iter().filter(|key| !asks.contains(key)) {
                @if !self.text(key).is_empty() {
                    input type="hidden" name=(key) value=(self.text(key));
                }
            }
        }
    }
}
