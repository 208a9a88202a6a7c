//! Whether the host has certificate authorities.
//!
//! Asked before an AWS client is made, because the SDK panics without any, even for `http://`.
//! Looks where the SDK looks; does not check what the certificates are worth.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::error::DiscoverError;

/// The bundles of Debian, Amazon Linux and Fedora, SUSE, Alpine, and the BSDs, as openssl-probe
/// knows them.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/opt/etc/ssl/certs/ca-certificates.crt",
];
/// The folders of the same.
const FOLDERS: &[&str] = &["/etc/ssl/certs", "/etc/pki/tls/certs"];
/// How a certificate begins in a file (RFC 7468 section 5.1).
const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Fails when there is no CA certificate where the SDK will look. Blocks on disk.
pub(super) fn require_ca_certificates() -> Result<(), DiscoverError> {
    // The SDK itself reads these two, so they are settings of the host, not of ours.
    let file = env::var_os("SSL_CERT_FILE");
    let folder = env::var_os("SSL_CERT_DIR");
    let places = places(file.as_deref(), folder.as_deref());
    match places.iter().any(|place| has_certificate(place)) {
        true => Ok(()),
        false => {
            let looked: Vec<_> = places.iter().map(|place| place.to_string_lossy()).collect();
            Err(DiscoverError::NoCaCertificates { looked: looked.join(", ") })
        }
    }
}

/// Where to look: what the environment says, and only else where distributions put them.
fn places(file: Option<&OsStr>, folders: Option<&OsStr>) -> Vec<PathBuf> {
    let named: Vec<PathBuf> = file
        .map(PathBuf::from)
        .into_iter()
        .chain(folders.into_iter().flat_map(env::split_paths))
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    match named.is_empty() {
        true => BUNDLES.iter().chain(FOLDERS).map(PathBuf::from).collect(),
        false => named,
    }
}

/// Whether the file, or one directly in the folder, holds a certificate.
fn has_certificate(place: &Path) -> bool {
    match fs::read_dir(place) {
        Ok(entries) => entries
            .filter_map(Result::ok)
            .any(|entry| entry.path().is_file() && holds_mark(&entry.path())),
        Err(_) => holds_mark(place),
    }
}

fn holds_mark(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(MARK.len()).any(|window| window == MARK))
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, path::PathBuf};

    use super::{BUNDLES, FOLDERS, has_certificate, places};

    #[test]
    fn the_environment_comes_before_the_usual_places() {
        let one = Some(OsStr::new("/a/file"));
        let two = Some(OsStr::new("/b:/c"));
        assert_eq!(places(one, None), [PathBuf::from("/a/file")]);
        assert_eq!(places(one, two).len(), 3);
        assert_eq!(places(None, None).len(), BUNDLES.len() + FOLDERS.len());
    }

    #[test]
    fn an_empty_bundle_is_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        assert!(!has_certificate(&file));
        assert!(!has_certificate(folder.path()));
        fs::write(&file, "").unwrap();
        assert!(!has_certificate(&file));
        fs::write(&file, "# a\n-----BEGIN CERTIFICATE-----\nMII\n").unwrap();
        assert!(has_certificate(&file));
        assert!(has_certificate(folder.path()));
    }
}
