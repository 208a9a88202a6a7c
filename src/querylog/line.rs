//! A line of the query log.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Serialize;

use super::{observers::Observed, sampling::QueryId};
use crate::{
    base::{EndpointId, NAME_LEN_MAX, Name, Rcode, RecordType, ViewName},
    telemetry::{AnswerSource, Proto},
};

/// A query as it waits to be written: of fixed size, so that handing it over allocates nothing.
pub(super) struct Entry {
    pub(super) id: QueryId,
    pub(super) came: Instant,
    pub(super) took: Duration,
    pub(super) client: SocketAddr,
    pub(super) listener: SocketAddr,
    pub(super) proto: Proto,
    name: [u8; NAME_LEN_MAX],
    /// 0 without a question.
    name_len: u8,
    pub(super) rtype: RecordType,
    pub(super) view: ViewName,
    pub(super) decision: &'static str,
    pub(super) reason: &'static str,
    pub(super) endpoint: Option<EndpointId>,
    pub(super) source: Option<AnswerSource>,
    pub(super) upstream: Option<SocketAddr>,
    pub(super) rcode: Option<Rcode>,
}

/// The same as it is written. The order of the fields is that of the line.
#[derive(Serialize)]
struct Line<'e> {
    time: String,
    id: String,
    client: IpAddr,
    port: u16,
    transport: &'static str,
    listener: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    rtype: Option<String>,
    view: &'e str,
    decision: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<String>,
    latency_us: u128,
}

/// A moment of both clocks, to tell the time of day of what was noted by the other.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    instant: Instant,
    /// Since 1970.
    wall: Duration,
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(id: QueryId, query: &Observed<'_>) -> Self {
        let (name_wire, rtype) = query.asked.unwrap_or((&[], RecordType(0)));
        let mut name = [0; NAME_LEN_MAX];
        let len = name_wire.len().min(NAME_LEN_MAX);
        name[..len].copy_from_slice(&name_wire[..len]);
        Self {
            id,
            came: query.came,
            took: query.took,
            client: query.client,
            listener: query.listener,
            proto: query.proto,
            name,
            name_len: u8::try_from(len).unwrap_or(u8::MAX),
            rtype,
            view: query.view.clone(),
            decision: query.decision,
            reason: query.reason,
            endpoint: query.endpoint.cloned(),
            source: query.source,
            upstream: query.upstream,
            rcode: query.rcode,
        }
    }

    /// The name asked for; `None` without a question.
    pub(super) fn name(&self) -> Option<Name> {
        let name = self.name.get(..usize::from(self.name_len)).unwrap_or_default();
        Name::from_wire(name).ok()
    }

    /// Adds its line to `text`.
    pub(super) fn write(&self, clocks: Clocks, text: &mut Vec<u8>) -> serde_json::Result<()> {
        let name = self.name();
        let line = Line {
            time: clocks.time_of(self.came),
            id: self.id.to_string(),
            client: self.client.ip().to_canonical(),
            port: self.client.port(),
            transport: self.proto.word(),
            listener: self.listener,
            rtype: name.as_ref().map(|_| self.rtype.to_string()),
            name: name.map(|name| name.to_string()),
            view: self.view.as_str(),
            decision: self.decision,
            reason: self.reason,
            endpoint: self.endpoint.as_ref().map(EndpointId::as_str),
            source: self.source.map(AnswerSource::word),
            upstream: self.upstream,
            rcode: self.rcode.map(|rcode| rcode.to_string()),
            latency_us: self.took.as_micros(),
        };
        serde_json::to_writer(&mut *text, &line)?;
        text.push(b'\n');
        Ok(())
    }
}

// === impl Clocks ===

impl Clocks {
    pub(super) fn new(instant: Instant, wall: Duration) -> Self {
        Self { instant, wall }
    }

    /// Since 1970, at a moment of the other clock.
    pub(super) fn wall_at(&self, moment: Instant) -> Duration {
        match moment.checked_duration_since(self.instant) {
            Some(later) => self.wall.saturating_add(later),
            None => self.wall.saturating_sub(self.instant.saturating_duration_since(moment)),
        }
    }

    fn time_of(&self, moment: Instant) -> String {
        let wall = self.wall_at(moment);
        let secs = i64::try_from(wall.as_secs()).unwrap_or_default();
        let time = Timestamp::new(secs, wall.subsec_nanos().cast_signed());
        format!("{:.6}", time.unwrap_or_default())
    }
}
