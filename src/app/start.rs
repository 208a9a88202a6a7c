//! What has to be had before the daemon can be built.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{cookies::cookies, handover::Inheritance};
use crate::{
    admin::{
        InForce,
        json::{AwsHostsDocument, AwsZoneDocument},
    },
    answer::{About, Exempt, Rates, Settings},
    base::Chain,
    config::{Config, Place, Problem},
    discover::HostLookup,
    forward::{self, ForwardZone, Forwarder, LookupConfig, Trust, UpstreamAddress},
    querylog::{Observers, OpenError, Outlet},
    serve::{
        BindError, Certificate, CertificateError, Doubt, Entry, Inherited, PemFile, Refused,
        ServeConfig, Service, bind, overlapping,
    },
    telemetry::{Encrypted, Metrics},
};

/// NSID if the host does not tell its name.
const NAMELESS: &str = "hubdns";

/// What the unit names with `LogsDirectory=`: systemd makes it at a start, and lets nobody in but hubdns.
const LOGS: &str = "/var/log/hubdns";

/// How long systemd may take to close what it was told to: milliseconds, but after all else that it was
/// told, by a thread of its own, on a machine that has just started.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);
/// Between two looks whether it has.
const CLOSED_LOOK: Duration = Duration::from_millis(10);

/// What of the addresses hubdns itself has already.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Those of a daemon that runs: what overlaps with them is free at its next start.
    pub daemon: Vec<SocketAddr>,
    /// Those that systemd has opened for the next one, which gets these very ones.
    pub unit: Vec<SocketAddr>,
    /// A daemon runs, and does not tell which it has.
    pub untold: bool,
}

/// Tries every address and path of the configuration that only this machine can judge, and lets go
/// of it again. What is held is in nobody's way.
pub fn try_places(config: &Config, held: &Held) -> Vec<Problem> {
    let is_held = |address: SocketAddr| {
        held.untold || held.unit.contains(&address) || overlapping(&held.daemon, address).is_some()
    };
    try_all(config, &is_held, &[])
}

/// The same at a start: what was inherited is there, and what of it no key names is closed first.
pub fn try_with(config: &Config, inheritance: &mut Inheritance) -> Vec<Problem> {
    let given_up = inheritance.close_unnamed(config);
    let inherited = inheritance.addresses();
    let end = Instant::now() + CLOSED_WITHIN;
    loop {
        let problems = try_all(config, &|address| inherited.contains(&address), &given_up);
        if problems.is_empty() || given_up.is_empty() || end < Instant::now() {
            return problems;
        }
        thread::sleep(CLOSED_LOOK);
    }
}

/// `held` tells which addresses are not in use by others. What was `given_up` may still be in the way.
fn try_all(
    config: &Config,
    held: &dyn Fn(SocketAddr) -> bool,
    given_up: &[SocketAddr],
) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Held to the end: two entries may be in each other's way.
    let mut opened = Vec::new();
    for entry in config.serve.entries() {
        match bind(entry.service, &entry.listen, &mut Inherited::default()) {
            Ok(bound) => opened.push(bound),
            // Whoever may not open a port is told so before whether it is in use.
            Err(BindError::InUse { address, .. } | BindError::Denied { address, .. })
                if held(address) => {}
            Err(error) => {
                problems.push(listen_problem(config, &entry, &error.known_as_kept(given_up)));
            }
        }
    }
    for (service, files) in config.serve.encrypted() {
        if let Err(error) = Certificate::read(files) {
            problems.push(certificate_problem(config, service, &error));
        }
    }
    if let Some(address) = config.admin.listen
        && let Err(error) = TcpListener::bind(address)
        && !(error.kind() == io::ErrorKind::AddrInUse && held(address))
    {
        let (why, help) = match overlapping(given_up, address) {
            Some(kept) if error.kind() == io::ErrorKind::AddrInUse => {
                let error = BindError::Kept { protocol: "TCP", address, kept, source: error };
                (error.to_string(), error.help())
            }
            Some(_) | None => {
                let help = format!(
                    "see who has it with `ss -lntp sport = :{}`, and name another address, or \"\" for \
                     no admin listener",
                    address.port()
                );
                (error.to_string(), help)
            }
        };
        let what = format!("`admin.listen` {address} cannot be opened");
        problems.push(config.places.problem(Place::Admin, &what, &why, &help));
    }
    if let Err(problem) = cookies(config, None) {
        problems.push(*problem);
    }
    problems.extend(trusted(config).err().map(|problem| *problem));
    problems.extend(query_log_untaken(config));
    problems
}

/// Why the query log's file could not be had. In the unit's own place nobody but the unit can tell.
fn query_log_untaken(config: &Config) -> Option<Problem> {
    let error = Observers::try_file(&config.observers).err()?;
    let is_of_unit = config.observers.log.file.as_deref().is_some_and(|it| it.starts_with(LOGS));
    let is_seen = Path::new(LOGS).metadata().is_ok();
    (is_seen || !is_of_unit).then(|| query_log_problem(config, &error))
}

/// What is doubtful about the certificates that can be served, at this time.
pub fn certificate_doubts(config: &Config, now_secs: u64) -> Vec<Problem> {
    let doubts = config.serve.encrypted().filter_map(|(service, files)| {
        // One that cannot be read is told as a problem.
        let doubt = Certificate::read(files).ok()?.validity().doubt(now_secs)?;
        let help = match doubt {
            Doubt::Ended(_) => "renew it: new connections get it as soon as the file has it",
            Doubt::NotBegun(_) => "see whether this machine's clock is right",
        };
        let what = format!("clients will refuse the certificate of [{}]", table(service));
        let place = Place::Pem(service, PemFile::Certificate);
        Some(config.places.warning(place, &what, &doubt.to_string(), help))
    });
    doubts.collect()
}

/// What the server refused, with its place in the file.
pub(super) fn refused_problem(config: &Config, refused: &Refused) -> Problem {
    match refused {
        Refused::Listen { entry, source } => listen_problem(config, entry, source),
        Refused::Certificate { service, source } => certificate_problem(config, *service, source),
    }
}

/// Whom upstreams by TLS are believed for: those of clients' questions, and those for AWS's hosts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trusted {
    pub(super) forward: Trust,
    pub(super) lookup: Trust,
}

/// Reads whom they are believed for. The file is read anew each time: who renews it sends a reload.
pub(super) fn trusted(config: &Config) -> Result<Trusted, Box<Problem>> {
    let ca_file = config.forward.ca_file.as_deref();
    let forward = Trust::read(config.forward.all_upstreams(), ca_file);
    let both = forward.and_then(|forward| {
        Ok(Trusted { forward, lookup: Trust::read(config.lookup.all_upstreams(), ca_file)? })
    });
    both.map_err(|error| {
        let what = "upstreams by TLS cannot be verified";
        let help = "`forward.ca_file` names a PEM file of the authorities whose certificates they \
                    have; \"\" means the system's (Debian: ca-certificates)";
        Box::new(config.places.problem(Place::CaFile, what, &Chain(&error).to_string(), help))
    })
}

// === impl Trusted ===

impl Trusted {
    /// Whether upstreams that were asked by TLS before and still are, are believed for others. That
    /// nobody was, or is no more, the upstreams tell.
    pub(super) fn renews(&self, before: &Trusted) -> bool {
        let pairs = [(&self.forward, &before.forward), (&self.lookup, &before.lookup)];
        pairs.into_iter().any(|(new, old)| new.is_anybody() && old.is_anybody() && new != old)
    }
}

/// A `listen` entry that cannot be opened, with its place in the file.
fn listen_problem(config: &Config, entry: &Entry, error: &BindError) -> Problem {
    let what = format!("{entry} cannot be opened");
    let place = Place::Listen(entry.service, entry.index);
    config.places.problem(place, &what, &error.to_string(), &error.help())
}

/// A certificate that cannot be served, with its place in the file.
fn certificate_problem(config: &Config, service: Encrypted, error: &CertificateError) -> Problem {
    let what = format!("the certificate of [{}] cannot be served", table(service));
    let place = Place::Pem(service, error.file());
    config.places.problem(place, &what, &Chain(error).to_string(), error.help())
}

fn table(service: Encrypted) -> &'static str {
    Service::Encrypted(service).table()
}

/// How AWS's hosts are found by a command: by the upstreams of this configuration.
pub fn host_lookup(config: &Config) -> HostLookup {
    let (lookup, ca_file) = (&config.lookup, config.forward.ca_file.as_deref());
    match Trust::read(lookup.all_upstreams(), ca_file) {
        Ok(trust) => lookup_by(lookup, &trust),
        Err(error) => no_lookup(&Chain(&error).to_string()),
    }
}

/// How AWS's hosts are found: by the upstreams of this configuration, never through ourselves.
pub(super) fn lookup_by(config: &LookupConfig, trust: &Trust) -> HostLookup {
    match forward::HostLookup::new(config, trust) {
        Ok(lookup) => Arc::new(move |host| {
            let lookup = lookup.clone();
            async move { lookup.lookup(&host).await }.boxed()
        }),
        Err(error) => no_lookup(&error.to_string()),
    }
}

/// No host is found, for this reason.
fn no_lookup(why: &str) -> HostLookup {
    let why = Arc::<str>::from(why);
    Arc::new(move |_| {
        let why = io::Error::other(why.to_string());
        async move { Err(why) }.boxed()
    })
}

/// The same for whoever looks: the status, the log.
pub(super) fn aws_hosts(config: &LookupConfig) -> AwsHostsDocument {
    let texts = |list: &[UpstreamAddress]| list.iter().map(ToString::to_string).collect();
    let zone = |zone: &ForwardZone| AwsZoneDocument {
        name: zone.name.to_string(),
        upstreams: texts(&zone.upstreams),
    };
    AwsHostsDocument {
        key: config.from.key().to_owned(),
        upstreams: texts(&config.upstreams),
        zones: config.zones.iter().map(zone).collect(),
    }
}

/// Says who is asked for AWS's hosts: it decides whether discovery works at all.
pub(super) fn tell_aws_hosts(config: &LookupConfig) {
    let upstreams: Vec<String> = config.upstreams.iter().map(ToString::to_string).collect();
    let (key, upstreams) = (config.from.key(), upstreams.join(", "));
    tracing::info!(key, upstreams, zones = config.zones.len(), "AWS's hosts are looked up there");
}

/// What a reload may replace, made from a configuration, and who writes what is told of queries; a
/// forwarder that would be the same is kept, with its cache.
pub(super) fn settings(
    config: &Config,
    trust: &Trust,
    current: Option<&Settings>,
    metrics: &Arc<Metrics>,
) -> Result<(Settings, Vec<Outlet>), Box<Problem>> {
    let cookies = cookies(config, current)?;
    let kept = current.map(|current| &current.forwarder);
    let kept = kept.filter(|it| *it.config() == config.forward && it.trust() == trust).cloned();
    let forwarder = kept.unwrap_or_else(|| {
        Forwarder::new(config.forward.clone(), trust.clone(), Arc::clone(metrics))
    });
    let identity: Arc<[u8]> = identity(&config.serve).into_bytes().into();
    let about = About {
        version: config.serve.version.as_deref().map(Arc::from),
        identity: config.serve.identity.as_deref().map(Arc::from),
    };
    let exempt = Exempt::new(&config.exempt);
    // Clients are held to what they have asked before the reload.
    let rates = match current.and_then(|current| current.rates.as_ref()) {
        Some(rates) if rates.config() == config.rate => Some(Arc::clone(rates)),
        Some(_) | None => Rates::new(config.rate).map(Arc::new),
    };
    let (observers, outlets) = observers(config, &identity, metrics)?;
    let observers = Arc::new(observers);
    Ok((Settings { forwarder, identity, cookies, exempt, rates, about, observers }, outlets))
}

/// Who is told of queries. Files are opened anew each time: who rotates a log sends a reload.
fn observers(
    config: &Config,
    identity: &[u8],
    metrics: &Arc<Metrics>,
) -> Result<(Observers, Vec<Outlet>), Box<Problem>> {
    Observers::open(&config.observers, identity, metrics)
        .map_err(|error| Box::new(query_log_problem(config, &error)))
}

/// A file that no query can be logged to, with its place in the configuration.
pub(super) fn query_log_problem(config: &Config, error: &OpenError) -> Problem {
    let what = format!("`log.queries_file`: {}", Chain(error));
    let help = "a file in a folder that the user can write to that hubdns runs as (a unit names it \
                with LogsDirectory=); \"\" is standard output";
    config.places.problem(Place::QueryLog, &what, "no query can be logged", help)
}

/// The configuration for who looks.
pub(super) fn in_force(config: &Config) -> InForce {
    InForce {
        toml: config.effective.toml.clone(),
        hash: config.effective.hash.clone(),
        probes: config.health.tcp_port.is_some(),
        serve: config.serve.clone(),
    }
}

/// What NSID tells.
fn identity(serve: &ServeConfig) -> String {
    let host = || fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    let name = serve.identity.clone().or_else(host).unwrap_or_default();
    match name.trim() {
        "" => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

/// Takes as many descriptors as the system grants: shells start us with 1,024, and every question
/// to an upstream needs one. Refused, we go on with what there is.
pub(super) fn raise_descriptors() {
    let limit = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = limit {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

#[cfg(test)]
mod tests {
    use super::{Trust, Trusted};

    #[test]
    fn authorities_are_others_where_some_were_believed_before_and_are_now() {
        let of = |forward: &[u8], lookup: &[u8]| Trusted {
            forward: Trust::of_keys(forward),
            lookup: Trust::of_keys(lookup),
        };
        for (old, new, renews) in [
            (of(&[1], &[1]), of(&[1], &[1]), false),
            (of(&[1], &[1]), of(&[2], &[2]), true),
            (of(&[1], &[]), of(&[2], &[]), true),
            (of(&[], &[1]), of(&[], &[2]), true),
            (of(&[], &[]), of(&[1], &[1]), false),
            (of(&[1], &[]), of(&[1], &[1]), false),
            (of(&[], &[1]), of(&[1], &[]), false),
        ] {
            assert_eq!(new.renews(&old), renews, "{old:?} {new:?}");
        }
    }
}
