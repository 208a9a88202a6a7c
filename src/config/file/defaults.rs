//! What a key is when it is left out. The one place that states a default.

use super::{
    Admin, Answers, Budget, Cache, CaseRandomization, Clients, Control, Coverage, Dnstap, Format,
    Forward, Health, Log, Only, Otlp, Rate, Refresh, Server,
};
use crate::{
    config::located::{Located, Text, texts},
    coverage::CoverageConfig,
    forward::BudgetConfig,
    policy::RateConfig,
};

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: texts(&["0.0.0.0:53", "[::]:53"]),
            identity: None,
            version: None,
            cookie_secret_file: None,
            tls: None,
            https: None,
        }
    }
}

pub(super) fn https_path() -> Text {
    Located::unwritten("/dns-query".to_owned())
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            allow: texts(&[
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "100.64.0.0/10",
                "127.0.0.0/8",
                "fc00::/7",
                "::1/128",
            ]),
            rate: Rate::default(),
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        let RateConfig { questions_per_second, slip, ipv4_prefix, ipv6_prefix, .. } =
            RateConfig::OFF;
        Self {
            questions_per_second: Located::unwritten(questions_per_second.into()),
            slip: Located::unwritten(slip.into()),
            ipv4_prefix: Located::unwritten(ipv4_prefix.into()),
            ipv6_prefix: Located::unwritten(ipv6_prefix.into()),
            exempt: Vec::new(),
        }
    }
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            interval_secs: Located::unwritten(30),
            services_interval_secs: Located::unwritten(3_600),
            state_file: Located::unwritten("/var/lib/hubdns/inventory.json".to_owned()),
            shrink_guard_percent: Located::unwritten(30),
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            ttl_secs: Located::unwritten(60),
            negative_ttl_secs: Located::unwritten(60),
            deny: texts(&["execute-api", "dynamodb", "dynamodb-streams"]),
            allow: Vec::new(),
            alias_sets: Vec::new(),
            overrides: Located::unwritten(false),
            alias: Vec::new(),
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            probe: Located::unwritten("tcp:443".to_owned()),
            interval_secs: Located::unwritten(5),
        }
    }
}

impl Default for Forward {
    fn default() -> Self {
        Self {
            upstreams: texts(&["169.254.169.253"]),
            trusted: Vec::new(),
            ca_file: Located::unwritten(String::new()),
            case_randomization: Located::unwritten(CaseRandomization::Auto),
            budget: Budget::default(),
            zone: Vec::new(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        let BudgetConfig { packets, soft_packets, .. } = BudgetConfig::DEFAULT;
        Self {
            packets_per_second: Located::unwritten(packets.into()),
            soft_packets_per_second: Located::unwritten(soft_packets.into()),
            upstreams: None,
        }
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            entries: Located::unwritten(100_000),
            memory_mib: Located::unwritten(100),
            ttl_min_secs: Located::unwritten(0),
            ttl_max_secs: Located::unwritten(86_400),
            negative_ttl_max_secs: Located::unwritten(10_800),
            prefetch: Located::unwritten(true),
            serve_stale_secs: Located::unwritten(86_400),
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Located::unwritten("127.0.0.1:9153".to_owned()) }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self { socket: Located::unwritten("/run/hubdns/control.sock".to_owned()) }
    }
}

impl Default for Coverage {
    fn default() -> Self {
        let CoverageConfig { enabled, names } = CoverageConfig::DEFAULT;
        Self { enabled: Located::unwritten(enabled), names: Located::unwritten(names) }
    }
}

impl Default for Dnstap {
    fn default() -> Self {
        Self { socket: Text::default(), queries: Located::unwritten("all".to_owned()) }
    }
}

impl Default for Otlp {
    fn default() -> Self {
        Self { endpoint: Text::default(), queries: Located::unwritten("off".to_owned()) }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: Located::unwritten(Format::Json),
            queries: Located::unwritten("off".to_owned()),
            queries_file: Text::default(),
            only: Only::default(),
        }
    }
}
