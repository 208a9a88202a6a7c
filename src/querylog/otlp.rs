//! Spans as the OpenTelemetry protocol has them: a protobuf message for a batch, encoded by hand.
//!
//! The schema is `opentelemetry/proto/trace/v1/trace.proto`. The SDK would bring its own threads, an HTTP
//! client with another TLS library, and generated code for metrics and logs that are told elsewhere.

use std::time::{Duration, Instant};

use super::{
    line::{Clocks, Entry},
    proto::{Value, fields, put_long, put_number, put_octets},
};
use crate::telemetry::{Proto, Span, Step};

/// `ExportTraceServiceRequest`, and what is around a span in it.
mod batch {
    pub(super) const RESOURCE_SPANS: u64 = 1;
    pub(super) const RESOURCE: u64 = 1;
    pub(super) const RESOURCE_ATTRIBUTES: u64 = 1;
    pub(super) const SCOPE_SPANS: u64 = 2;
    pub(super) const SCOPE: u64 = 1;
    pub(super) const SCOPE_NAME: u64 = 1;
    pub(super) const SPANS: u64 = 2;
}

/// `Span`: its fields, and the values that we have.
mod span {
    pub(super) const TRACE_ID: u64 = 1;
    pub(super) const SPAN_ID: u64 = 2;
    pub(super) const PARENT_SPAN_ID: u64 = 4;
    pub(super) const NAME: u64 = 5;
    pub(super) const KIND: u64 = 6;
    pub(super) const START_NANOS: u64 = 7;
    pub(super) const END_NANOS: u64 = 8;
    pub(super) const ATTRIBUTES: u64 = 9;
    pub(super) const STATUS: u64 = 15;
    pub(super) const STATUS_MESSAGE: u64 = 2;
    pub(super) const STATUS_CODE: u64 = 3;
    pub(super) const INTERNAL: u64 = 1;
    pub(super) const SERVER: u64 = 2;
    pub(super) const ERROR: u64 = 2;
}

/// `KeyValue`, and the `AnyValue` in it.
mod attribute {
    pub(super) const KEY: u64 = 1;
    pub(super) const VALUE: u64 = 2;
    pub(super) const TEXT: u64 = 1;
    pub(super) const NUMBER: u64 = 3;
}

/// `ExportTraceServiceResponse`, and the `ExportTracePartialSuccess` in it.
mod answer {
    pub(super) const PARTIAL_SUCCESS: u64 = 1;
    pub(super) const REJECTED_SPANS: u64 = 1;
    pub(super) const ERROR_MESSAGE: u64 = 2;
}

/// How we call ourselves.
const NAME: &str = "hubdns";

/// What a collector did not take of a batch that it took.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Spans.
    pub(super) spans: u64,
    /// Why, in its words; empty if it did not say.
    pub(super) why: String,
}

/// Spans that go out together.
pub(super) struct Batch {
    /// Each as a field of `ScopeSpans`.
    spans: Vec<u8>,
    /// How many.
    pub(super) count: u64,
}

/// What all spans of a trace share, and which of them it is.
struct Ids {
    trace: [u8; 16],
    span: u64,
    parent: Option<u64>,
}

// === impl Batch ===

impl Batch {
    pub(super) fn new() -> Self {
        Self { spans: Vec::new(), count: 0 }
    }

    /// Adds a query. Its span has the number by which the query log and the log know it.
    pub(super) fn query(&mut self, entry: &Entry, clocks: Clocks) {
        let mut out = Vec::with_capacity(512);
        let number = entry.id.number();
        let ids = Ids { trace: trace(number), span: number, parent: None };
        let (name, rtype) = (entry.name(), entry.rtype.to_string());
        let title = match name {
            Some(_) => format!("query {rtype}"),
            None => "query".to_owned(),
        };
        ids.put(&mut out);
        put_octets(&mut out, span::NAME, title.as_bytes());
        put_number(&mut out, span::KIND, span::SERVER);
        put_times(&mut out, clocks, entry.came, entry.took);
        let mut text = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                put_octets(&mut out, span::ATTRIBUTES, &attribute_of(key, value));
            }
        };
        text("dns.question.name", name.map(|it| it.to_string()).as_deref());
        text("dns.question.type", entry.name().map(|_| rtype.as_str()));
        text("dns.response_code", entry.rcode.map(|it| it.to_string()).as_deref());
        text("client.address", Some(&entry.client.ip().to_canonical().to_string()));
        text("server.address", Some(&entry.listener.ip().to_canonical().to_string()));
        let transport = if entry.proto == Proto::Udp { "udp" } else { "tcp" };
        text("network.transport", Some(transport));
        text("hubdns.proto", Some(entry.proto.word()));
        text("hubdns.query_id", Some(&entry.id.to_string()));
        text("hubdns.view", Some(entry.view.as_str()));
        text("hubdns.decision", Some(entry.decision));
        text("hubdns.reason", Some(entry.reason));
        text("hubdns.endpoint", entry.endpoint.as_ref().map(|it| it.as_str()));
        text("hubdns.source", entry.source.map(|it| it.word()));
        text("hubdns.upstream", entry.upstream.map(|it| it.to_string()).as_deref());
        for (key, port) in [("client.port", entry.client), ("server.port", entry.listener)] {
            put_octets(&mut out, span::ATTRIBUTES, &number_of(key, port.port().into()));
        }
        // What the client was told is no error of the server's, but this one.
        if entry.rcode == Some(crate::base::Rcode::SERVFAIL) {
            put_error(&mut out, entry.reason);
        }
        self.add(&out);
    }

    /// Adds a piece of work and its steps.
    pub(super) fn work(&mut self, work: &Span, clocks: Clocks) {
        let number = rand::random();
        let trace = trace(number);
        let mut out = Vec::with_capacity(512);
        Ids { trace, span: number, parent: None }.put(&mut out);
        put_octets(&mut out, span::NAME, work.name.as_bytes());
        put_number(&mut out, span::KIND, span::INTERNAL);
        put_times(&mut out, clocks, work.began, work.took);
        for (key, value) in &work.attributes {
            put_octets(&mut out, span::ATTRIBUTES, &attribute_of(key, value));
        }
        if let Some(error) = &work.error {
            put_error(&mut out, error);
        }
        self.add(&out);
        for Step { name, began, took } in &work.steps {
            let mut out = Vec::with_capacity(128);
            Ids { trace, span: rand::random(), parent: Some(number) }.put(&mut out);
            put_octets(&mut out, span::NAME, name.as_bytes());
            put_number(&mut out, span::KIND, span::INTERNAL);
            put_times(&mut out, clocks, *began, *took);
            self.add(&out);
        }
    }

    fn add(&mut self, span: &[u8]) {
        put_octets(&mut self.spans, batch::SPANS, span);
        self.count += 1;
    }

    /// The whole message, of the hub that `identity` names.
    pub(super) fn message(&self, identity: &[u8]) -> Vec<u8> {
        let mut scope = Vec::new();
        put_octets(&mut scope, batch::SCOPE_NAME, NAME.as_bytes());
        let mut scope_spans = Vec::with_capacity(64 + self.spans.len());
        put_octets(&mut scope_spans, batch::SCOPE, &scope);
        scope_spans.extend_from_slice(&self.spans);
        let mut resource = Vec::new();
        let identity = String::from_utf8_lossy(identity);
        for (key, value) in [
            ("service.name", NAME),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &identity),
        ] {
            put_octets(&mut resource, batch::RESOURCE_ATTRIBUTES, &attribute_of(key, value));
        }
        let mut resource_spans = Vec::with_capacity(256 + scope_spans.len());
        put_octets(&mut resource_spans, batch::RESOURCE, &resource);
        put_octets(&mut resource_spans, batch::SCOPE_SPANS, &scope_spans);
        let mut message = Vec::with_capacity(16 + resource_spans.len());
        put_octets(&mut message, batch::RESOURCE_SPANS, &resource_spans);
        message
    }
}

// === impl Rejected ===

impl Rejected {
    /// As the collector's answer has it. What cannot be read rejects nothing.
    pub(super) fn read(message: &[u8]) -> Self {
        let mut rejected = Self::default();
        for (field, value) in fields(message) {
            let (answer::PARTIAL_SUCCESS, Value::Octets(partial)) = (field, value) else {
                continue;
            };
            for (field, value) in fields(partial) {
                match (field, value) {
                    (answer::REJECTED_SPANS, Value::Number(spans)) => rejected.spans = spans,
                    (answer::ERROR_MESSAGE, Value::Octets(why)) => {
                        rejected.why = String::from_utf8_lossy(why).into_owned();
                    }
                    (_, Value::Number(_) | Value::Octets(_) | Value::Other) => (),
                }
            }
        }
        rejected
    }
}

// === impl Ids ===

impl Ids {
    fn put(&self, out: &mut Vec<u8>) {
        put_octets(out, span::TRACE_ID, &self.trace);
        put_octets(out, span::SPAN_ID, &self.span.to_be_bytes());
        if let Some(parent) = self.parent {
            put_octets(out, span::PARENT_SPAN_ID, &parent.to_be_bytes());
        }
    }
}

/// A trace of its own, whose second half is its first span.
fn trace(number: u64) -> [u8; 16] {
    (u128::from(rand::random::<u64>()) << 64 | u128::from(number)).to_be_bytes()
}

fn put_times(out: &mut Vec<u8>, clocks: Clocks, began: Instant, took: Duration) {
    let start = clocks.wall_at(began);
    let nanos = |it: Duration| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX);
    put_long(out, span::START_NANOS, nanos(start));
    put_long(out, span::END_NANOS, nanos(start.saturating_add(took)));
}

fn put_error(out: &mut Vec<u8>, why: &str) {
    let mut status = Vec::new();
    put_octets(&mut status, span::STATUS_MESSAGE, why.as_bytes());
    put_number(&mut status, span::STATUS_CODE, span::ERROR);
    put_octets(out, span::STATUS, &status);
}

fn attribute_of(key: &str, value: &str) -> Vec<u8> {
    let mut any = Vec::with_capacity(8 + value.len());
    put_octets(&mut any, attribute::TEXT, value.as_bytes());
    pair(key, &any)
}

fn number_of(key: &str, value: u64) -> Vec<u8> {
    let mut any = Vec::with_capacity(8);
    put_number(&mut any, attribute::NUMBER, value);
    pair(key, &any)
}

fn pair(key: &str, any: &[u8]) -> Vec<u8> {
    let mut pair = Vec::with_capacity(8 + key.len() + any.len());
    put_octets(&mut pair, attribute::KEY, key.as_bytes());
    put_octets(&mut pair, attribute::VALUE, any);
    pair
}
