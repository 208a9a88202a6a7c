//! Whose certificates prove that an upstream is the one configured.
//!
//! There is no other way to be believed than a certificate that verifies (RFC 8310 section 5, the
//! strict profile), and no way in the clear to fall back to.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, TrustAnchor, pem, pem::PemObject},
};

use super::address::UpstreamAddress;

/// The protocol's name in the handshake (RFC 7858 section 3.2).
const ALPN: &[u8] = b"dot";

/// Why no upstream by TLS can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file is missing, cannot be read, or is no PEM.
    #[error("the certificates of {file} cannot be read")]
    File {
        /// `forward.ca_file`.
        file: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The file has no certificate, or one that is none.
    #[error("{file} has no certificate of an authority")]
    Empty {
        /// `forward.ca_file`.
        file: PathBuf,
    },
    /// The system has none.
    #[error("this system has no certificates of authorities")]
    NoSystemRoots(#[source] io::Error),
    /// The library refused its own settings.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

/// Whose certificates upstreams by TLS may have, by default nobody's. Two are equal if the same
/// authorities are believed, whatever file told them.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    authorities: Vec<TrustAnchor<'static>>,
    config: Option<Arc<ClientConfig>>,
}

fn of_file(file: &Path) -> Result<RootCertStore, TrustError> {
    let unreadable = |source| TrustError::File { file: file.to_owned(), source };
    let certificates = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) | (_, 1..) => Err(TrustError::Empty { file: file.to_owned() }),
        (_, 0) => Ok(roots),
    }
}

fn of_system() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold old ones that the library cannot read; others do.
    match roots.add_parsable_certificates(found.certs) {
        (0, _) => {
            let why = found.errors.into_iter().next().map(io::Error::other);
            let nothing = || io::Error::from(io::ErrorKind::NotFound);
            Err(TrustError::NoSystemRoots(why.unwrap_or_else(nothing)))
        }
        _ => Ok(roots),
    }
}

// === impl Trust ===

impl Trust {
    /// Reads the certificates of `ca_file`, or without one those of the system; nothing where none of
    /// the `upstreams` is asked by TLS.
    pub fn read<'u>(
        mut upstreams: impl Iterator<Item = &'u UpstreamAddress>,
        ca_file: Option<&Path>,
    ) -> Result<Trust, TrustError> {
        if !upstreams.any(UpstreamAddress::is_tls) {
            return Ok(Trust::default());
        }
        let roots = match ca_file {
            Some(file) => of_file(file)?,
            None => of_system()?,
        };
        let authorities = roots.roots.clone();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Trust { authorities, config: Some(Arc::new(config)) })
    }

    /// Of authorities with these keys, for tests: no connection comes of it.
    #[cfg(test)]
    pub(crate) fn of_keys(keys: &[u8]) -> Trust {
        let anchor = |key: &u8| TrustAnchor {
            subject: vec![*key].into(),
            subject_public_key_info: vec![*key].into(),
            name_constraints: None,
        };
        Trust { authorities: keys.iter().map(anchor).collect(), config: None }
    }

    /// Whether anybody is believed: an upstream is asked by TLS.
    pub fn is_anybody(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// The settings of connections; none where nobody is believed.
    pub(super) fn client_config(&self) -> Option<&Arc<ClientConfig>> {
        self.config.as_ref()
    }

    /// Whether everybody is believed whom `other` believes.
    pub(super) fn covers(&self, other: &Trust) -> bool {
        other.authorities.iter().all(|authority| self.authorities.contains(authority))
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_told_apart_from_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let by_tls: UpstreamAddress = "tls://192.0.2.1".parse().unwrap();
        let read = || Trust::read([&by_tls].into_iter(), Some(&file));
        assert!(matches!(read(), Err(TrustError::File { .. })));
        for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&file, text).unwrap();
            assert!(matches!(read(), Err(TrustError::Empty { .. })), "{text}");
        }
    }

    #[test]
    fn the_systems_certificates_are_found_where_they_are_needed() {
        let read = |upstream: &str| {
            let upstream: UpstreamAddress = upstream.parse().unwrap();
            Trust::read([&upstream].into_iter(), None).unwrap()
        };
        let systems = read("tls://192.0.2.1");
        assert!(systems.client_config().is_some());
        assert_eq!(systems, read("tls://192.0.2.2"));
        let nobodys = read("192.0.2.1");
        assert_eq!(nobodys, Trust::default());
        assert!(nobodys.client_config().is_none());
        assert!(systems.covers(&nobodys) && !nobodys.covers(&systems));
    }
}
