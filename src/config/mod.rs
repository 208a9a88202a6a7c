//! TOML to each room's own `Config`, with every problem at once.
//!
//! Other rooms never see TOML. What is wrong is told with its place, a caret and what is allowed;
//! nothing is guessed and no unknown key is passed over.

mod aliases;
mod answers;
mod clients;
mod differences;
mod effective;
mod file;
mod forward;
mod limits;
mod located;
mod log;
mod near;
mod places;
mod problem;
mod roles;
mod schema;
mod serve;
mod shape;
mod sources;
mod view_says;
mod views;
mod words;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{self, Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

pub use effective::Effective;
pub use places::{Place, Places};
pub use problem::{ConfigErrors, Problem, render_all};
pub use schema::schema;

use crate::{
    admin::AdminConfig,
    coverage::CoverageConfig,
    discover::SourceConfig,
    forward::{ForwardConfig, LookupConfig},
    health::HealthConfig,
    policy::{PolicyConfig, RateConfig},
    querylog::ObserversConfig,
    refresh::RefreshConfig,
    serve::ServeConfig,
    telemetry::LogConfig,
};
use file::{File, Health, Refresh};
use limits::{INTERVAL_SECS, PROBE_INTERVAL_SECS, SERVICES_INTERVAL_SECS, SHRINK_GUARD_PERCENT};
use problem::Findings;
use words::{Wrong, read, wrong};

/// A whole configuration, checked: what each room gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[server]`.
    pub serve: ServeConfig,
    /// `[clients]`, `[answers]`, `[[view]]` and `[zones]`.
    pub policy: PolicyConfig,
    /// `[clients.rate]`.
    pub rate: RateConfig,
    /// `clients.rate.exempt`: who has no limit, and whose addresses nobody forges.
    pub exempt: Vec<IpNet>,
    /// `[[source]]`; never empty, and no two have one name.
    pub sources: Vec<SourceConfig>,
    /// `[refresh]`.
    pub refresh: RefreshConfig,
    /// `[forward]` and `[cache]`.
    pub forward: ForwardConfig,
    /// `[discovery_dns]`, or `[forward]` where that names nobody.
    pub lookup: LookupConfig,
    /// `[health]`.
    pub health: HealthConfig,
    /// `[admin]`.
    pub admin: AdminConfig,
    /// `control.socket`; `None` (an empty text) opens none.
    pub control_socket: Option<PathBuf>,
    /// `[coverage]`.
    pub coverage: CoverageConfig,
    /// `[log]`, as far as it is about events.
    pub log: LogConfig,
    /// `[log]`, as far as it is about queries, and `[dnstap]`.
    pub observers: ObserversConfig,
    /// What works and is hardly meant, in the order of the file.
    pub warnings: Vec<Problem>,
    /// The whole of it as one text, for people.
    pub effective: Effective,
    /// Where what only a start can try stands in the file.
    pub places: Places,
}

// === impl Config ===

impl Config {
    /// This one where `started` was put in force by a start: what a start alone reads stays as it is there.
    pub fn reloaded_over(self, started: &Config) -> Config {
        Config {
            admin: started.admin.clone(),
            control_socket: started.control_socket.clone(),
            log: started.log,
            effective: self.effective.keeping(&started.effective, &AT_START),
            ..self
        }
    }
}

/// The tables and keys that a start alone reads.
const AT_START: [(&str, &str); 3] = [("admin", "listen"), ("control", "socket"), ("log", "format")];

/// The configuration in a file, whose folder relative paths start from.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigErrors::Unreadable { path: path.to_owned(), source })?;
    parse_with(&text, &path.display().to_string(), &Path::is_dir)
}

/// The configuration in a text; `file` is what its problems are told under, and relative paths
/// start from its folder. Looks at no disk, so a folder that lacks is no warning here.
pub fn parse(text: &str, file: &str) -> Result<Config, ConfigErrors> {
    parse_with(text, file, &|_| true)
}

fn parse_with(
    text: &str,
    file: &str,
    is_folder: &dyn Fn(&Path) -> bool,
) -> Result<Config, ConfigErrors> {
    let mut found = Findings::new(file, text);
    let Some(written) = read_file(&mut found, text) else {
        return Err(found.into_errors(None));
    };
    // As one who works in another folder would say it, so that both mean the same.
    let folder = Path::new(file).parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let folder = &path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let forward = forward::forward(&mut found, &written);
    let exempt = clients::exempt(&mut found, &written.clients);
    let mut config = Config {
        serve: serve::serve(&mut found, &written.server, folder),
        policy: answers::policy(&mut found, &written),
        rate: clients::rate(&mut found, &written.clients, &exempt),
        exempt,
        sources: sources::sources(&mut found, &written, folder, is_folder),
        refresh: refresh(&mut found, &written.refresh),
        lookup: forward::lookup(&mut found, &written, &forward),
        forward,
        health: health(&mut found, &written.health),
        admin: serve::admin(&mut found, &written.admin, &written.server),
        control_socket: serve::control_socket(&mut found, &written.control),
        coverage: CoverageConfig {
            enabled: written.coverage.enabled.value,
            names: written.coverage.names.value,
        },
        log: log::log(&written.log),
        observers: log::observers(&mut found, &written),
        warnings: Vec::new(),
        effective: Effective::new(text, &schema::tree()),
        places: found.places(&written),
    };
    match found.has_problems() {
        true => Err(found.into_errors(Some(config))),
        false => {
            config.warnings = found.into_warnings();
            Ok(config)
        }
    }
}

/// The file as it is written, with what is wrong in its shape recorded and taken out; `None` with
/// what is wrong recorded when it is not TOML, since then all that it means is a guess.
fn read_file(found: &mut Findings, text: &str) -> Option<File> {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(_) => {
            syntax_errors(found, text);
            return None;
        }
    };
    let span = table.span();
    let mut table = table.into_inner();
    let zones = table.get_mut("zones");
    if let Some(zones) = zones.filter(|it| it.get_ref().as_str() == Some(answers::DISCOVER.0)) {
        let span = zones.span();
        let (key, value) = answers::DISCOVER;
        let value = Spanned::new(span.clone(), DeValue::String(value.into()));
        let asked = DeTable::from_iter([(Spanned::new(span, key.into()), value)]);
        *zones.get_mut() = DeValue::Table(asked);
    }
    shape::check(found, &schema::tree(), &mut table, &span);
    let value = Spanned::new(span, DeValue::Table(table));
    let file = File::deserialize(ValueDeserializer::from(value));
    file.map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let problem = found.problem("", &span, error.message());
        problem.help("`hubdns schema` prints what is allowed");
    })
    .ok()
}

/// The first error, and the first of what follows each next header: what comes between is most
/// often the same mistake (one quote or bracket) again.
fn syntax_errors(found: &mut Findings, text: &str) {
    let mut start = 0;
    // The crate finds a repeated key only after all else, so the first it finds is not the first.
    let first = |rest: &str| {
        let (_, errors) = DeTable::parse_recoverable(rest);
        errors.into_iter().min_by_key(|error| error.span().map(|span| span.start))
    };
    while let Some(error) = text.get(start..).and_then(first) {
        let span = error.span().unwrap_or(0..0);
        let span = start + span.start..start + span.end;
        found
            .problem("", &span, format!("not TOML: {}", error.message()))
            .label("here")
            .help("texts stand in quotes, lists in brackets; https://toml.io tells the syntax");
        // A header where it was not expected is right in itself: what precedes it is not closed.
        let (before, rest) = text.split_at_checked(span.start).unwrap_or((text, ""));
        let at_header = start < span.start && before.ends_with('\n') && rest.starts_with('[');
        let next = rest.find("\n[").map(|at| span.start + at + 1);
        start = match (at_header, next) {
            (true, _) => span.start,
            (false, Some(next)) => next,
            (false, None) => return,
        };
    }
}

fn refresh(found: &mut Findings, refresh: &Refresh) -> RefreshConfig {
    let interval = INTERVAL_SECS.check(found, "refresh.interval_secs", &refresh.interval_secs);
    let services_interval = SERVICES_INTERVAL_SECS.check(
        found,
        "refresh.services_interval_secs",
        &refresh.services_interval_secs,
    );
    let guard = &refresh.shrink_guard_percent;
    let state_file = read(found, "refresh.state_file", &refresh.state_file, words::absolute_path);
    RefreshConfig {
        interval: Duration::from_secs(interval),
        services_interval: Duration::from_secs(services_interval),
        state_file: state_file.flatten(),
        shrink_guard_percent: SHRINK_GUARD_PERCENT.check(
            found,
            "refresh.shrink_guard_percent",
            guard,
        ),
    }
}

fn health(found: &mut Findings, health: &Health) -> HealthConfig {
    let interval = PROBE_INTERVAL_SECS.check(found, "health.interval_secs", &health.interval_secs);
    HealthConfig {
        tcp_port: read(found, "health.probe", &health.probe, probe).flatten(),
        interval: Duration::from_secs(interval),
    }
}

fn probe(text: &str) -> Result<Option<u16>, Wrong> {
    let port = text.strip_prefix("tcp:").map(str::parse);
    match (text, port) {
        ("off", _) => Ok(None),
        (_, Some(Ok(port))) if port != 0 => Ok(Some(port)),
        _ => Err(wrong("not a probe", "allowed: \"tcp:PORT\", as \"tcp:443\", or \"off\"")),
    }
}
