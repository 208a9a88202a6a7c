//! Every metric with its labels, and the set-up of the log.
//!
//! Labels are closed lists: never a name that was asked, never a client's address. Whatever can be
//! counted exists at 0 from the start, so that a rate is right from its first event.

mod budget;
mod config;
mod control;
mod coverage;
mod dns;
mod fates;
mod log;
mod meanings;
mod seldom;
mod services;
mod spans;
mod tls;
mod told;
mod traffic;
mod upstream;

pub use budget::{BudgetMetrics, Spared};
pub use config::{LogConfig, LogFormat};
pub use control::{ControlMetrics, HealthVerdict, ProbeResult, RoundOutcome, StateFileOperation};
pub use dns::{AnswerSource, DnsMetrics, Proto, Tally, ViewMetrics};
pub use fates::{CookieKind, Dropped, Limited};
pub use log::init as init_log;
pub use meanings::{SECTIONS, Section};
pub use seldom::Seldom;
pub(crate) use seldom::seldom;
pub use services::ServiceMetrics;
pub use spans::{Span, Spans, Step};
pub use tls::{Encrypted, Handshake, HttpStatus, Renewal, TlsMetrics};
pub use told::{Output, ToldMetrics, Untold};
pub use traffic::{Counts, TRAFFIC_EVERY, Traffic, TrafficSample};
pub use upstream::{
    CacheResult, ForwardMetrics, LoopProbe, UpstreamFailure, UpstreamLack, UpstreamMetrics,
    UpstreamMismatch,
};

use std::sync::Arc;

use prometheus::{Encoder, Registry, TextEncoder};

use crate::coverage::Coverage;

/// All metrics of a daemon. Made once; rooms get the part they count in.
pub struct Metrics {
    registry: Registry,
    /// What clients asked and were told.
    pub dns: DnsMetrics,
    /// DNS over TLS and HTTPS.
    pub tls: TlsMetrics,
    /// Upstreams and the cache.
    pub forward: ForwardMetrics,
    /// Discovery, the table, the state file, reloads.
    pub control: ControlMetrics,
    /// The query log, dnstap and spans.
    pub told: ToldMetrics,
    /// Work that is told to a collector of traces.
    pub spans: Spans,
    /// Names of AWS that are answered by upstreams.
    pub coverage: Arc<Coverage>,
    leaks: coverage::LeakMetrics,
}

/// The registry refused a metric, or could not print. Both are mistakes of ours.
#[derive(Debug, thiserror::Error)]
#[error("the metrics registry refused")]
pub struct MetricsError(#[from] prometheus::Error);

// === impl Metrics ===

impl Metrics {
    /// Every metric, at 0, with the process's own (memory, descriptors, CPU, start time).
    pub fn new() -> Result<Metrics, MetricsError> {
        let registry = Registry::new();
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process))?;
        let build = register!(registry, IntGaugeVec, "hubdns_build_info", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let told = ToldMetrics::new(&registry)?;
        let spans = Spans::new(told.dropped(Output::Otlp, Untold::Queue).cloned());
        Ok(Metrics {
            dns: DnsMetrics::new(&registry)?,
            tls: TlsMetrics::new(&registry)?,
            forward: ForwardMetrics::new(&registry)?,
            control: ControlMetrics::new(&registry)?,
            told,
            spans,
            coverage: Arc::default(),
            leaks: coverage::LeakMetrics::new(&registry)?,
            registry,
        })
    }

    /// The text exposition format, version 0.0.4.
    pub fn render(&self) -> Result<String, MetricsError> {
        self.leaks.measure(&self.coverage);
        let mut page = Vec::with_capacity(64 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }
}

/// Makes a metric and registers it; its help is what `meanings` has of it.
macro_rules! register {
    ($registry:expr, $kind:ident, $name:literal) => {{
        let metric = prometheus::$kind::with_opts($crate::telemetry::meanings::opts($name))?;
        $registry.register(Box::new(metric.clone()))?;
        metric
    }};
    ($registry:expr, $kind:ident, $name:literal, $labels:expr) => {{
        let opts = $crate::telemetry::meanings::opts($name);
        let metric = prometheus::$kind::new(opts, $labels)?;
        $registry.register(Box::new(metric.clone()))?;
        metric
    }};
    ($registry:expr, HistogramVec, $name:literal, $buckets:expr, $labels:expr) => {{
        let opts = prometheus::HistogramOpts::from($crate::telemetry::meanings::opts($name));
        let metric = prometheus::HistogramVec::new(opts.buckets($buckets), $labels)?;
        $registry.register(Box::new(metric.clone()))?;
        metric
    }};
}
use register;

/// A closed list of label values: an enum whose variants each have one word.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The label's word, the same in the log and in `explain`.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }
    };
}
use label;

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{AnswerSource, Metrics, Proto, Tally};
    use crate::base::{Rcode, RecordType, ServiceName};

    #[test]
    fn every_counter_exists_at_zero() {
        let metrics = Metrics::new().unwrap();
        metrics.dns.view("default");
        let page = metrics.render().unwrap();
        let zero = |line: &str| assert!(page.contains(&format!("{line} 0\n")), "{line}\n{page}");
        zero(r#"hubdns_dns_requests_total{family="1",proto="udp",type="A",view="default"}"#);
        zero(r#"hubdns_dns_requests_total{family="2",proto="tcp",type="other",view="default"}"#);
        zero(r#"hubdns_dns_responses_total{rcode="SERVFAIL",source="upstream",view="default"}"#);
        zero(r#"hubdns_dns_dropped_total{reason="short"}"#);
        zero(r#"hubdns_tls_handshakes_total{outcome="refused",service="https"}"#);
        zero(r#"hubdns_tls_certificate_renewals_total{outcome="done",service="tls"}"#);
        zero(r#"hubdns_https_responses_total{status="415"}"#);
        zero(r#"hubdns_cache_requests_total{result="hit"}"#);
        zero(r#"hubdns_refresh_rounds_total{outcome="published"}"#);
        zero(r#"hubdns_state_file_errors_total{operation="write"}"#);
        zero(r#"hubdns_health_probes_total{result="unanswered"}"#);
        zero(r#"hubdns_health_changes_total{state="down"}"#);
        zero(r#"hubdns_coverage_leaks_total{aws_service="sqs"}"#);
        zero(r#"hubdns_query_log_dropped_total{output="dnstap",reason="queue"}"#);
    }

    #[test]
    fn what_is_counted_shows() {
        let metrics = Metrics::new().unwrap();
        let views = Arc::from([Arc::new(metrics.dns.view("v"))]);
        let mut tally = Tally::new(views, &metrics);
        tally.asked(0, Proto::Tcp, true, RecordType(4242));
        tally.told(0, Rcode::NXDOMAIN, AnswerSource::Cache);
        tally.told(0, Rcode::NXDOMAIN, AnswerSource::Cache);
        // More than a thread has room for: none is lost, whichever takes whose place.
        let services: Vec<ServiceName> = (0..50).map(|it| format!("s{it}").into()).collect();
        for service in services.iter().chain(&services) {
            tally.answered_for(service);
        }
        drop(tally);
        metrics.dns.view("v").told(Rcode(4095), AnswerSource::Upstream);
        let page = metrics.render().unwrap();
        for service in &services {
            let line =
                format!("hubdns_service_answers_total{{aws_service=\"{}\"}} 2\n", service.as_str());
            assert!(page.contains(&line), "{line}\n{page}");
        }
        for line in [
            r#"hubdns_dns_requests_total{family="2",proto="tcp",type="other",view="v"} 1"#,
            r#"hubdns_dns_responses_total{rcode="NXDOMAIN",source="cache",view="v"} 2"#,
            r#"hubdns_dns_responses_total{rcode="other",source="upstream",view="v"} 1"#,
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }

    #[test]
    fn what_a_reload_removed_has_no_series_and_may_come_back_at_zero() {
        let metrics = Metrics::new().unwrap();
        let upstream = "192.0.2.53:53";
        let make = || {
            metrics.forward.upstream(&upstream).up.set(0);
            let interval = Duration::from_secs(30);
            metrics.control.source("gone", interval, &["DescribeVpcEndpoints"], &["timeout"]);
            metrics.dns.view("gone").told(Rcode::NOERROR, AnswerSource::Table);
        };
        let lines = || {
            let page = metrics.render().unwrap();
            page.lines().filter(|it| it.contains("gone") || it.contains("192.0.2.53")).count()
        };
        make();
        let before = lines();
        assert!(0 < before);
        metrics.forward.forget_upstream(&upstream);
        metrics.control.forget_source("gone", &["DescribeVpcEndpoints"], &["timeout"]);
        metrics.dns.forget_view("gone");
        assert_eq!(lines(), 0);
        make();
        assert_eq!(lines(), before);
    }
}
