//! The page at `/`: one document with all that is known, made anew for each visit.
//!
//! It needs no script, and with it explains without a reload and keeps itself up to date. Nothing
//! is loaded from elsewhere. It changes nothing, and holds no text that was not escaped.

mod asked;
mod changes;
mod coverage;
mod explain;
mod hub;
mod list;
mod names;
mod parts;
#[cfg(test)]
mod tests;
mod traffic;
mod verdict;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest::{SHA256, digest};
use tokio::time::Instant;

use super::{
    guard::Caller,
    json::{
        ChangesDocument, ConfigDocument, ExplainDocument, StatusDocument, TrafficDocument,
        UpstreamsDocument,
    },
    live::Wish,
    parameters::Refusal,
    routes::{Site, explained, written},
    standing,
};
use crate::{table::Published, telemetry::Metrics};
use asked::Asked;
use verdict::{Silence, Verdict};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Nothing but our own style and script, which are known by their hashes, and nobody's frame.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| BASE64.encode(digest(&SHA256, text.as_bytes()).as_ref());
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// All that one visit shows, as it was at one moment.
struct Visit {
    asked: Asked,
    identity: String,
    status: StatusDocument,
    /// Seconds until the daemon ends, if it drains.
    ends_in: Option<u64>,
    upstreams: UpstreamsDocument,
    traffic: TrafficDocument,
    changes: ChangesDocument,
    config: ConfigDocument,
    probes: bool,
    /// Nothing when nothing was asked.
    explained: Option<Result<ExplainDocument, String>>,
    /// By which the page's forms have something asked.
    word: String,
    published: Arc<Published>,
    metrics: Arc<Metrics>,
    since_start: Duration,
}

/// `/`.
pub(super) async fn page(
    State(site): State<Site>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    let asked = Asked::read(&uri);
    let explained = match asked.is_explained() {
        true => Some(answered(&site, caller, is_ahead(&headers), &asked).await),
        false => None,
    };
    let visit = Visit::new(&site, asked, explained);
    let page = written(move || visit.document().into_string()).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
    ];
    Ok((headers, page).into_response())
}

/// What a visitor asks to be explained; by the page's own form, with what the live path answers.
async fn answered(
    site: &Site,
    caller: Caller,
    is_ahead: bool,
    asked: &Asked,
) -> Result<ExplainDocument, String> {
    let told = || {
        let told = explained(&site.admin, caller, &asked.explain());
        told.map_err(|refusal| refusal.why().to_owned())
    };
    let word = asked.text(asked::LIVE);
    let mut told_now = told()?;
    if word.is_empty() {
        return Ok(told_now);
    }
    let live = async |explained: &ExplainDocument| {
        let bound = site.admin.listening.borrow().clone();
        let is_encrypted = site.admin.config.borrow().serve.is_encrypted_at(explained.listener);
        let wish = Wish { caller, word, is_ahead, explained, is_encrypted };
        site.asker.ask(wish, &site.admin.table, &bound).await
    };
    let mut answer = live(&told_now).await;
    // A table may have come between the two.
    if answer.agrees == Some(false) && answer.rcode.is_some() {
        told_now = told()?;
        answer = live(&told_now).await;
    }
    Ok(ExplainDocument { live: Some(answer), ..told_now })
}

/// Whether a browser only thinks that somebody will want the page.
fn is_ahead(headers: &HeaderMap) -> bool {
    let purposes =
        ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().filter_map(|key| headers.get(*key));
    let mut purposes = purposes.filter_map(|value| value.to_str().ok());
    purposes.any(|purpose| purpose.contains("prefetch") || purpose.contains("preview"))
}

// === impl Visit ===

impl Visit {
    fn new(site: &Site, asked: Asked, explained: Option<Result<ExplainDocument, String>>) -> Self {
        let (admin, now) = (&site.admin, Instant::now());
        let config = admin.config.borrow().clone();
        Self {
            identity: String::from_utf8_lossy(&admin.settings.borrow().identity).into_owned(),
            status: StatusDocument {
                reasons: standing::lasting_reasons(admin),
                ..standing::status(admin, site.started, now)
            },
            ends_in: standing::ends_in(admin),
            upstreams: standing::upstreams(admin, now),
            traffic: TrafficDocument::new(&admin.traffic.samples()),
            changes: ChangesDocument::from(&**admin.publications.borrow()),
            config: ConfigDocument { hash: config.hash.clone(), toml: config.toml.clone() },
            probes: config.probes,
            explained,
            published: admin.table.hold(),
            metrics: Arc::clone(&admin.metrics),
            since_start: now.saturating_duration_since(site.started),
            word: site.asker.word().to_owned(),
            asked,
        }
    }

    fn document(&self) -> Markup {
        // Refresh has counted them: without any, nobody looks for them among all names.
        let silence = match self.metrics.control.unhealthy_addresses.get() {
            0 => Silence::default(),
            _ => Silence::of(&self.published),
        };
        let verdict = Verdict::of(&self.status, silence);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (verdict.word()) " · hubdns " (self.identity) }
                    link rel="icon" href=(verdict.icon());
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#explain" { "Skip to the content" }
                    (parts::shapes())
                    (self.header())
                    main.wrap {
                        p #lost .bad role="alert" hidden {}
                        (verdict.section(&self.status, &self.config.hash, self.ends_in))
                        (self.explain())
                        (self.names())
                        (self.declined())
                        (self.coverage())
                        (self.sources())
                        (self.views())
                        (self.upstreams())
                        (self.traffic())
                        (self.changes())
                        (self.config())
                    }
                    footer.wrap {
                        p {
                            "As it was when this page was loaded. " span #told {}
                            " The same for programs: " a href="/api/v1/openapi.json" { "/api/v1" }
                            ", " a href="/metrics" { "/metrics" } "."
                        }
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }

    fn header(&self) -> Markup {
        let parts = [
            ("explain", "Explain"),
            ("answered", "Names"),
            ("not-answered", "Not answered"),
            ("leaks", "Coverage"),
            ("discovery", "Sources"),
            ("audiences", "Views"),
            ("forwarding", "Upstreams"),
            ("questions", "Traffic"),
            ("history", "Changes"),
            ("build", "Configuration"),
        ];
        html! {
            header.wrap {
                h1 { "hubdns " small { (self.identity) } }
                nav aria-label="Parts of this page" {
                    ul {
                        @for (part, name) in parts { li { a href={ "#" (part) } { (name) } } }
                    }
                }
            }
        }
    }
}
