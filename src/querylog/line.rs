//! A line of the query log.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{observers::Observed, queue::Record, sampling::QueryId};
use crate::{
    base::{EndpointId, NAME_LEN_MAX, Rcode, RecordType, Spelled, ViewName},
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

/// The same as it is written. The order of the fields is that of the line. Nothing in it is allocated:
/// whoever writes has the cores of those who answer.
#[derive(Serialize)]
struct Line<'e> {
    time: Shown<Time<'e>>,
    id: Shown<QueryId>,
    client: IpAddr,
    port: u16,
    transport: &'static str,
    listener: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Shown<Spelled<'e>>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    rtype: Option<Shown<RecordType>>,
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
    rcode: Option<Shown<Rcode>>,
    latency_us: u128,
}

/// Written as it is shown to people.
struct Shown<T>(T);

/// `2026-11-21T20:00:00.250000Z`.
struct Time<'s> {
    second: &'s str,
    micros: u32,
}

/// The text of the last second that was asked for: of thousands of lines it is the same.
#[derive(Default)]
pub(super) struct Second {
    secs: u64,
    text: String,
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
    pub(super) fn name(&self) -> Option<Spelled<'_>> {
        let name = self.name.get(..usize::from(self.name_len)).filter(|name| !name.is_empty());
        name.map(Spelled)
    }

    /// Adds its line to `text`.
    pub(super) fn write(
        &self,
        clocks: Clocks,
        second: &mut Second,
        text: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let name = self.name();
        let wall = clocks.wall_at(self.came);
        let line = Line {
            time: Shown(Time { second: second.text(wall.as_secs()), micros: wall.subsec_micros() }),
            id: Shown(self.id),
            client: self.client.ip().to_canonical(),
            port: self.client.port(),
            transport: self.proto.word(),
            listener: self.listener,
            rtype: name.map(|_| Shown(self.rtype)),
            name: name.map(Shown),
            view: self.view.as_str(),
            decision: self.decision,
            reason: self.reason,
            endpoint: self.endpoint.as_ref().map(EndpointId::as_str),
            source: self.source.map(AnswerSource::word),
            upstream: self.upstream,
            rcode: self.rcode.map(Shown),
            latency_us: self.took.as_micros(),
        };
        serde_json::to_writer(&mut *text, &line)?;
        text.push(b'\n');
        Ok(())
    }
}

impl Record for Entry {
    /// Names of views and endpoints are the table's too.
    fn octets(&self) -> usize {
        0
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
}

// === impl Second ===

impl Second {
    /// Of so many since 1970: `2026-11-21T20:00:00`.
    fn text(&mut self, secs: u64) -> &str {
        if self.secs != secs || self.text.is_empty() {
            let time = Timestamp::from_second(i64::try_from(secs).unwrap_or_default());
            let text = time.unwrap_or_default().to_string();
            text.trim_end_matches('Z').clone_into(&mut self.text);
            self.secs = secs;
        }
        &self.text
    }
}

// === impl Time ===

impl fmt::Display for Time<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}Z", self.second, self.micros)
    }
}

// === impl Shown ===

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
