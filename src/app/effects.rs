//! What one configuration in place of another does, beside what is answered. Pure.

use crate::{
    admin::json::ReloadDocument,
    config::Config,
    discover::SourceConfig,
    forward::{ForwardZone, UpstreamAddress},
    serve::Entry,
};

/// What a reload puts in force, and what waits for the next start.
pub fn effects(old: &Config, new: &Config) -> ReloadDocument {
    ReloadDocument {
        changed: changed(old, new),
        at_next_start: at_next_start(old, new),
        details: [listeners(old, new), sources(old, new), upstreams(old, new)].concat(),
        ..ReloadDocument::default()
    }
}

/// The parts of a configuration that are in force now and were not before.
fn changed(old: &Config, new: &Config) -> Vec<String> {
    let parts = [
        ("[server]", old.serve != new.serve),
        ("[clients], [answers], [[view]] or [zones]", old.policy != new.policy),
        ("[clients.rate]", old.rate != new.rate),
        ("[[source]]", old.sources != new.sources),
        ("[refresh]", old.refresh != new.refresh),
        ("[health]", old.health != new.health),
        ("log.queries, [dnstap] or [otlp]", old.observers != new.observers),
        ("[forward] or [cache]", old.forward != new.forward),
        ("[coverage]", old.coverage != new.coverage),
        ("[discovery_dns]", old.lookup != new.lookup && old.forward == new.forward),
    ];
    names(&parts)
}

/// What this version reads at its start alone.
fn at_next_start(old: &Config, new: &Config) -> Vec<String> {
    names(&[
        ("admin.listen", old.admin != new.admin),
        ("control.socket", old.control_socket != new.control_socket),
        ("log.format", old.log != new.log),
    ])
}

fn names(parts: &[(&str, bool)]) -> Vec<String> {
    parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| (*name).to_owned()).collect()
}

/// Addresses that are opened and closed. One that is in another place of its list is the same.
fn listeners(old: &Config, new: &Config) -> Vec<String> {
    let of = |config: &Config| config.serve.entries().collect::<Vec<Entry>>();
    let (old, new) = (of(old), of(new));
    let lacks = |list: &[Entry], it: &Entry| !list.iter().any(|other| other.is_same(it));
    let opened = new.iter().filter(|it| lacks(&old, it)).map(|it| format!("opens {it}"));
    let closed = old.iter().filter(|it| lacks(&new, it)).map(|it| format!("closes {it}"));
    opened.chain(closed).collect()
}

/// Sources that come, go, and are asked otherwise.
fn sources(old: &Config, new: &Config) -> Vec<String> {
    let find = |list: &[SourceConfig], it: &SourceConfig| {
        list.iter().find(|other| other.name == it.name).cloned()
    };
    let of_new = new.sources.iter().filter_map(|it| match find(&old.sources, it) {
        None => Some(format!("asks source {}", it.name)),
        Some(before) if before != *it => Some(format!("asks source {} otherwise", it.name)),
        Some(_) => None,
    });
    let gone = old.sources.iter().filter(|it| find(&new.sources, it).is_none());
    of_new.chain(gone.map(|it| format!("asks source {} no more", it.name))).collect()
}

/// Who is asked for names that are not ours, as a whole and for zones.
fn upstreams(old: &Config, new: &Config) -> Vec<String> {
    let (old, new) = (&old.forward, &new.forward);
    let mut lines = Vec::new();
    if old.upstreams != new.upstreams {
        let (from, to) = (listed(&old.upstreams), listed(&new.upstreams));
        lines.push(format!("forwards to {to}, and no more to {from}"));
    }
    let find = |list: &[ForwardZone], it: &ForwardZone| {
        list.iter().find(|other| other.name == it.name).cloned()
    };
    for zone in &new.zones {
        let to = listed(&zone.upstreams);
        match find(&old.zones, zone) {
            None => lines.push(format!("forwards {} to {to}", zone.name)),
            Some(before) if before != *zone => {
                let from = listed(&before.upstreams);
                lines.push(format!("forwards {} to {to}, and no more to {from}", zone.name));
            }
            Some(_) => (),
        }
    }
    let gone = old.zones.iter().filter(|it| find(&new.zones, it).is_none());
    lines.extend(gone.map(|it| format!("forwards {} no more by itself", it.name)));
    lines
}

fn listed(upstreams: &[UpstreamAddress]) -> String {
    match upstreams {
        [] => "nobody".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}
