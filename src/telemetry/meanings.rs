//! What each metric means: its help on the page of metrics, and its row in `docs/METRICS.md`, which a
//! test makes of this and of a running daemon's page.

use prometheus::Opts;

/// A part of the document.
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// Names and what they mean, in the order of the document.
    pub metrics: &'static [(&'static str, &'static str)],
}

macro_rules! sections {
    ($($title:literal { $($name:ident: $meaning:literal)* })*) => {
        /// Every metric.
        pub const SECTIONS: &[Section] = &[
            $(Section { title: $title, metrics: &[$((stringify!($name), $meaning),)*] },)*
        ];
    };
}

sections! {
    "What clients ask and are told" {
        hubdns_dns_requests_total:
            "Questions received. A packet that is no readable question is counted by its answer \
             alone. Family 1 is IPv4, 2 is IPv6."
        hubdns_dns_responses_total:
            "Answers given, by where they came from. `local` is what needed neither the table \
             nor an upstream: refusals and errors."
        hubdns_service_answers_total:
            "Answers from the table, by the service whose endpoint they name, as \
             `com.amazonaws.eu-west-1.sqs`; also that a name has none of a type. 0 from the \
             first table that has the service, and ended with the last."
        hubdns_dns_request_duration_seconds:
            "From reading a question to having its answer. Of those that come together one is \
             measured, the last, which waits longest; those that wait for an upstream are all."
        hubdns_dns_dropped_total:
            "Packets that got no answer: less than a header; a response; from port 0; from port \
             7, 13, 17, 19 or 37, where a service answers whatever it gets; from the very \
             address and port that was asked; from another port below 1024 without a question \
             that can be read; above 4,096 octets; the network refused the answer."
        hubdns_dns_rate_limited_total:
            "Questions of clients above `clients.rate`, by what they got: nothing; TC, so that \
             a client comes by TCP; REFUSED, by connection or with a good cookie. They are \
             counted nowhere else."
        hubdns_dns_cookies_total:
            "Clients' DNS cookies: the client has none of ours yet; it was given this one, \
             within the hour and at its address; it was not. Much `bad` is a secret that hubs \
             behind one address do not share, a clock that is wrong, or somebody who sends in \
             others' names."
        hubdns_udp_receive_buffer_bytes:
            "The smallest receive buffer of the UDP sockets, as the kernel tells it: twice what \
             was asked for, 8,388,608 where that is granted."
        hubdns_tcp_connections: "Open connections of clients, by TCP, TLS and HTTPS."
        hubdns_tcp_connections_refused_total:
            "Connections closed for being over a limit: new ones at once, or the one that was \
             idle longest to make room."
    }
    "TLS and HTTPS" {
        hubdns_tls_certificate_expiry_timestamp_seconds:
            "When the certificate in force ends, in seconds since 1970. Alert some weeks \
             before. No series for what is not configured."
        hubdns_tls_certificate_renewals_total:
            "Certificates found changed on disk without a reload. `refused`: the new pair \
             cannot be served, the one before stays, and the log tells why."
        hubdns_tls_handshakes_total:
            "TLS handshakes. `failed`: client and server did not come together, or the client \
             left; `timeout`: not within 5 s; `refused`: too many at once, or in a second."
        hubdns_https_responses_total:
            "Answers to HTTPS requests, by HTTP status; 200 is any DNS message."
    }
    "What leaks past endpoints" {
        hubdns_coverage_leaks_total:
            "Answers of upstreams with a public address to a name of AWS, by the service whose \
             endpoint has or would have it, as `answers.deny` takes it; `other` for names that \
             no SDK calls. docs/COVERAGE.md tells what is counted and what to do."
    }
    "What is asked of upstreams" {
        hubdns_upstream_requests_total:
            "Questions sent to an upstream, retransmissions counted. The VPC's resolver drops \
             silently above 1,024 packets a second and interface: watch this."
        hubdns_upstream_failures_total:
            "Exchanges that gave nothing: silence; the network said no; an answer that cannot \
             be used; SERVFAIL, REFUSED or any code but NOERROR, NXDOMAIN and YXDOMAIN; a TLS \
             handshake that failed or a certificate of somebody else's; no socket or memory of \
             our own to ask with, which is not held against the upstream; no packet left in \
             this second."
        hubdns_upstream_request_duration_seconds: "From a packet to the answer to it."
        hubdns_upstream_rtt_seconds:
            "The same, smoothed (RFC 6298); 0 before the first answer. Those with about the \
             least share the load."
        hubdns_upstream_up: "1 while asked in turn, 0 while avoided."
        hubdns_upstream_asked_without:
            "1 while it is asked without EDNS, or not in random case (0x20), since it has shown \
             that it cannot."
        hubdns_upstream_mismatched_total:
            "Packets to an upstream socket that were no answer to what was asked: another id; \
             another name, type or class; the name in another case than it was asked in; no \
             response; cut, or not to be parsed. None is used. A steady rate is somebody \
             guessing."
        hubdns_upstream_floods_total:
            "Questions asked by TCP since 32 wrong packets came by UDP. Somebody is guessing in \
             earnest."
        hubdns_linklocal_packets_total:
            "Packets sent to upstreams that AWS limits to 1,024 a second and interface \
             (`forward.budget`): one for a question by UDP; by TCP six, and one more for each \
             2,896 octets of the answer. The kernel's own retransmissions, look-ups of AWS's \
             hosts and what other programs send are not known."
        hubdns_linklocal_packets_per_second: "The same in the last second."
        hubdns_linklocal_packets_per_second_peak:
            "The most in a second of this minute and the last."
        hubdns_linklocal_packets_limit:
            "`soft`: from here on packets are spared. `hard`: more are not sent. Both 0 without \
             such an upstream."
        hubdns_linklocal_spared_total:
            "Packets that were not sent: an older answer was given at once; nobody waited for \
             the answer; the question had been asked before; above the hard limit."
        hubdns_linklocal_allowance_exceeded_total:
            "Packets that the network dropped since the start, as the ENA driver counts them; \
             read by ethtool once a minute, no series without it. Alert on any."
        hubdns_forwarding_loop:
            "Domains in which what this upstream is asked comes back to us, so that it is not \
             asked there. Alert above 0: `/readyz` tells which."
        hubdns_loop_probes_total: "Probes for such loops: came back; were answered; neither."
        hubdns_forwards_looping_total:
            "Questions answered SERVFAIL at once since whoever could be asked would ask us."
        hubdns_cache_renewals_total:
            "Questions asked upstream that no client waited for: names asked for often, shortly \
             before their time is over, and names whose old answer has been told."
        hubdns_forwards_in_flight: "Questions waiting for an upstream."
        hubdns_forwards_refused_total:
            "Questions answered SERVFAIL at once since too many were waiting."
        hubdns_cache_requests_total: "Questions to the cache, by what it had."
        hubdns_cache_entries: "Answers in the cache, those past their time included."
        hubdns_cache_bytes:
            "Octets that the cached answers take, with what the cache needs beside them; at \
             least the share that `cache.entries` leaves each."
    }
    "What is known of the endpoints" {
        hubdns_discovery_age_seconds:
            "Since the facts in force were last confirmed by their source; -1 for never. Alert \
             above a few intervals."
        hubdns_discovery_interval_seconds:
            "Between two looks at the source while all is well: its `interval_secs`, or that of \
             `[refresh]`."
        hubdns_discovery_endpoints: "Endpoints that a source told of."
        hubdns_discovery_errors_total:
            "Failed discoveries, by the API call that failed and its code: AWS's own where it \
             gave one that is known, else `timeout`, `connect`, `garbage`, `credentials`, \
             `region`, `ca_certificates`, `file`, `not_built_in` or `other`."
        hubdns_refresh_rounds_total:
            "Rounds of discovery, one a source. `kept`: what is in force of that source stays, \
             since it failed or too many of its names would go; the log tells which, and \
             `hubdns_discovery_age_seconds` of that source grows."
        hubdns_refresh_round_duration_seconds: "How long the last round took."
        hubdns_state_file_errors_total:
            "Times the last-good inventory, or which zones are drained, could not be read or \
             written."
        hubdns_config_reloads_total:
            "Reloads of the configuration. After a refused one the old configuration stays."
    }
    "What is answered" {
        hubdns_table_names: "Names and wildcards that are ours."
        hubdns_table_declined:
            "Names and endpoints that are not answered, by the reason that `hubdns names` \
             prints."
        hubdns_table_generation:
            "How often the table in force has changed since the start; 0 before the first."
        hubdns_answer_changes_total:
            "Names and types that a new table answers otherwise than the one before it; those \
             of the first table do not count. `/api/v1/changes` tells which."
        hubdns_table_info: "1. The hash of the table in force, equal on hubs that say the same."
        hubdns_health_probes_total:
            "Probes of endpoints' addresses, by result. `not_asked`: this host could not even \
             try."
        hubdns_health_changes_total: "Addresses that came up or went down."
        hubdns_flapping_addresses:
            "Addresses that went down and came back twice or more lately, until they have been \
             steady for some 15 minutes (at the default interval). Each time they have to \
             answer longer before they are given out again. `/api/v1/status` and the log tell \
             which."
        hubdns_unhealthy_addresses: "Addresses of endpoints that do not answer probes."
        hubdns_s3_left_private:
            "Views that leave S3 to upstreams which give private addresses for it, so that \
             their clients go past their gateway endpoints. The log and `hubdns doctor` tell \
             which. docs/VIEWS.md tells more."
        hubdns_drained_zones:
            "Zones that a person has taken out of the answers (`hubdns drain-az`); \
             `/api/v1/status` tells which."
        hubdns_drained_addresses: "Addresses of drained zones that are left out."
        hubdns_endpoints_overruling_drain:
            "Endpoints with no usable address of a family outside drained zones, so that those \
             inside are given out all the same."
        hubdns_endpoints_unheard:
            "Endpoints of which no address has ever answered a probe: they may listen on other \
             ports. All their addresses are given out."
        hubdns_endpoints_failing_open:
            "Endpoints of which no address of a family answers probes, so that all of them are \
             given out."
    }
    "What is told of queries" {
        hubdns_query_log_records_total:
            "Lines of the query log, messages of dnstap, and spans, that were written."
        hubdns_query_log_dropped_total:
            "Those that were not: more came than could be written, and the queue of 16,384 (of \
             dnstap also: of 16 MiB of packets; of spans also: of 1,024 of discovery and reloads) was \
             full; or the file did not take them, no receiver was there, or it refused them. No answer \
             waits for any."
        hubdns_dnstap_connected:
            "1 while a receiver of dnstap takes frames; 0 also where none is configured."
    }
    "The process" {
        hubdns_build_info: "1. The version that runs."
        process_cpu_seconds_total: "CPU time, user and system."
        process_max_fds: "Descriptors that may be open."
        process_open_fds: "Descriptors that are open."
        process_resident_memory_bytes: "Memory in use."
        process_start_time_seconds: "When it started, in seconds since 1970."
        process_threads: "Threads."
        process_virtual_memory_bytes: "Address space."
    }
}

/// What a metric is registered with; one that stands nowhere above has no meaning.
pub(super) fn opts(name: &str) -> Opts {
    let mut metrics = SECTIONS.iter().flat_map(|section| section.metrics);
    let meaning = metrics.find(|(known, _)| *known == name).map_or("", |(_, meaning)| meaning);
    Opts::new(name, meaning)
}
