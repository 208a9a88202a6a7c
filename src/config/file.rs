//! The configuration file as it is written: its tables, its keys and their defaults.
//!
//! The comments on the keys are what `hubdns schema` prints. What a key is when it is left out stands
//! in `defaults`, and nowhere else.

mod defaults;
mod log;
mod source;
mod view;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    limits::{
        BUDGET_PACKETS, CACHE_ENTRIES, CACHE_MEMORY_MIB, CACHE_NEGATIVE_TTL_MAX_SECS,
        CACHE_TTL_MAX_SECS, CACHE_TTL_MIN_SECS, INTERVAL_SECS, NEGATIVE_TTL_SECS,
        PROBE_INTERVAL_SECS, RATE_IPV4_PREFIX, RATE_IPV6_PREFIX, RATE_QUESTIONS, RATE_SLIP,
        SERVE_STALE_SECS, SERVICES_INTERVAL_SECS, SHRINK_GUARD_PERCENT, TTL_SECS,
    },
    located::{Located, Text},
};

pub(super) use log::{Dnstap, Format, Log, Only, Otlp};
pub(super) use source::{Kind, Source};
pub(super) use view::{View, ViewKind};

/// The configuration of hubdns.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "hubdns.toml")]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) clients: Clients,
    /// Where endpoints are discovered. One or more; all of them make one inventory, and where two
    /// endpoints claim one name the first source wins.
    #[schemars(length(min = 1))]
    pub(super) source: Vec<Located<Source>>,
    pub(super) refresh: Refresh,
    pub(super) answers: Answers,
    /// Who sees which endpoints. The first view that matches a client is its view; a client that
    /// none matches sees everything.
    pub(super) view: Vec<Located<View>>,
    /// Which availability zone (name or id) each client network is in, for answers from the same
    /// zone. The longest network that holds a client decides. With the key `discover = "subnets"`,
    /// or with zones = "discover" in place of the table, the subnets that the sources can see tell
    /// it too; a network that stands here counts for all that is in it.
    pub(super) zones: BTreeMap<Text, Text>,
    pub(super) health: Health,
    pub(super) forward: Forward,
    pub(super) discovery_dns: DiscoveryDns,
    pub(super) cache: Cache,
    pub(super) admin: Admin,
    pub(super) control: Control,
    pub(super) coverage: Coverage,
    pub(super) log: Log,
    pub(super) dnstap: Dnstap,
    pub(super) otlp: Otlp,
}

/// Where DNS is served.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// UDP and TCP on each: "IP:PORT", "[IPV6]:PORT" or "interface:NAME:PORT". On a wildcard
    /// address a reply leaves from the address that was asked. Port 0 lets the system choose.
    pub(super) listen: Located<Vec<Text>>,
    /// What NSID tells (RFC 5001), and id.server and hostname.bind in class CH. Without it: NSID
    /// tells the name of the host, and the others are refused.
    #[schemars(length(min = 1, max = 255))]
    pub(super) identity: Option<Text>,
    /// What version.bind and version.server tell in class CH. Without it: they are refused.
    #[schemars(length(min = 1, max = 255))]
    pub(super) version: Option<Text>,
    /// A file, relative to the folder of this one, with a secret of DNS cookies a line, each 32
    /// hexadecimal digits: the first makes cookies, all are taken. For hubs behind one address.
    /// Without it: a secret of our own, drawn at each start.
    #[schemars(length(min = 1))]
    pub(super) cookie_secret_file: Option<Text>,
    /// DNS over TLS (RFC 7858).
    pub(super) tls: Option<Located<Tls>>,
    /// DNS over HTTPS (RFC 8484).
    pub(super) https: Option<Located<Https>>,
}

/// DNS over TLS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// As `server.listen`, by TCP alone.
    #[schemars(required)]
    pub(super) listen: Option<Located<Vec<Text>>>,
    /// The file of the certificate and its issuers', PEM, relative to the folder of this file.
    /// When it changes, new connections get what it holds then.
    #[schemars(required)]
    pub(super) certificate: Option<Text>,
    /// The file of the private key, PEM, likewise.
    #[schemars(required)]
    pub(super) key: Option<Text>,
}

/// DNS over HTTPS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Https {
    /// As `server.listen`, by TCP alone.
    #[schemars(required)]
    pub(super) listen: Option<Located<Vec<Text>>>,
    /// The file of the certificate and its issuers', PEM, relative to the folder of this file.
    /// When it changes, new connections get what it holds then.
    #[schemars(required)]
    pub(super) certificate: Option<Text>,
    /// The file of the private key, PEM, likewise.
    #[schemars(required)]
    pub(super) key: Option<Text>,
    /// The path of the queries, by GET and POST.
    #[serde(default = "defaults::https_path")]
    pub(super) path: Text,
}

/// Who is answered at all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Clients {
    /// Networks (or single addresses) of clients; all others get REFUSED.
    pub(super) allow: Located<Vec<Text>>,
    pub(super) rate: Rate,
}

/// How much one client may ask.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rate {
    /// Questions a second of one client by UDP, and as many more by TCP, TLS, HTTPS and with a DNS
    /// cookie of ours; a second's worth may come at once. 0 limits nobody. A Route 53 endpoint
    /// address sends 10,000 for thousands of clients: limit those, or name them in `exempt`.
    #[schemars(range(min = RATE_QUESTIONS.min, max = RATE_QUESTIONS.max))]
    pub(super) questions_per_second: Located<i64>,
    /// Of so many datagrams above the rate one is told to come by TCP; the others are dropped. 0
    /// drops all.
    #[schemars(range(min = RATE_SLIP.min, max = RATE_SLIP.max))]
    pub(super) slip: Located<i64>,
    /// How many bits of an IPv4 address make one client.
    #[schemars(range(min = RATE_IPV4_PREFIX.min, max = RATE_IPV4_PREFIX.max))]
    pub(super) ipv4_prefix: Located<i64>,
    /// The same of an IPv6 address.
    #[schemars(range(min = RATE_IPV6_PREFIX.min, max = RATE_IPV6_PREFIX.max))]
    pub(super) ipv6_prefix: Located<i64>,
    /// Networks (or single addresses) that may ask as much as they like, and from which nobody
    /// forges: others that are public get answers above three times their question cut to TC by UDP,
    /// unless they show a DNS cookie of ours.
    pub(super) exempt: Vec<Text>,
}

/// How often the sources are asked, and what is kept of the last good answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Refresh {
    /// Between two looks at endpoints and interfaces.
    #[schemars(range(min = INTERVAL_SECS.min, max = INTERVAL_SECS.max))]
    pub(super) interval_secs: Located<i64>,
    /// Between two looks at the names of services. A service not seen before is asked at once.
    #[schemars(range(min = SERVICES_INTERVAL_SECS.min, max = SERVICES_INTERVAL_SECS.max))]
    pub(super) services_interval_secs: Located<i64>,
    /// Where the last good inventory is kept for a start without AWS; an absolute path. "" keeps
    /// none.
    pub(super) state_file: Text,
    /// A round that would drop more than this share of its source's names, or of a view's, is kept
    /// out until it has been seen three times in a row. 100 lets all pass but the last name of all.
    #[schemars(range(min = SHRINK_GUARD_PERCENT.min, max = SHRINK_GUARD_PERCENT.max))]
    pub(super) shrink_guard_percent: Located<i64>,
}

/// What our own answers look like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Answers {
    /// How long clients may keep an address.
    #[schemars(range(min = TTL_SECS.min, max = TTL_SECS.max))]
    pub(super) ttl_secs: Located<i64>,
    /// How long clients may keep that a name of ours has no record of a type.
    #[schemars(range(min = NEGATIVE_TTL_SECS.min, max = NEGATIVE_TTL_SECS.max))]
    pub(super) negative_ttl_secs: Located<i64>,
    /// Services whose names are left to the upstream in every view: "sqs", "ecr.api" or whole as
    /// "com.amazonaws.eu-west-1.sqs". A list here replaces the default.
    pub(super) deny: Located<Vec<Text>>,
    /// What of these is answered all the same: a service, or one resource of it and no other name
    /// of its wildcard, as "execute-api:abc123" for that API, or "execute-api:abc123@vpce-..." where
    /// one endpoint has it.
    pub(super) allow: Vec<Text>,
    /// Ready-made sets of names that AWS does not publish and clients ask for all the same, for
    /// every region that has an endpoint of the service: "sqs-legacy" (REGION.queue.amazonaws.com),
    /// "s3-global" (s3.amazonaws.com, by an endpoint in us-east-1), "s3-dualstack"
    /// (s3.dualstack.REGION.amazonaws.com). docs/ALIASES.md has each one's names and caveats.
    pub(super) alias_sets: Vec<Located<AliasSet>>,
    /// Whether the names of DynamoDB may be answered, which AWS asks to leave alone: the gateway
    /// endpoint of a VPC answers for them free of charge. A service that is denied stays so.
    #[serde(rename = "override")]
    pub(super) overrides: Located<bool>,
    /// Names that AWS does not publish and clients ask for all the same.
    pub(super) alias: Vec<Located<Alias>>,
}

/// A ready-made set of aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AliasSet {
    SqsLegacy,
    S3Global,
    S3Dualstack,
}

/// A further name for a service or an endpoint, or a name that stands for another. Exactly one of
/// `service`, `endpoint` and `cname`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Alias {
    /// The name, or "*.NAME" for all names below it.
    #[schemars(required)]
    pub(super) name: Option<Text>,
    /// A service, written as in `answers.deny`.
    pub(super) service: Option<Text>,
    /// An endpoint's id, "vpce-...".
    pub(super) endpoint: Option<Text>,
    /// With `service` or `endpoint`: only the addresses in this availability zone (name or id).
    pub(super) zone: Option<Text>,
    /// Another name: answered with a CNAME and what that name has, ours or an upstream's.
    pub(super) cname: Option<Text>,
}

/// Whether endpoint addresses are probed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Health {
    /// "tcp:PORT", or "off".
    pub(super) probe: Text,
    /// Between two probes of one address.
    #[schemars(range(min = PROBE_INTERVAL_SECS.min, max = PROBE_INTERVAL_SECS.max))]
    pub(super) interval_secs: Located<i64>,
}

/// Who is asked for names that are not ours.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Forward {
    /// Resolvers: "IP" or "IP:PORT", and by TLS "tls://IP:PORT#NAME" (port 853 if none is written),
    /// where NAME is in the resolver's certificate; without it the IP has to be. The default is the VPC's own. With none, names that are not
    /// ours get SERVFAIL.
    pub(super) upstreams: Located<Vec<Text>>,
    /// Upstreams, of these and of the zones, whose AD bit is passed on: they validate, and the way
    /// to them cannot be tampered with.
    pub(super) trusted: Vec<Text>,
    /// A PEM file of the authorities whose certificates upstreams by TLS may have; an absolute
    /// path. "" means the system's.
    pub(super) ca_file: Text,
    /// Whether names are sent in random case, which who forges answers has to guess (0x20): "auto"
    /// to upstreams that keep it, but not to link-local ones; "off" to none.
    pub(super) case_randomization: Located<CaseRandomization>,
    pub(super) budget: Budget,
    /// Domains that other resolvers know; the longest that holds a name decides.
    pub(super) zone: Vec<Located<ForwardZone>>,
}

/// Whether names are sent in random case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CaseRandomization {
    Auto,
    Off,
}

/// How many packets a second may go to upstreams that AWS limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Budget {
    /// More are not sent, and questions that would need them get an older answer or SERVFAIL. AWS
    /// drops silently above 1,024 from one interface, metadata and time included.
    #[schemars(range(min = BUDGET_PACKETS.min, max = BUDGET_PACKETS.max))]
    pub(super) packets_per_second: Located<i64>,
    /// From here on packets are spared: older answers are given at once, nothing is asked twice or
    /// before its time.
    #[schemars(range(min = BUDGET_PACKETS.min, max = BUDGET_PACKETS.max))]
    pub(super) soft_packets_per_second: Located<i64>,
    /// Whom it is for, all together. Without it: upstreams on the link (169.254.169.253,
    /// fd00:ec2::253) and the base and two of a VPC that this host's networks can be in.
    pub(super) upstreams: Option<Vec<Text>>,
}

/// A domain that other resolvers know.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForwardZone {
    /// This name and all below it.
    #[schemars(required)]
    pub(super) name: Option<Text>,
    /// As `forward.upstreams`. With an empty list such names are refused.
    #[schemars(required)]
    pub(super) upstreams: Option<Vec<Text>>,
}

/// Who is asked for the hosts of AWS that discovery calls: never hubdns itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DiscoveryDns {
    /// Resolvers, as in `forward.upstreams`, for every such host. With none these are looked up as
    /// names of clients are: by `forward.upstreams`, or by the zone that holds them.
    pub(super) upstreams: Vec<Text>,
}

/// What is remembered of the upstreams' answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cache {
    /// Answers kept at most; 0 keeps none.
    #[schemars(range(min = CACHE_ENTRIES.min, max = CACHE_ENTRIES.max))]
    pub(super) entries: Located<i64>,
    /// What they may take of memory, in MiB; whichever limit is reached first counts.
    #[schemars(range(min = CACHE_MEMORY_MIB.min, max = CACHE_MEMORY_MIB.max))]
    pub(super) memory_mib: Located<i64>,
    /// The least TTL an answer counts as having. More than 0 keeps answers longer than their
    /// owners allow.
    #[schemars(range(min = CACHE_TTL_MIN_SECS.min, max = CACHE_TTL_MIN_SECS.max))]
    pub(super) ttl_min_secs: Located<i64>,
    /// The greatest TTL an answer counts as having.
    #[schemars(range(min = CACHE_TTL_MAX_SECS.min, max = CACHE_TTL_MAX_SECS.max))]
    pub(super) ttl_max_secs: Located<i64>,
    /// The same for the absence of a name or type.
    #[schemars(range(
        min = CACHE_NEGATIVE_TTL_MAX_SECS.min,
        max = CACHE_NEGATIVE_TTL_MAX_SECS.max
    ))]
    pub(super) negative_ttl_max_secs: Located<i64>,
    /// Whether a name that is asked for again and again is asked for upstream before its time is
    /// over, so that no client waits for it.
    pub(super) prefetch: Located<bool>,
    /// How long past its TTL an answer may stand in when no upstream answers (RFC 8767); 0 never.
    #[schemars(range(min = SERVE_STALE_SECS.min, max = SERVE_STALE_SECS.max))]
    pub(super) serve_stale_secs: Located<i64>,
}

/// HTTP for people and Prometheus: the page at /, /metrics, /livez, /readyz, /api/v1/...
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    /// "IP:PORT". "" opens none.
    pub(super) listen: Text,
}

/// The socket of `hubdns status`, `reload` and the like.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Control {
    /// An absolute path. "" opens none.
    pub(super) socket: Text,
}

/// Whether names of AWS are counted that upstreams answer with public addresses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Coverage {
    /// Whether they are counted, for `hubdns coverage`.
    pub(super) enabled: Located<bool>,
    /// Whether the names that clients asked for are kept beside the services: bucket names,
    /// account numbers. In memory alone, 2,048 at most.
    pub(super) names: Located<bool>,
}
