//! `[log]`, `[dnstap]` and `[otlp]`: what is logged, which queries are told, and where.

use std::net::SocketAddr;

use super::{
    file::{Dnstap, File, Format, Log, Only, Otlp, View},
    located::{Located, Text},
    problem::Findings,
    words::{self, Wrong, read, read_all, wrong},
};
use crate::{
    base::{Name, Rcode, ViewName},
    policy::PolicyConfig,
    querylog::{
        DECISIONS, DnstapConfig, Filter, ObserversConfig, OtlpConfig, QueryLogConfig, Rate,
    },
    telemetry::{LogConfig, LogFormat},
};

/// One query in a million: at 250,000 a second one in four seconds. Rarer ones tell nothing.
const ONE_IN_MAX: u32 = 1_000_000;
/// Where collectors take traces unless told.
const TRACES_PATH: &str = "/v1/traces";

/// What of `[log]` is about events.
pub(super) fn log(log: &Log) -> LogConfig {
    LogConfig {
        format: match log.format.value {
            Format::Json => LogFormat::Json,
            Format::Text => LogFormat::Text,
        },
    }
}

/// Who is told of queries.
pub(super) fn observers(found: &mut Findings, file: &File) -> ObserversConfig {
    ObserversConfig {
        log: queries(found, &file.log, &file.view),
        dnstap: dnstap(found, &file.dnstap),
        otlp: otlp(found, &file.otlp),
    }
}

fn dnstap(found: &mut Findings, dnstap: &Dnstap) -> Option<DnstapConfig> {
    let rate = read(found, "dnstap.queries", &dnstap.queries, rate).unwrap_or(Rate::Off);
    let socket = read(found, "dnstap.socket", &dnstap.socket, words::absolute_path);
    Some(DnstapConfig { socket: socket.flatten()?, rate })
}

fn otlp(found: &mut Findings, otlp: &Otlp) -> Option<OtlpConfig> {
    let rate = read(found, "otlp.queries", &otlp.queries, rate).unwrap_or(Rate::Off);
    let (address, path) = read(found, "otlp.endpoint", &otlp.endpoint, collector).flatten()?;
    Some(OtlpConfig { address, path, rate })
}

/// The address and the path of a URL; nothing for no text. Not a name: that would be asked of us.
fn collector(text: &str) -> Result<Option<(SocketAddr, String)>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    if !cfg!(feature = "otlp") {
        return Err(wrong(
            "this hubdns was built without the feature otlp",
            "build it with `cargo build --release --features otlp`, or take `[otlp]` out",
        ));
    }
    let rest = text.strip_prefix("http://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = if path.is_empty() { TRACES_PATH.to_owned() } else { format!("/{path}") };
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    match authority.parse() {
        Ok(address) if is_plain => Ok(Some((address, path))),
        _ => Err(wrong(
            "not a collector",
            "allowed: \"http://IP:PORT\", as \"http://127.0.0.1:4318\", with a path if it is not \
             /v1/traces; one that wants TLS takes a collector of its own on this host",
        )),
    }
}

fn queries(found: &mut Findings, log: &Log, views: &[Located<View>]) -> QueryLogConfig {
    let file = read(found, "log.queries_file", &log.queries_file, words::absolute_path);
    QueryLogConfig {
        rate: read(found, "log.queries", &log.queries, rate).unwrap_or(Rate::Off),
        file: file.flatten(),
        filter: filter(found, &log.only, views),
    }
}

fn filter(found: &mut Findings, only: &Only, views: &[Located<View>]) -> Filter {
    let known: Vec<&str> = views
        .iter()
        .filter_map(|view| view.value.name.as_ref())
        .map(|name| name.value.as_str())
        .chain([PolicyConfig::REST_VIEW])
        .collect();
    let view = |text: &str| match known.contains(&text) {
        true => Ok(ViewName::from(text)),
        false => Err(wrong("no view has this name", format!("there are: {}", known.join(", ")))),
    };
    let values = |texts: Vec<(&Text, Name)>| texts.into_iter().map(|(_, name)| name).collect();
    Filter {
        views: read_all(found, "log.only.views", &only.views, view)
            .into_iter()
            .map(|(_, view)| view)
            .collect(),
        decisions: read_all(found, "log.only.decisions", &only.decisions, decision)
            .into_iter()
            .map(|(_, decision)| decision)
            .collect(),
        rcodes: read_all(found, "log.only.rcodes", &only.rcodes, rcode)
            .into_iter()
            .map(|(_, rcode)| rcode)
            .collect(),
        names: values(read_all(found, "log.only.names", &only.names, words::name)),
    }
}

/// `off`, `all` or `1/N`.
fn rate(text: &str) -> Result<Rate, Wrong> {
    let every = text.strip_prefix("1/").and_then(|every| every.parse().ok());
    match (text, every) {
        ("off", _) => Ok(Rate::Off),
        ("all", _) => Ok(Rate::OneIn(1)),
        (_, Some(every @ 1..=ONE_IN_MAX)) => Ok(Rate::OneIn(every)),
        _ => Err(wrong(
            "not a share of the queries",
            format!("allowed: \"off\", \"all\", or one in N as \"1/100\", N up to {ONE_IN_MAX}"),
        )),
    }
}

fn decision(text: &str) -> Result<String, Wrong> {
    match DECISIONS.contains(&text) {
        true => Ok(text.to_owned()),
        false => Err(wrong("no decision", format!("there are: {}", DECISIONS.join(", ")))),
    }
}

fn rcode(text: &str) -> Result<Rcode, Wrong> {
    let named = Rcode::NAMED.iter().find(|(_, word)| word.eq_ignore_ascii_case(text));
    named.map(|(rcode, _)| *rcode).ok_or_else(|| {
        let words: Vec<&str> = Rcode::NAMED.iter().map(|(_, word)| *word).collect();
        wrong("not a code that is told by name", format!("there are: {}", words.join(", ")))
    })
}
