//! What the one who may open the control socket can order of the control loop.
//!
//! Each order has an answer within a bounded time, whatever AWS does.

use std::time::Duration;

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use tokio::time::{Instant, timeout_at};

use super::{
    json::{RefreshDocument, SourceRoundDocument, ZoneDocument},
    parameters::{Parameters, Refusal},
    routes::{Site, document},
};
use crate::{
    base::SourceName,
    refresh::{Looks, OrderError},
};

/// How long looks at sources are waited for. A call to EC2 ends within 30 s and most rounds within
/// two; a connection to the control socket lives for 60 s.
pub const LOOKS_WITHIN: Duration = Duration::from_secs(45);

/// Has the sources asked now, and tells what came of it.
pub(super) async fn refresh(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    let until = Instant::now() + LOOKS_WITHIN;
    let parameters = Parameters::read(&uri, &["source", "accept"])?;
    let accept = parameters.value("accept", "say true or false")?.unwrap_or(false);
    let source = parameters.text("source").map(str::to_owned);
    let looks = site.admin.control.look(source, accept).await?;
    Ok(document(&collected(looks, until).await))
}

/// What came of each look until then, in the order of the configuration.
async fn collected(looks: Looks, until: Instant) -> RefreshDocument {
    let Looks { sources, mut rounds } = looks;
    let mut told: Vec<SourceRoundDocument> = Vec::new();
    while let Ok(Some(round)) = timeout_at(until, rounds.recv()).await {
        told.push(SourceRoundDocument::from(&round));
    }
    let ended = |name: &SourceName| told.iter().any(|it| it.source == name.as_str());
    let late: Vec<_> = sources.iter().filter(|name| !ended(name)).collect();
    told.extend(late.into_iter().map(|name| SourceRoundDocument::late(name.as_str())));
    told.sort_by_key(|it| sources.iter().position(|name| name.as_str() == it.source));
    RefreshDocument { sources: told, waited_secs: LOOKS_WITHIN.as_secs() }
}

/// Takes a zone out of the answers.
pub(super) async fn drain(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    zone(&site, &uri, true).await
}

/// Puts it back.
pub(super) async fn undrain(State(site): State<Site>, uri: Uri) -> Result<Response, Refusal> {
    zone(&site, &uri, false).await
}

async fn zone(site: &Site, uri: &Uri, drain: bool) -> Result<Response, Refusal> {
    let parameters = Parameters::read(uri, &["zone"])?;
    let why = "zone is missing; say an availability zone, such as eu-west-1a or euw1-az1";
    let zone = parameters.text("zone").ok_or(Refusal::new(StatusCode::BAD_REQUEST, why))?;
    let report = site.admin.control.drain(zone.to_owned(), drain).await?;
    Ok(document(&ZoneDocument::from(&report)))
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        let status = match error {
            OrderError::Ended => StatusCode::SERVICE_UNAVAILABLE,
            OrderError::UnknownSource { .. } | OrderError::UnknownZone { .. } => {
                StatusCode::NOT_FOUND
            }
            OrderError::AmbiguousZone { .. } => StatusCode::CONFLICT,
        };
        Refusal::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::mpsc, time::Instant};

    use super::collected;
    use crate::{
        refresh::{Looks, SourceRound},
        telemetry::RoundOutcome,
    };

    #[tokio::test]
    async fn a_look_that_does_not_end_is_told_as_late_beside_what_has() {
        let (told, rounds) = mpsc::channel(2);
        let ended = SourceRound {
            source: "quick".into(),
            outcome: RoundOutcome::Unchanged,
            reason: None,
            publication: None,
        };
        told.send(ended).await.unwrap();
        let looks = Looks { sources: vec!["slow".into(), "quick".into()], rounds };
        let document = collected(looks, Instant::now() + Duration::from_millis(50)).await;
        let told: Vec<_> =
            document.sources.iter().map(|it| (it.source.as_str(), it.outcome.as_deref())).collect();
        assert_eq!(told, [("slow", None), ("quick", Some("unchanged"))]);
    }
}
