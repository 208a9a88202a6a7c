//! One TLS handshake with an endpoint: which names its certificate covers.
//!
//! For a person who gives an endpoint a name of their own, and never part of a probe. Who signed
//! the certificate is not asked: EC2 has told whose the address is, and the question is whether
//! clients that check the name will take it. Nothing is sent behind the handshake.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use x509_cert::{
    Certificate,
    der::{self, Decode},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// For the connection, and again for the handshake: a client gives up at about as much.
const STEP_WITHIN: Duration = Duration::from_secs(3);

/// What a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The DNS names in it, as they stand there: `example.com` or `*.example.com`.
    pub names: Vec<String>,
}

/// Why it is not known which names an endpoint's certificate covers.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// No connection came about.
    #[error("it takes no connection")]
    Connect(#[source] io::Error),
    /// What took the connection does not speak TLS, or not with us.
    #[error("no TLS handshake comes about")]
    Handshake(#[source] io::Error),
    /// TLS has no word for such a name.
    #[error("no TLS client can ask for this name")]
    Name(#[from] InvalidDnsNameError),
    /// The certificate cannot be read.
    #[error("its certificate cannot be read")]
    Certificate(#[from] der::Error),
    /// The library refused its own settings.
    #[error("TLS cannot be set up")]
    Library(#[from] rustls::Error),
}

/// Shakes hands with `address` as a client that wants `name`.
pub async fn covered(address: SocketAddr, name: &str) -> Result<Covered, HandshakeError> {
    let name = ServerName::try_from(name.to_owned())?;
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    let stream = within(TcpStream::connect(address)).await.map_err(HandshakeError::Connect)?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = within(shaken).await.map_err(HandshakeError::Handshake)?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let names = shown.map_or(Ok(Vec::new()), |certificate| dns_names(certificate))?;
    Ok(Covered { names })
}

async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "it does not answer");
    timeout(STEP_WITHIN, step).await.map_err(silent)?
}

fn dns_names(certificate: &[u8]) -> Result<Vec<String>, der::Error> {
    let certificate = Certificate::from_der(certificate)?;
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>()?;
    let names = names.map(|(_, SubjectAltName(names))| names).unwrap_or_default();
    let dns_name = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    };
    Ok(names.into_iter().filter_map(dns_name).collect())
}

// === impl Covered ===

impl Covered {
    /// Whether a client that checks `name` takes it: a wildcard stands for one whole label, the
    /// first (RFC 9525 section 6.3).
    pub fn has(&self, name: &str) -> bool {
        let below = name.split_once('.').map(|(_, parent)| parent);
        let is_it = |known: &String| match known.strip_prefix("*.") {
            Some(parent) => below.is_some_and(|below| below.eq_ignore_ascii_case(parent)),
            None => known.eq_ignore_ascii_case(name),
        };
        self.names.iter().any(is_it)
    }
}

/// Takes any certificate whose key is in the server's hands.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

// === impl Anybody ===

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::Covered;

    #[test]
    fn a_wildcard_covers_one_label_and_not_its_parent() {
        let names = ["s3.example", "*.S3.example"].map(str::to_owned);
        let covered = Covered { names: names.to_vec() };
        for (name, expected) in [
            ("s3.example", true),
            ("S3.Example", true),
            ("bucket.s3.example", true),
            ("dotted.bucket.s3.example", false),
            ("example", false),
            ("xs3.example", false),
        ] {
            assert_eq!(covered.has(name), expected, "{name}");
        }
    }
}
