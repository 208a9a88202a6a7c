//! `[forward]` and `[cache]`: whom we ask, which must never be ourselves.

use std::{collections::HashMap, ops::Range, time::Duration};

use super::{
    answers::not_a_name,
    file::{self, Budget, Cache, File, ForwardZone, Server, View},
    limits::{
        BUDGET_PACKETS, Bounds, CACHE_ENTRIES, CACHE_MEMORY_MIB, CACHE_NEGATIVE_TTL_MAX_SECS,
        CACHE_TTL_MAX_SECS, CACHE_TTL_MIN_SECS, SERVE_STALE_SECS,
    },
    located::{Located, Text},
    problem::Findings,
    serve::reached_at,
    words::{self, Wrong, read, read_all, wrong},
};
use crate::{
    base::{Name, Ttl, TtlBounds},
    forward::{
        self, BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig, LookupConfig,
        UpstreamAddress, ViewForward,
    },
};

/// `[forward]` and `[cache]`.
pub(super) fn forward(found: &mut Findings, file: &File) -> ForwardConfig {
    let Located { value: written, span } = &file.forward.upstreams;
    let upstreams = upstreams(found, "forward.upstreams", written, &file.server);
    if written.is_empty() && !found.doubts("forward.upstreams") {
        found
            .warning("forward.upstreams", span, "`forward.upstreams` is empty")
            .label("nobody to ask")
            .help(
                "names that are not ours get SERVFAIL; without the key the VPC's resolver is asked",
            );
    }
    let zones = zones(found, "forward.zone", &file.forward.zone, &file.server);
    let views: Vec<ViewForward> = file.view.iter().filter_map(|it| view(found, it, file)).collect();
    let asked: Vec<&UpstreamAddress> =
        forward::every_upstream(&upstreams, &zones, &views).collect();
    let trusted = asked_upstreams(found, "forward.trusted", &file.forward.trusted, &asked);
    let case_randomization = match file.forward.case_randomization.value {
        file::CaseRandomization::Auto => CaseRandomization::Auto,
        file::CaseRandomization::Off => CaseRandomization::Off,
    };
    let budget = budget(found, &file.forward.budget, &asked);
    let cache = cache(found, &file.cache);
    let ca_file = read(found, "forward.ca_file", &file.forward.ca_file, words::absolute_path);
    ForwardConfig {
        upstreams,
        trusted,
        ca_file: ca_file.flatten(),
        case_randomization,
        budget,
        zones,
        views,
        cache,
    }
}

/// `[forward.budget]`.
fn budget(found: &mut Findings, written: &Budget, asked: &[&UpstreamAddress]) -> BudgetConfig {
    let Budget { packets_per_second, soft_packets_per_second, .. } = written;
    let packets =
        BUDGET_PACKETS.check(found, "forward.budget.packets_per_second", packets_per_second);
    let key = "forward.budget.soft_packets_per_second";
    let soft_packets = BUDGET_PACKETS.check(found, key, soft_packets_per_second);
    if packets < soft_packets {
        // The default is put right where it is the other that is written.
        let written = match soft_packets_per_second.is_written() {
            true => soft_packets_per_second,
            false => packets_per_second,
        };
        found
            .problem(key, &written.span, "packets are spared only above the limit")
            .label(format!("spared from {soft_packets}, not sent from {packets}"))
            .help(
                "set both, `soft_packets_per_second` to the lesser: 900 and 1000 are the defaults",
            );
    }
    let named = written
        .upstreams
        .as_deref()
        .map(|texts| asked_upstreams(found, "forward.budget.upstreams", texts, asked));
    BudgetConfig { packets, soft_packets, upstreams: named }
}

/// `[discovery_dns]`.
pub(super) fn lookup(found: &mut Findings, file: &File, forward: &ForwardConfig) -> LookupConfig {
    let written = &file.discovery_dns.upstreams;
    let own = upstreams(found, "discovery_dns.upstreams", written, &file.server);
    LookupConfig::new(own, forward)
}

/// `[cache]`.
fn cache(found: &mut Findings, written: &Cache) -> CacheConfig {
    let memory_mib: u64 = CACHE_MEMORY_MIB.check(found, "cache.memory_mib", &written.memory_mib);
    let serve_stale =
        SERVE_STALE_SECS.check(found, "cache.serve_stale_secs", &written.serve_stale_secs);
    let mut ttl = |bounds: &Bounds, key: &str, secs| {
        Ttl::from_secs(bounds.check(found, key, secs)).unwrap_or(Ttl::MAX)
    };
    let ttls = TtlBounds {
        min: ttl(&CACHE_TTL_MIN_SECS, "cache.ttl_min_secs", &written.ttl_min_secs),
        max: ttl(&CACHE_TTL_MAX_SECS, "cache.ttl_max_secs", &written.ttl_max_secs),
        negative_max: ttl(
            &CACHE_NEGATIVE_TTL_MAX_SECS,
            "cache.negative_ttl_max_secs",
            &written.negative_ttl_max_secs,
        ),
    };
    if ttls.max < ttls.min {
        let Cache { ttl_min_secs, ttl_max_secs, .. } = written;
        found
            .problem(
                "cache.ttl_max_secs",
                &ttl_max_secs.span,
                "the least TTL is above the greatest",
            )
            .label("the greatest")
            .also(&ttl_min_secs.span, "the least")
            .help("leave one of them out: their defaults are 0 and 86400");
    }
    CacheConfig {
        entries: CACHE_ENTRIES.check(found, "cache.entries", &written.entries),
        bytes: memory_mib.saturating_mul(1024 * 1024),
        ttls,
        prefetch: written.prefetch.value,
        serve_stale: Duration::from_secs(serve_stale),
    }
}

/// Upstreams named once more; each must be one that is asked.
fn asked_upstreams(
    found: &mut Findings,
    key: &str,
    written: &[Text],
    asked: &[&UpstreamAddress],
) -> Vec<UpstreamAddress> {
    let addresses = read_all(found, key, written, words::upstream);
    for (text, address) in &addresses {
        if !asked.contains(&address) {
            found
                .problem(key, &text.span, format!("`{key}` has {address}, which is no upstream"))
                .label("it is never asked")
                .help("write it as it stands in `forward.upstreams` or in a zone's `upstreams`");
        }
    }
    addresses.into_iter().map(|(_, address)| address).collect()
}

/// `[view.forward]`, if the view has one.
fn view(found: &mut Findings, written: &Located<View>, file: &File) -> Option<ViewForward> {
    let View { name, forward, .. } = &written.value;
    let forward = forward.as_ref()?;
    let own = forward.value.upstreams.as_ref();
    let own = own.map(|it| upstreams(found, "view.forward.upstreams", &it.value, &file.server));
    let zones = zones(found, "view.forward.zone", &forward.value.zone, &file.server);
    if let Some(Located { value: none, span }) = &forward.value.upstreams
        && none.is_empty()
        && !found.doubts("view.forward.upstreams")
    {
        found
            .warning("view.forward.upstreams", span, "`view.forward.upstreams` is empty")
            .label("what is in none of the view's zones gets SERVFAIL")
            .help("leave the key out to inherit `forward.upstreams`");
    }
    if own.is_none() && zones.is_empty() && !found.doubts("view.forward") {
        found
            .warning("view.forward", &forward.span, "`[view.forward]` says nothing")
            .label("neither `upstreams` nor a zone")
            .help("remove it: without it the view inherits `[forward]`");
    }
    let name = name.as_ref()?;
    Some(ViewForward { view: name.value.as_str().into(), upstreams: own, zones })
}

fn zones(
    found: &mut Findings,
    key: &str,
    written: &[Located<ForwardZone>],
    server: &Server,
) -> Vec<forward::ForwardZone> {
    let mut seen: HashMap<Name, Range<usize>> = HashMap::new();
    written
        .iter()
        .filter_map(|zone| {
            let list = zone.value.upstreams.as_deref().unwrap_or_default();
            let upstreams = upstreams(found, &format!("{key}.upstreams"), list, server);
            let text = zone.value.name.as_ref()?;
            let name = read(found, &format!("{key}.name"), text, zone_name)?;
            if let Some(first) = seen.insert(name.clone(), text.span.clone()) {
                found
                    .problem(
                        format!("{key}.name"),
                        &text.span,
                        format!("two zones for {:?}", text.value),
                    )
                    .label("the second")
                    .also(&first, "the first")
                    .help("put all upstreams of a zone into one list");
            }
            Some(forward::ForwardZone { name, upstreams })
        })
        .collect()
}

fn zone_name(text: &str) -> Result<Name, Wrong> {
    match (text.strip_prefix("*."), Name::parse(text)) {
        (Some(parent), _) => Err(wrong(
            "a zone is no wildcard",
            format!("write {parent:?}: it means the name and all below it"),
        )),
        (None, Err(error)) => Err(not_a_name(error)),
        (None, Ok(name)) if name.is_root() => {
            Err(wrong("that is every name", "write such upstreams into `forward.upstreams`"))
        }
        (None, Ok(name)) => Ok(name),
    }
}

fn upstreams(
    found: &mut Findings,
    key: &str,
    written: &[Text],
    server: &Server,
) -> Vec<UpstreamAddress> {
    let addresses = read_all(found, key, written, words::upstream);
    for (at, (text, address)) in addresses.iter().enumerate() {
        if let Some((first, _)) = addresses[..at].iter().find(|(_, other)| other == address) {
            found
                .problem(key, &text.span, format!("`{key}` has {address} twice"))
                .label("the second time")
                .also(&first.span, "the first time")
                .help("remove one of them");
        }
        if let Some(own) = reached_at(server, address.socket()) {
            // A default upstream cannot be put right where it stands; our own address can.
            let span = if text.is_written() { &text.span } else { &own.span };
            found
                .problem(key, span, format!("the upstream {} is hubdns itself", text.value))
                .label("a question would go round in a loop")
                .also(&own.span, "we listen here")
                .help("name a resolver elsewhere, or leave the key out for the VPC's own");
        }
    }
    addresses.into_iter().map(|(_, address)| address).collect()
}
