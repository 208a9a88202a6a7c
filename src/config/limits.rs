//! The range of every number in the file, and why it ends where it does.

use super::{located::Located, problem::Findings};

/// The least and the greatest value of a key, both allowed.
pub(super) struct Bounds {
    pub(super) min: i64,
    pub(super) max: i64,
    /// A sentence for whoever is outside.
    why: &'static str,
}

/// A TTL of 0 makes every lookup of every client a query here (and a paid one where Route 53
/// forwards it); above a day (60 * 60 * 24 = 86,400) clients would outlive most interfaces.
pub(super) const TTL_SECS: Bounds = Bounds {
    min: 1,
    max: 86_400,
    why: "with 0 every lookup is a query; above a day clients keep addresses that are gone",
};

/// The same two ends: RFC 2308 section 5 advises one to three hours and names a day as trouble.
pub(super) const NEGATIVE_TTL_SECS: Bounds = Bounds {
    min: 1,
    max: 86_400,
    why: "with 0 every AAAA lookup is a query; RFC 2308 calls more than a day problematic",
};

/// EC2 refills 20 Describe calls a second for a whole account and region, which others share;
/// one round is at least three calls. An hour is the longest a vanished address may be answered.
pub(super) const INTERVAL_SECS: Bounds = Bounds {
    min: 5,
    max: 3_600,
    why: "more often than every 5 s EC2 throttles the whole account; more than an hour is stale",
};

/// Names of services change by the month, and a new service is asked for at once anyway.
pub(super) const SERVICES_INTERVAL_SECS: Bounds = Bounds {
    min: 60,
    max: 86_400,
    why: "services change rarely and their names are looked up at once for a new endpoint",
};

/// A share of what is known. 0 would hold back every change that removes anything.
pub(super) const SHRINK_GUARD_PERCENT: Bounds = Bounds {
    min: 1,
    max: 100,
    why: "it is a share of the known names; 100 lets all pass but the last name",
};

/// Ten endpoint addresses' worth; what is limited above it is the machine.
pub(super) const RATE_QUESTIONS: Bounds = Bounds {
    min: 0,
    max: 100_000,
    why: "0 limits nobody; a Route 53 endpoint address sends 10,000",
};

/// One of ten: a client asks two or three times before it gives up.
pub(super) const RATE_SLIP: Bounds =
    Bounds { min: 0, max: 10, why: "1 tells every one to come by TCP, 0 drops all in silence" };

/// From one address to a whole network of the size of 10.0.0.0/8.
pub(super) const RATE_IPV4_PREFIX: Bounds =
    Bounds { min: 8, max: 32, why: "32 is one address, 24 the 256 of a small network" };

/// A host has a /64 to choose from, so longer ones limit nobody; a site has a /48 or less.
pub(super) const RATE_IPV6_PREFIX: Bounds =
    Bounds { min: 32, max: 64, why: "a host can choose any address of its /64" };

/// AWS's own limit is 1,024; a network elsewhere may take a million. Less than ten would starve the
/// probes for loops.
pub(super) const BUDGET_PACKETS: Bounds = Bounds {
    min: 10,
    max: 1_000_000,
    why: "AWS drops above 1,024, metadata and time included; fewer than 10 answer nobody",
};

/// At about a kilobyte an answer ten million are 10 GB, more than such a host has.
pub(super) const CACHE_ENTRIES: Bounds = Bounds {
    min: 0,
    max: 10_000_000,
    why: "0 keeps no answers; ten million take about 10 GB of memory",
};

/// A kilobyte an answer: a mebibyte holds some 1,000, and 64 GiB more than there are names.
pub(super) const CACHE_MEMORY_MIB: Bounds = Bounds {
    min: 1,
    max: 65_536,
    why: "to keep no answers set `cache.entries` to 0; a common answer takes a kilobyte",
};

/// Longer than its owner said an answer is wrong answers; an hour is what unbound's manual warns of.
pub(super) const CACHE_TTL_MIN_SECS: Bounds = Bounds {
    min: 0,
    max: 3_600,
    why: "above it changed addresses would be told for longer than their owners allow",
};

/// A day is the cap that each record has anyhow.
pub(super) const CACHE_TTL_MAX_SECS: Bounds = Bounds {
    min: 1,
    max: 86_400,
    why: "to keep no answers set `cache.entries` to 0; nothing is kept for more than a day",
};

/// RFC 2308 section 5 advises one to three hours (3 * 3,600 = 10,800).
pub(super) const CACHE_NEGATIVE_TTL_MAX_SECS: Bounds =
    Bounds { min: 1, max: 10_800, why: "RFC 2308 advises three hours at most" };

/// RFC 8767 section 5 suggests one to three days. We stop at a week (7 * 86,400 = 604,800), the
/// cap that its section 4 advises for TTLs.
pub(super) const SERVE_STALE_SECS: Bounds = Bounds {
    min: 0,
    max: 604_800,
    why: "0 never answers what has expired; RFC 8767 suggests one to three days",
};

/// A probe is a TCP handshake with every interface address; once an hour notices nothing.
pub(super) const PROBE_INTERVAL_SECS: Bounds =
    Bounds { min: 1, max: 3_600, why: "each probe is a TCP handshake with every address" };

// === impl Bounds ===

impl Bounds {
    /// The value as the type it is wanted in; a value outside is a problem and the nearest bound
    /// stands in for it while the rest is checked.
    pub(super) fn check<T: TryFrom<i64> + Default>(
        &self,
        found: &mut Findings,
        key: &str,
        written: &Located<i64>,
    ) -> T {
        let Bounds { min, max, why } = self;
        let value = written.value;
        if !(*min..=*max).contains(&value) {
            found
                .problem(key, &written.span, format!("`{key}` cannot be {value}"))
                .label(format!("outside {min} to {max}"))
                .help(format!("allowed: a whole number from {min} to {max}; {why}"));
        }
        T::try_from(value.clamp(*min, *max)).unwrap_or_default()
    }
}
