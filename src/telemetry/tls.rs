//! DNS over TLS and HTTPS: handshakes, certificates, HTTP's own answers.

use prometheus::{IntCounter, IntGaugeVec, Registry};

use super::{MetricsError, label, register};

label! {
    /// What is spoken inside of TLS.
    Encrypted {
        /// DNS over TLS (RFC 7858).
        Tls = "tls",
        /// DNS over HTTPS (RFC 8484).
        Https = "https",
    }
}

label! {
    /// What became of a TLS handshake.
    Handshake {
        /// The connection stands.
        Done = "done",
        /// The client and we did not come together, or it left.
        Failed = "failed",
        /// It took too long.
        TimedOut = "timeout",
        /// There were too many at once.
        Refused = "refused",
    }
}

label! {
    /// What became of a certificate that was found changed on disk.
    Renewal {
        /// New connections get it.
        Done = "done",
        /// It cannot be used, and the one before stays.
        Refused = "refused",
    }
}

label! {
    /// What a request of DNS over HTTPS was answered with, by its HTTP status.
    HttpStatus {
        /// A DNS message, whatever its code.
        Ok = "200",
        /// No DNS query in it.
        BadRequest = "400",
        /// Another path.
        NotFound = "404",
        /// Neither GET nor POST.
        MethodNotAllowed = "405",
        /// Its body did not come.
        RequestTimeout = "408",
        /// More than a query can be.
        ContentTooLarge = "413",
        /// A body of another type.
        UnsupportedMediaType = "415",
        /// A mistake of ours.
        InternalServerError = "500",
    }
}

/// Metrics of DNS over TLS and HTTPS.
pub struct TlsMetrics {
    handshakes: Vec<IntCounter>,
    renewals: Vec<IntCounter>,
    http: Vec<IntCounter>,
    expiry: IntGaugeVec,
}

// === impl TlsMetrics ===

impl TlsMetrics {
    pub(super) fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let handshakes = register!(
            registry,
            IntCounterVec,
            "hubdns_tls_handshakes_total",
            &["service", "outcome"]
        );
        let renewals = register!(
            registry,
            IntCounterVec,
            "hubdns_tls_certificate_renewals_total",
            &["service", "outcome"]
        );
        let http = register!(registry, IntCounterVec, "hubdns_https_responses_total", &["status"]);
        let of_each = |second: &[&str], vec: &prometheus::IntCounterVec| {
            let pairs = Encrypted::ALL.iter().flat_map(|it| second.iter().map(move |at| (it, at)));
            pairs.map(|(it, at)| vec.with_label_values(&[it.word(), at])).collect()
        };
        let outcomes: Vec<&str> = Handshake::ALL.iter().map(|it| it.word()).collect();
        let renewed: Vec<&str> = Renewal::ALL.iter().map(|it| it.word()).collect();
        Ok(Self {
            handshakes: of_each(&outcomes, &handshakes),
            renewals: of_each(&renewed, &renewals),
            http: HttpStatus::ALL.iter().map(|it| http.with_label_values(&[it.word()])).collect(),
            expiry: register!(
                registry,
                IntGaugeVec,
                "hubdns_tls_certificate_expiry_timestamp_seconds",
                &["service"]
            ),
        })
    }

    /// Counts the end of a handshake.
    pub fn handshake(&self, service: Encrypted, outcome: Handshake) {
        let at = service as usize * Handshake::ALL.len() + outcome as usize;
        if let Some(counter) = self.handshakes.get(at) {
            counter.inc();
        }
    }

    /// Counts a certificate that changed on disk.
    pub fn renewal(&self, service: Encrypted, outcome: Renewal) {
        let at = service as usize * Renewal::ALL.len() + outcome as usize;
        if let Some(counter) = self.renewals.get(at) {
            counter.inc();
        }
    }

    /// Counts an answer to a request.
    pub fn answered(&self, status: HttpStatus) {
        if let Some(counter) = self.http.get(status as usize) {
            counter.inc();
        }
    }

    /// Tells when the certificate of a service ends.
    pub fn expires(&self, service: Encrypted, at_secs: u64) {
        let at_secs = i64::try_from(at_secs).unwrap_or(i64::MAX);
        self.expiry.with_label_values(&[service.word()]).set(at_secs);
    }

    /// Ends what is told of the certificate of a service that is not served any more: at 0 it
    /// would look as if it had ended in 1970.
    pub fn forget_certificate(&self, service: Encrypted) {
        // One that is not there needs no removal.
        let _ = self.expiry.remove_label_values(&[service.word()]);
    }
}
