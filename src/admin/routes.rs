//! What each path answers.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::State,
    http::{StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Admin, control,
    guard::{Caller, guard},
    json::{
        self, ChangesDocument, ConfigDocument, CoverageDocument, ExplainDocument, FlushDocument,
        NamesDocument, Part, ROWS_MAX, TrafficDocument, ViewsDocument,
    },
    live::{Asker, is_own, no_listener},
    openapi,
    orders::Order,
    page,
    parameters::{Parameters, Refusal},
    standing,
};
use crate::{
    answer::{self, Vantage},
    base::{Chain, Name, RecordType},
    table::Published,
};

/// What there is, as an unknown path is told.
const INDEX: &str = "\
/                  the page for people
/metrics           for Prometheus
/livez             200 while the process serves
/readyz            200 when it answers queries, else 503 and the reasons
/api/v1/status     readiness, table, listeners, sources
/api/v1/names      what is answered, and what is not and why; ?view=NAME&only=answered&rows=N&first=N
/api/v1/explain    why a client gets its answer; ?name=NAME&type=A&from=IP&listener=IP:PORT
/api/v1/sources    how each source stands: age, last error, IAM actions missing
/api/v1/views      who is in which view, and what it takes away
/api/v1/upstreams  who is asked for what is not ours, and how they do
/api/v1/traffic    questions and answers of the last quarter of an hour
/api/v1/coverage   names of AWS that upstreams answered with public addresses, and why
/api/v1/changes    the last tables that went into force: when, why, and what each changed
/api/v1/config     the configuration in force, without secrets
/api/v1/openapi.json  all of the above for programs (OpenAPI 3.1)
";

/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";
/// A listener given without a port is the usual one.
const DNS_PORT: u16 = 53;

/// What handlers look at.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) admin: Arc<Admin>,
    pub(super) started: Instant,
    pub(super) asker: Arc<Asker>,
}

// === impl Admin ===

impl Admin {
    /// All paths of the admin listener, none of which changes anything. Requests have to bring
    /// their [`Caller`].
    pub(super) fn router(self) -> Router {
        self.routes(Router::new())
    }

    /// The same paths, and those by which the one who may open the control socket changes something.
    pub(super) fn control_router(self) -> Router {
        let changes = Router::new()
            .route("/api/v1/flush", post(flush))
            .route("/api/v1/reload", post(reload))
            .route("/api/v1/plan", post(plan))
            .route("/api/v1/drain", post(drain))
            .route("/api/v1/undrain", post(undrain))
            .route("/api/v1/refresh", post(control::refresh))
            .route("/api/v1/drain-az", post(control::drain))
            .route("/api/v1/undrain-az", post(control::undrain));
        self.routes(changes)
    }

    fn routes(self, more: Router<Site>) -> Router {
        let now = Instant::now();
        let site = Site { admin: Arc::new(self), started: now, asker: Arc::new(Asker::new(now)) };
        more.route("/", get(page::page))
            .route("/metrics", get(metrics))
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/api/v1/status", get(status))
            .route("/api/v1/names", get(names))
            .route("/api/v1/explain", get(explain))
            .route("/api/v1/sources", get(sources))
            .route("/api/v1/views", get(views))
            .route("/api/v1/upstreams", get(upstreams))
            .route("/api/v1/traffic", get(traffic))
            .route("/api/v1/coverage", get(coverage))
            .route("/api/v1/changes", get(changes))
            .route("/api/v1/config", get(config))
            .route("/api/v1/openapi.json", get(openapi))
            .fallback(nothing)
            .layer(middleware::from_fn(guard))
            .with_state(site)
    }
}

async fn metrics(State(site): State<Site>) -> Result<Response, Refusal> {
    let now = Instant::now();
    for source in &site.admin.status.borrow().sources {
        let age = standing::age_secs(source, site.started, now).unwrap_or(-1.0);
        site.admin.metrics.control.source_facts(source.name.as_str(), age, source.endpoints);
    }
    site.admin.settings.borrow().forwarder.measure();
    let metrics = Arc::clone(&site.admin.metrics);
    let page = written(move || metrics.render()).await?.map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, Chain(&error).to_string())
    })?;
    Ok(([(header::CONTENT_TYPE, EXPOSITION)], page).into_response())
}

async fn readyz(State(site): State<Site>) -> Response {
    let reasons = standing::reasons(&site.admin);
    match reasons.is_empty() {
        true => "ready\n".into_response(),
        false => {
            let lines: String = reasons.iter().map(|reason| format!("{reason}\n")).collect();
            (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
        }
    }
}

async fn status(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    Ok(document(&standing::status(&site.admin, site.started, Instant::now())))
}

async fn sources(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    let status = site.admin.status.borrow();
    Ok(document(&standing::sources(&status, site.started, Instant::now())))
}

async fn views(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    let published = in_force(&site.admin)?;
    written(move || document(&ViewsDocument::from(published.table()))).await
}

async fn upstreams(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    Ok(document(&standing::upstreams(&site.admin, Instant::now())))
}

async fn traffic(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    Ok(document(&TrafficDocument::new(&site.admin.traffic.samples())))
}

async fn config(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    let config = site.admin.config.borrow();
    Ok(document(&ConfigDocument { hash: config.hash.clone(), toml: config.toml.clone() }))
}

async fn openapi(uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    Ok(document(&openapi::description()))
}

async fn names(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    let parameters = Parameters::read(&uri, &["view", "only", "first", "rows"])?;
    let published = in_force(&site.admin)?;
    let part = Part {
        view: parameters.text("view").map(str::to_owned),
        only: parameters.value("only", "say answered or declined")?,
    };
    if let Some(name) = &part.view
        && published.table().view(name).is_none()
    {
        let known: Vec<&str> = published.table().views().map(|it| it.name().as_str()).collect();
        let why = format!("view: there is no view {name:?}; there are: {}", known.join(", "));
        return Err(Refusal::new(StatusCode::NOT_FOUND, why));
    }
    let (first, most) = page_of(&parameters, part.rows(published.table()))?;
    written(move || {
        let generation = Some(published.generation().as_u64());
        document(&NamesDocument::page(published.table(), generation, &part, first, most))
    })
    .await
}

/// The first row that is asked for, and how many. Who asks for no page gets the whole or is told how to
/// ask: half of it would look like the whole.
fn page_of(parameters: &Parameters, all: usize) -> Result<(usize, usize), Refusal> {
    let allowed = format!("say a number from 1 to {ROWS_MAX}");
    let rows: Option<usize> = parameters.value("rows", &allowed)?;
    let allowed_first = "say how many rows to pass over, 4294967295 at most";
    let first: Option<u32> = parameters.value("first", allowed_first)?;
    let first = first.map(|first| usize::try_from(first).unwrap_or(usize::MAX));
    match (first, rows) {
        (_, Some(rows)) if !(1..=ROWS_MAX).contains(&rows) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, format!("rows: {rows}; {allowed}")))
        }
        (None, None) if ROWS_MAX < all => {
            let why = format!(
                "there are {all} rows, more than {ROWS_MAX} at once; ask for one view (view=NAME), \
                 for only=answered, or page by page: rows=5000&first=0, then first= as `next` says"
            );
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        (first, rows) => Ok((first.unwrap_or(0), rows.unwrap_or(ROWS_MAX))),
    }
}

async fn coverage(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    let published = in_force(&site.admin)?;
    let metrics = Arc::clone(&site.admin.metrics);
    let secs = site.started.elapsed().as_secs();
    written(move || document(&CoverageDocument::new(&metrics.coverage, published.table(), secs)))
        .await
}

/// Has something written by a thread that stands back for those who answer: tens of thousands of names,
/// hundreds of views.
pub(super) async fn written<T: Send + 'static>(
    write: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let failed =
        |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be written");
    tokio::task::spawn_blocking(write).await.map_err(failed)
}

async fn changes(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    Ok(document(&ChangesDocument::from(&**site.admin.publications.borrow())))
}

async fn explain(
    State(site): State<Site>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(&uri, &["name", "type", "from", "listener"])?;
    Ok(document(&explained(&site.admin, caller, &parameters)?))
}

/// What the parameters ask to be explained.
pub(super) fn explained(
    admin: &Admin,
    caller: Caller,
    parameters: &Parameters,
) -> Result<ExplainDocument, Refusal> {
    let name = "say a domain name, such as sqs.eu-west-1.amazonaws.com";
    let name: Name = parameters
        .value("name", name)?
        .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, format!("name is missing; {name}")))?;
    let rtype = parameters.value("type", "the default is A")?.unwrap_or(RecordType::A);
    let client: Option<IpAddr> = parameters.value("from", "say an address, such as 10.0.0.5")?;
    let client = client.unwrap_or_else(|| match caller {
        Caller::Tcp(peer) => peer.ip(),
        Caller::Control => IpAddr::V4(Ipv4Addr::LOCALHOST),
    });
    // First: before there is a table no socket is bound either, and that is no fault of the asker's.
    let published = in_force(admin)?;
    let listener = listener(parameters, admin)?;
    let settings = admin.settings.borrow().clone();
    let vantage = Vantage::new(client, listener);
    let forwarder = &settings.forwarder;
    let mut explanation = answer::explain(
        published.table(),
        forwarder.config(),
        &settings.exempt,
        &name,
        rtype,
        vantage,
    );
    explanation.remember(forwarder);
    Ok(ExplainDocument::from(&explanation))
}

/// Makes the cache forget `name` and all below it, or everything.
async fn flush(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    let parameters = Parameters::read(&uri, &["name"])?;
    let name: Option<Name> = parameters.value("name", "say a domain name, such as corp.example")?;
    let told = name.as_ref().map(ToString::to_string);
    let answers = ordered(&site, |done| Order::Flush(name, done)).await?;
    tracing::info!(name = told, answers, "the cache was flushed");
    Ok(document(&FlushDocument { name: told, answers }))
}

/// Has the configuration read again, and waits for what comes of it.
async fn reload(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    let outcome = ordered(&site, Order::Reload).await?;
    let status = if outcome.done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, document(&outcome)).into_response())
}

/// Tells what a reload of the text in the body would do; nothing changes. `file` is where it stands.
async fn plan(State(site): State<Site>, uri: Uri, text: String) -> Result<Response, Refusal> {
    let parameters = Parameters::read(&uri, &["file"])?;
    let why =
        "file is missing; say where the configuration stands, such as /etc/hubdns/hubdns.toml";
    let file = parameters.text("file").ok_or(Refusal::new(StatusCode::BAD_REQUEST, why))?;
    let file = file.to_owned();
    Ok(document(&ordered(&site, |done| Order::Rehearse(text, file, done)).await?))
}

/// Has readiness taken back, and the daemon end after a time.
async fn drain(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    let parameters = Parameters::read(&uri, &["secs"])?;
    let secs: Option<u32> = parameters.value("secs", "say whole seconds, such as 60")?;
    let secs = secs.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "secs is missing; say whole seconds, such as 60")
    })?;
    let lasts = Duration::from_secs(secs.into());
    Ok(document(&ordered(&site, |done| Order::Drain(lasts, done)).await?))
}

async fn undrain(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    Parameters::read(&uri, &[])?;
    Ok(document(&ordered(&site, Order::Undrain).await?))
}

/// What came of an order to the daemon.
async fn ordered<T>(
    site: &Site,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Result<T, Refusal> {
    let (done, outcome) = oneshot::channel();
    let ends = |()| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is ending");
    site.admin.orders.send(order(done)).await.map_err(|_| ends(()))?;
    outcome.await.map_err(|_| ends(()))
}

/// The listener meant: the one given, which has to be ours, else the first that is bound.
fn listener(parameters: &Parameters, admin: &Admin) -> Result<SocketAddr, Refusal> {
    let expected = "say an address of ours and its port, such as 10.0.0.10:53";
    let given = match parameters.text("listener").map(str::parse::<IpAddr>) {
        Some(Ok(ip)) => Some(SocketAddr::new(ip, DNS_PORT)),
        Some(Err(_)) | None => parameters.value("listener", expected)?,
    };
    let bound = admin.listening.borrow().clone();
    let Some(first) = bound.first() else {
        let why = "listener: no DNS socket is bound yet that could be asked";
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why));
    };
    let asked = given.map_or(*first, |it| SocketAddr::new(it.ip().to_canonical(), it.port()));
    match is_own(asked, &bound) {
        true => Ok(asked),
        false => {
            let listens: Vec<String> = bound.iter().map(ToString::to_string).collect();
            Err(Refusal::new(StatusCode::NOT_FOUND, no_listener(asked, &listens)))
        }
    }
}

/// The table in force. Before there is one, nothing can be said of any name.
fn in_force(admin: &Admin) -> Result<Arc<Published>, Refusal> {
    let published = admin.table.hold();
    match published.in_force() {
        true => Ok(published),
        false => {
            let why = standing::no_table(&admin.status.borrow());
            Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why))
        }
    }
}

async fn nothing(uri: Uri) -> Refusal {
    let paths: Vec<&str> = INDEX
        .lines()
        .filter(|line| line.starts_with('/'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let why = format!("there is no {}; there are: {}", uri.path(), paths.join(", "));
    Refusal::new(StatusCode::NOT_FOUND, why)
}

pub(super) fn document<D: Serialize>(document: &D) -> Response {
    ([(header::CONTENT_TYPE, JSON)], json::to_text(document)).into_response()
}
