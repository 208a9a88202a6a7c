//! Reads the parameters of a request, and refuses in words that say what is allowed.

use std::{fmt, str::FromStr};

use axum::{
    extract::Query,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::json::{self, ErrorDocument};
use crate::base::Chain;

/// A request that is not answered, as its client is told.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

/// What stands behind the question mark.
pub(super) struct Parameters(Vec<(String, String)>);

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// What its client is told.
    pub(super) fn why(&self) -> &str {
        &self.why
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json::to_text(&ErrorDocument { error: self.why });
        (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

// === impl Parameters ===

impl Parameters {
    /// The parameters of `uri`, each of which must be in `known` and stand there once.
    pub(super) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Refusal> {
        let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| bad(format!("parameters: {}", Chain(&error))))?;
        for (at, (key, _)) in pairs.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                let allowed = known.join(", ");
                return Err(bad(format!("{key:?} is no parameter here; there are: {allowed}")));
            }
            if pairs.iter().take(at).any(|(before, _)| before == key) {
                return Err(bad(format!("{key} stands there twice; say it once")));
            }
        }
        Ok(Self(pairs))
    }

    /// Those of `uri` that are known, the first of each; whoever follows a link is told no fault of it.
    pub(super) fn of_a_link(uri: &Uri, known: &[&str]) -> Self {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs);
        let mut given: Vec<(String, String)> = Vec::new();
        for (key, text) in pairs.unwrap_or_default() {
            if known.contains(&key.as_str()) && given.iter().all(|(before, _)| *before != key) {
                given.push((key, text));
            }
        }
        Self(given)
    }

    /// Parameters that were read elsewhere.
    pub(super) fn new<'p>(given: impl Iterator<Item = (&'p str, &'p str)>) -> Self {
        Self(given.map(|(key, text)| (key.to_owned(), text.to_owned())).collect())
    }

    /// A parameter's text, if it is there.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|(known, value)| (known == key).then_some(value.as_str()))
    }

    /// A parameter's value, if it is there. `expected` says what is allowed.
    pub(super) fn value<T>(&self, key: &str, expected: &str) -> Result<Option<T>, Refusal>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|error| {
            let why = format!("{key}: {text:?}: {error}; {expected}");
            Refusal::new(StatusCode::BAD_REQUEST, why)
        })
    }
}
