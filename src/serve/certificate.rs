//! A certificate chain with its key, as the operator's files hold them.
//!
//! Reads, and says what is wrong and what to do; never guesses which of two files is the right one.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use x509_cert::{
    der::{self, Decode},
    time::Validity as Dates,
};

use super::config::TlsConfig;
use crate::telemetry::Encrypted;

/// A certificate that can be served: readable, with the key that belongs to it.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    certified: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
    validity: Validity,
}

/// When a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    begins: u64,
    ends: u64,
}

/// Why clients will not take a certificate that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It is not valid any more.
    #[error("the certificate ended at {}", instant(*.0))]
    Ended(u64),
    /// It is not valid yet.
    #[error("the certificate begins at {}", instant(*.0))]
    NotBegun(u64),
}

/// Which of the two files an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemFile {
    /// `certificate`.
    Certificate,
    /// `key`.
    Key,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The system does not let us read a file.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which of the two.
        file: PemFile,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not PEM.
    #[error("{} is not PEM", path.display())]
    NotPem {
        /// Which of the two.
        file: PemFile,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// PEM without what is needed.
    #[error("{} holds no {}", path.display(), file.what())]
    Empty {
        /// Which of the two.
        file: PemFile,
        /// The file.
        path: PathBuf,
    },
    /// What the PEM holds is no certificate.
    #[error("{} holds no X.509 certificate that can be read", path.display())]
    NotX509 {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: der::Error,
    },
    /// The two files do not belong together.
    #[error("the key in {} is not the one of the certificate in {}", key.display(), chain.display())]
    Mismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A key or certificate of a kind that we do not serve.
    #[error("the pair in {} and {} cannot be served", chain.display(), key.display())]
    Unusable {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

// === impl Certificate ===

impl Certificate {
    /// Reads the files of a service.
    pub fn read(files: &TlsConfig) -> Result<Self, CertificateError> {
        let (chain_path, key_path) = (&files.certificate, &files.key);
        let text = read(chain_path, PemFile::Certificate)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|error| bad_pem(error, chain_path, PemFile::Certificate))?;
        let Some(leaf) = chain.first() else {
            return Err(bad_pem(pem::Error::NoItemsFound, chain_path, PemFile::Certificate));
        };
        let validity = Validity::of(leaf)
            .map_err(|source| CertificateError::NotX509 { path: chain_path.clone(), source })?;
        let key = PrivateKeyDer::from_pem_slice(&read(key_path, PemFile::Key)?)
            .map_err(|error| bad_pem(error, key_path, PemFile::Key))?;
        let provider = Arc::new(ring::default_provider());
        let certified =
            CertifiedKey::from_der(chain.clone(), key, &provider).map_err(|source| {
                let (chain, key) = (chain_path.clone(), key_path.clone());
                match source {
                    rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch { chain, key },
                    source => CertificateError::Unusable { chain, key, source },
                }
            })?;
        Ok(Self { chain, certified: Arc::new(certified), provider, validity })
    }

    /// When it is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it is the very same, whose key then is the same too.
    pub(super) fn is_same(&self, other: &Certificate) -> bool {
        self.chain == other.chain
    }

    /// What connections of a service are set up with. Each has its own ticket keys, so that nobody
    /// resumes a session which was begun under another certificate.
    pub(super) fn server_config(&self, service: Encrypted) -> Result<ServerConfig, rustls::Error> {
        let resolver = SingleCertAndKey::from(Arc::clone(&self.certified));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            // RFC 7858 asks for 1.2 at least, RFC 8484 too by way of HTTP/2.
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.ticketer = ring::Ticketer::new()?;
        // A client that names no protocol gets DNS over TLS, or HTTP/1.1.
        let protocols: &[&[u8]] = match service {
            Encrypted::Tls => &[b"dot"],
            Encrypted::Https => &[b"h2", b"http/1.1"],
        };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

// === impl Validity ===

impl Validity {
    fn of(certificate: &[u8]) -> Result<Self, der::Error> {
        let certificate = x509_cert::Certificate::from_der(certificate)?;
        let Dates { not_before, not_after, .. } = certificate.tbs_certificate().validity();
        Ok(Self {
            begins: not_before.to_unix_duration().as_secs(),
            ends: not_after.to_unix_duration().as_secs(),
        })
    }

    /// When it ends, in seconds since 1970.
    pub fn ends(self) -> u64 {
        self.ends
    }

    /// Why clients will not take it at `now`.
    pub fn doubt(self, now_secs: u64) -> Option<Doubt> {
        match self {
            Self { ends, .. } if ends < now_secs => Some(Doubt::Ended(ends)),
            Self { begins, .. } if now_secs < begins => Some(Doubt::NotBegun(begins)),
            Self { .. } => None,
        }
    }
}

// === impl PemFile ===

impl PemFile {
    fn what(self) -> &'static str {
        match self {
            PemFile::Certificate => "certificate",
            PemFile::Key => "private key",
        }
    }
}

// === impl CertificateError ===

impl CertificateError {
    /// The file that has to be looked at first.
    pub fn file(&self) -> PemFile {
        match self {
            CertificateError::Unreadable { file, .. }
            | CertificateError::NotPem { file, .. }
            | CertificateError::Empty { file, .. } => *file,
            CertificateError::NotX509 { .. } => PemFile::Certificate,
            CertificateError::Mismatch { .. } | CertificateError::Unusable { .. } => PemFile::Key,
        }
    }

    /// What a person can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            CertificateError::Unreadable { .. } => {
                "it must exist and be readable for the user that hubdns runs as"
            }
            CertificateError::NotPem { file: PemFile::Certificate, .. }
            | CertificateError::Empty { file: PemFile::Certificate, .. }
            | CertificateError::NotX509 { .. } => {
                "write the server's own certificate first and its issuers' behind it, each between \
                 -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----"
            }
            CertificateError::NotPem { file: PemFile::Key, .. }
            | CertificateError::Empty { file: PemFile::Key, .. } => {
                "write the key unencrypted, as PKCS #8, PKCS #1 or SEC 1; `openssl pkey` converts it"
            }
            CertificateError::Mismatch { .. } => {
                "the first certificate of the chain must be the server's own; `openssl x509 -noout \
                 -pubkey` and `openssl pkey -pubout` print the two public keys"
            }
            CertificateError::Unusable { .. } => {
                "take a key of ECDSA (P-256 or P-384), RSA (2048 bits or more) or Ed25519"
            }
        }
    }
}

fn read(path: &Path, file: PemFile) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| {
        let path = path.to_owned();
        CertificateError::Unreadable { file, path, source }
    })
}

fn bad_pem(source: pem::Error, path: &Path, file: PemFile) -> CertificateError {
    let path = path.to_owned();
    match source {
        pem::Error::NoItemsFound => CertificateError::Empty { file, path },
        source => CertificateError::NotPem { file, path, source },
    }
}

fn instant(secs: u64) -> String {
    let at = i64::try_from(secs).ok().and_then(|secs| jiff::Timestamp::from_second(secs).ok());
    at.map_or_else(|| format!("{secs} s after 1970"), |at| at.to_string())
}
