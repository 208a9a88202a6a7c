//! What new connections of an encrypted service are set up with, and its renewal from disk.
//!
//! Connections that stand keep what they began with.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::{
    certificate::{Certificate, CertificateError},
    config::{ServeConfig, TlsConfig},
};
use crate::{
    base::Chain,
    telemetry::{Encrypted, Metrics, Renewal},
};

/// What a new connection is given.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) tls: Arc<ServerConfig>,
    /// Where DNS over HTTPS takes queries.
    pub(super) path: Arc<str>,
}

/// The terms in force, read anew for each connection; none while the service is not configured.
pub(super) type TermsInForce = watch::Receiver<Option<Terms>>;

/// A pair that was read and waits to be put in force.
pub(super) struct Prepared {
    service: Encrypted,
    files: TlsConfig,
    certificate: Certificate,
    terms: Terms,
}

/// One encrypted service: its files and what of them is in force.
pub(super) struct Encryption {
    service: Encrypted,
    in_force: Option<InForce>,
    terms: watch::Sender<Option<Terms>>,
    metrics: Arc<Metrics>,
}

struct InForce {
    files: TlsConfig,
    certificate: Certificate,
    path: Arc<str>,
    trouble: Option<Trouble>,
}

/// What was wrong with the files when they were last looked at.
struct Trouble {
    why: String,
    told: bool,
}

/// What a look at the files leads to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// They are as they were, or are being written.
    Wait,
    /// They are wrong, and stayed so: to be told once.
    Tell,
}

// === impl Prepared ===

impl Prepared {
    /// Reads every pair of the configuration; those that cannot be served are told.
    pub(super) fn read_all(
        wanted: &ServeConfig,
    ) -> (Vec<Prepared>, Vec<(Encrypted, CertificateError)>) {
        let (mut prepared, mut refused) = (Vec::new(), Vec::new());
        for (service, files) in wanted.encrypted() {
            match Prepared::read(service, files, wanted.https_path().into()) {
                Ok(pair) => prepared.push(pair),
                Err(error) => refused.push((service, error)),
            }
        }
        (prepared, refused)
    }

    fn read(
        service: Encrypted,
        files: &TlsConfig,
        path: Arc<str>,
    ) -> Result<Self, CertificateError> {
        let certificate = Certificate::read(files)?;
        let tls = certificate.server_config(service).map_err(|source| {
            let (chain, key) = (files.certificate.clone(), files.key.clone());
            CertificateError::Unusable { chain, key, source }
        })?;
        let terms = Terms { tls: Arc::new(tls), path };
        Ok(Self { service, files: files.clone(), certificate, terms })
    }
}

// === impl Encryption ===

impl Encryption {
    /// A service that is not configured yet.
    pub(super) fn new(service: Encrypted, metrics: Arc<Metrics>) -> Self {
        Self { service, in_force: None, terms: watch::Sender::new(None), metrics }
    }

    /// What is in force, as it changes.
    pub(super) fn terms(&self) -> TermsInForce {
        self.terms.subscribe()
    }

    /// Puts the pair of this service in force, or ends it if there is none for it.
    pub(super) fn replace(&mut self, prepared: &mut Vec<Prepared>) {
        let at = prepared.iter().position(|it| it.service == self.service);
        match at.map(|at| prepared.swap_remove(at)) {
            Some(prepared) => self.put(prepared),
            None => {
                self.in_force = None;
                self.terms.send_replace(None);
                self.metrics.tls.forget_certificate(self.service);
            }
        }
    }

    /// Looks whether the files hold another certificate, and takes it if it can be served.
    pub(super) fn look(&mut self, now_secs: u64) {
        let Some(in_force) = &mut self.in_force else { return };
        let service = self.service.word();
        match Prepared::read(self.service, &in_force.files, Arc::clone(&in_force.path)) {
            Ok(found) if found.certificate.is_same(&in_force.certificate) => {
                in_force.trouble = None;
            }
            Ok(found) => {
                let validity = found.certificate.validity();
                self.put(found);
                self.metrics.tls.renewal(self.service, Renewal::Done);
                tracing::info!(service, "a new certificate is in force");
                if let Some(doubt) = validity.doubt(now_secs) {
                    tracing::warn!(service, %doubt, "clients will not take the new certificate");
                }
            }
            Err(error) => match in_force.doubt(Chain(&error).to_string()) {
                Look::Wait => (),
                Look::Tell => {
                    self.metrics.tls.renewal(self.service, Renewal::Refused);
                    tracing::error!(
                        service, error = %Chain(&error), help = error.help(),
                        "the new certificate cannot be used; the one in force stays"
                    );
                }
            },
        }
    }

    fn put(&mut self, prepared: Prepared) {
        let Prepared { files, certificate, terms, .. } = prepared;
        self.metrics.tls.expires(self.service, certificate.validity().ends());
        let path = Arc::clone(&terms.path);
        self.terms.send_replace(Some(terms));
        self.in_force = Some(InForce { files, certificate, path, trouble: None });
    }
}

// === impl InForce ===

impl InForce {
    /// A chain and its key are two files, and one is written before the other: what is wrong is
    /// believed when it is found so twice in a row, and then told once.
    fn doubt(&mut self, why: String) -> Look {
        match &mut self.trouble {
            Some(trouble) if trouble.why == why => {
                let told = std::mem::replace(&mut trouble.told, true);
                if told { Look::Wait } else { Look::Tell }
            }
            Some(_) | None => {
                self.trouble = Some(Trouble { why, told: false });
                Look::Wait
            }
        }
    }
}
