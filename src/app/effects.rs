//! What one configuration in place of another does, beside what is answered. Pure.

use crate::{admin::json::ReloadDocument, config::Config, serve::Entry};

/// What a reload puts in force, and what waits for the next start.
pub fn effects(old: &Config, new: &Config) -> ReloadDocument {
    let mut effects = ReloadDocument {
        changed: changed(old, new),
        at_next_start: at_next_start(old, new),
        details: listeners(old, new),
        ..ReloadDocument::default()
    };
    // Else what is written otherwise means the same.
    if effects.acts() {
        effects.details.extend(new.effective.differences(&old.effective));
    }
    effects
}

/// The parts of a configuration that are in force now and were not before.
fn changed(old: &Config, new: &Config) -> Vec<String> {
    let parts = [
        ("[server]", old.serve != new.serve),
        ("[clients], [answers], [[view]] or [zones]", old.policy != new.policy),
        ("[clients.rate]", (old.rate, &old.exempt) != (new.rate, &new.exempt)),
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
