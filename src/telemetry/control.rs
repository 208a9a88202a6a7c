//! Discovery, the table in force, the state file, reloads.

use std::{collections::BTreeMap, time::Duration};

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::{MetricsError, label, register};

label! {
    /// How a refresh round ended.
    RoundOutcome {
        /// A changed table was put in force.
        Published = "published",
        /// Nothing had changed.
        Unchanged = "unchanged",
        /// What was in force stays, for a reason that the log tells.
        Kept = "kept",
    }
}

label! {
    /// What was done with the state file.
    StateFileOperation {
        /// At start.
        Read = "read",
        /// After a good round.
        Write = "write",
        /// At start, which zones are drained.
        ReadDrains = "read_drains",
        /// After an order to drain a zone, or to put it back.
        WriteDrains = "write_drains",
    }
}

label! {
    /// What came of a probe of an address.
    ProbeResult {
        /// The connection stood.
        Answered = "answered",
        /// Refused, or silence.
        Unanswered = "unanswered",
        /// This host could not ask: no route, no descriptors, a firewall of its own.
        NotAsked = "not_asked",
    }
}

label! {
    /// What several probes in a row say of an address.
    HealthVerdict {
        /// It is given out.
        Up = "up",
        /// It is left out while others of its family are up.
        Down = "down",
    }
}

/// Metrics of the control path.
pub struct ControlMetrics {
    discovery_errors: IntCounterVec,
    discovery_age: GaugeVec,
    discovery_interval: GaugeVec,
    discovery_endpoints: IntGaugeVec,
    rounds: Vec<IntCounter>,
    state_file_errors: Vec<IntCounter>,
    probes: Vec<IntCounter>,
    health_changes: Vec<IntCounter>,
    /// Added, removed, changed.
    answer_changes: [IntCounter; 3],
    table_names: IntGaugeVec,
    table_declined: IntGaugeVec,
    table_info: IntGaugeVec,
    /// The generation of the table in force; 0 before the first.
    pub table_generation: IntGauge,
    /// Configuration reloads that took effect.
    pub reloads: IntCounter,
    /// Configuration reloads that were refused.
    pub reloads_refused: IntCounter,
    /// Addresses of endpoints that do not answer probes.
    pub unhealthy_addresses: IntGauge,
    /// Endpoints of which no address of a family answers probes: all are given out.
    pub endpoints_failing_open: IntGauge,
    /// Endpoints of which no address has ever answered a probe.
    pub endpoints_unheard: IntGauge,
    /// Addresses that went down and came back several times lately.
    pub flapping_addresses: IntGauge,
    /// Zones that a person has taken out of the answers.
    pub drained_zones: IntGauge,
    /// Addresses that are left out for it.
    pub drained_addresses: IntGauge,
    /// Endpoints whose addresses in such zones are given out, for want of others.
    pub endpoints_overruling_drain: IntGauge,
    /// Views that leave S3 to upstreams which give private addresses for it.
    pub s3_left_private: IntGauge,
    /// How long the last refresh round took.
    pub round_duration: Gauge,
}

// === impl ControlMetrics ===

impl ControlMetrics {
    #[expect(clippy::too_many_lines, reason = "one metric after the other, no logic")]
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let rounds =
            register!(registry, IntCounterVec, "hubdns_refresh_rounds_total", &["outcome"]);
        let state_file_errors =
            register!(registry, IntCounterVec, "hubdns_state_file_errors_total", &["operation"]);
        let reloads =
            register!(registry, IntCounterVec, "hubdns_config_reloads_total", &["outcome"]);
        let probes = register!(registry, IntCounterVec, "hubdns_health_probes_total", &["result"]);
        let health_changes =
            register!(registry, IntCounterVec, "hubdns_health_changes_total", &["state"]);
        let answer_changes =
            register!(registry, IntCounterVec, "hubdns_answer_changes_total", &["change"]);
        Ok(Self {
            discovery_errors: register!(
                registry,
                IntCounterVec,
                "hubdns_discovery_errors_total",
                &["source", "action", "code"]
            ),
            discovery_age: register!(
                registry,
                GaugeVec,
                "hubdns_discovery_age_seconds",
                &["source"]
            ),
            discovery_interval: register!(
                registry,
                GaugeVec,
                "hubdns_discovery_interval_seconds",
                &["source"]
            ),
            discovery_endpoints: register!(
                registry,
                IntGaugeVec,
                "hubdns_discovery_endpoints",
                &["source"]
            ),
            rounds: RoundOutcome::ALL
                .iter()
                .map(|outcome| rounds.with_label_values(&[outcome.word()]))
                .collect(),
            state_file_errors: StateFileOperation::ALL
                .iter()
                .map(|operation| state_file_errors.with_label_values(&[operation.word()]))
                .collect(),
            probes: ProbeResult::ALL
                .iter()
                .map(|result| probes.with_label_values(&[result.word()]))
                .collect(),
            health_changes: HealthVerdict::ALL
                .iter()
                .map(|verdict| health_changes.with_label_values(&[verdict.word()]))
                .collect(),
            answer_changes: ["added", "removed", "changed"]
                .map(|change| answer_changes.with_label_values(&[change])),
            table_names: register!(registry, IntGaugeVec, "hubdns_table_names", &["view"]),
            table_declined: register!(
                registry,
                IntGaugeVec,
                "hubdns_table_declined",
                &["view", "reason"]
            ),
            table_info: register!(registry, IntGaugeVec, "hubdns_table_info", &["hash"]),
            table_generation: register!(registry, IntGauge, "hubdns_table_generation"),
            reloads: reloads.with_label_values(&["done"]),
            reloads_refused: reloads.with_label_values(&["refused"]),
            unhealthy_addresses: register!(registry, IntGauge, "hubdns_unhealthy_addresses"),
            endpoints_failing_open: register!(registry, IntGauge, "hubdns_endpoints_failing_open"),
            endpoints_unheard: register!(registry, IntGauge, "hubdns_endpoints_unheard"),
            flapping_addresses: register!(registry, IntGauge, "hubdns_flapping_addresses"),
            drained_zones: register!(registry, IntGauge, "hubdns_drained_zones"),
            drained_addresses: register!(registry, IntGauge, "hubdns_drained_addresses"),
            endpoints_overruling_drain: register!(
                registry,
                IntGauge,
                "hubdns_endpoints_overruling_drain"
            ),
            s3_left_private: register!(registry, IntGauge, "hubdns_s3_left_private"),
            round_duration: register!(registry, Gauge, "hubdns_refresh_round_duration_seconds"),
        })
    }

    /// Makes the counters of a source exist at 0, for each API call and code there is; and tells how
    /// often it is looked at.
    pub fn source(&self, source: &str, interval: Duration, calls: &[&str], codes: &[&str]) {
        for call in calls {
            for code in codes {
                self.discovery_errors.with_label_values(&[source, call, code]);
            }
        }
        self.discovery_age.with_label_values(&[source]).set(-1.0);
        self.discovery_interval.with_label_values(&[source]).set(interval.as_secs_f64());
        self.discovery_endpoints.with_label_values(&[source]);
    }

    /// Ends the series of a source that a reload removed, for the API calls and codes with which
    /// they were made.
    pub fn forget_source(&self, source: &str, calls: &[&str], codes: &[&str]) {
        // What was never made needs no removal.
        for call in calls {
            for code in codes {
                let _ = self.discovery_errors.remove_label_values(&[source, call, code]);
            }
        }
        let _ = self.discovery_age.remove_label_values(&[source]);
        let _ = self.discovery_interval.remove_label_values(&[source]);
        let _ = self.discovery_endpoints.remove_label_values(&[source]);
    }

    /// Counts a failed discovery.
    pub fn discovery_failed(&self, source: &str, action: &str, code: &str) {
        self.discovery_errors.with_label_values(&[source, action, code]).inc();
    }

    /// Sets how old a source's facts are, and how many endpoints they hold.
    pub fn source_facts(&self, source: &str, age_secs: f64, endpoints: usize) {
        self.discovery_age.with_label_values(&[source]).set(age_secs);
        let endpoints = i64::try_from(endpoints).unwrap_or(i64::MAX);
        self.discovery_endpoints.with_label_values(&[source]).set(endpoints);
    }

    /// Counts a round.
    pub fn round(&self, outcome: RoundOutcome) {
        if let Some(counter) = self.rounds.get(outcome as usize) {
            counter.inc();
        }
    }

    /// Counts a state file that could not be read or written.
    pub fn state_file_failed(&self, operation: StateFileOperation) {
        if let Some(counter) = self.state_file_errors.get(operation as usize) {
            counter.inc();
        }
    }

    /// Counts a probe.
    pub fn probed(&self, result: ProbeResult) {
        if let Some(counter) = self.probes.get(result as usize) {
            counter.inc();
        }
    }

    /// Counts an address that went down or came up.
    pub fn health_changed(&self, verdict: HealthVerdict) {
        if let Some(counter) = self.health_changes.get(verdict as usize) {
            counter.inc();
        }
    }

    /// Counts what a table that takes the place of another answers otherwise.
    pub fn answers_changed(&self, added: usize, removed: usize, changed: usize) {
        for (counter, count) in self.answer_changes.iter().zip([added, removed, changed]) {
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }

    /// Forgets what was said of the table before; what follows describes the next one.
    pub fn table_starts(&self, generation: u64, hash: &str) {
        self.table_names.reset();
        self.table_declined.reset();
        self.table_info.reset();
        self.table_info.with_label_values(&[hash]).set(1);
        self.table_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    /// Says how many names one view of the new table has.
    pub fn table_view(&self, view: &str, names: usize, declined: &BTreeMap<&str, usize>) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.table_names.with_label_values(&[view]).set(count(names));
        for (reason, number) in declined {
            self.table_declined.with_label_values(&[view, reason]).set(count(*number));
        }
    }
}
