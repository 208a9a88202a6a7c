//! Certificates made by the real openssl, and what it says of a server's.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::process::run_with_input;

/// A certificate signed by itself, with its key, as two files that a daemon is configured with.
pub struct Pair {
    dir: TempDir,
}

/// The kind of a key, as `openssl req -newkey` is told it.
pub const ECDSA: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
/// Likewise.
pub const RSA: &[&str] = &["rsa:2048"];

// === impl Pair ===

impl Pair {
    /// A pair for this common name, 127.0.0.1 and `hub.test`, of ECDSA.
    pub fn new(common_name: &str) -> Self {
        Self::of(common_name, ECDSA)
    }

    /// The same with a key of another kind.
    pub fn of(common_name: &str, key: &[&str]) -> Self {
        let pair = Self::request(common_name, key);
        pair.sign("30");
        pair
    }

    /// A pair whose time ends in ten days.
    pub fn ending(common_name: &str) -> Self {
        let pair = Self::request(common_name, ECDSA);
        pair.sign("10");
        pair
    }

    /// A pair whose time has ended.
    pub fn ended(common_name: &str) -> Self {
        let pair = Self::request(common_name, ECDSA);
        pair.sign("-1");
        pair
    }

    /// A key, and a request for its certificate.
    fn request(common_name: &str, key: &[&str]) -> Self {
        let pair = Self { dir: TempDir::new().expect("a temporary folder") };
        let mut request = Command::new("openssl");
        request.args(["req", "-new", "-nodes", "-newkey"]).args(key);
        request.args(["-subj", &format!("/CN={common_name}"), "-keyout"]).arg(pair.key());
        succeed(request.arg("-out").arg(pair.dir.path().join("request.pem")));
        pair
    }

    /// Answers the request by its own key.
    fn sign(&self, days: &str) {
        let extensions = self.dir.path().join("extensions");
        fs::write(&extensions, "subjectAltName=IP:127.0.0.1,DNS:hub.test\n").expect("a file");
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", days, "-extfile"]).arg(extensions);
        sign.arg("-in").arg(self.dir.path().join("request.pem")).arg("-key").arg(self.key());
        succeed(sign.arg("-out").arg(self.certificate()));
    }

    /// The certificate's file.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The key's file.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// `[server.tls]` or the like with this pair: `table("tls", "127.0.0.1:{tls_port}")`.
    pub fn table(&self, service: &str, listen: &str) -> String {
        let (certificate, key) = (self.certificate(), self.key());
        format!(
            "[server.{service}]\nlisten = [\"{listen}\"]\ncertificate = {certificate:?}\nkey = {key:?}\n"
        )
    }

    /// Puts another pair's files into the place of this one's, each at once.
    pub fn replace_by(&self, other: &Pair) {
        replace(&other.certificate(), &self.certificate());
        replace(&other.key(), &self.key());
    }

    /// Puts another pair's certificate alone there, whose key is another.
    pub fn replace_certificate_by(&self, other: &Pair) {
        replace(&other.certificate(), &self.certificate());
    }
}

fn succeed(command: &mut Command) {
    let made = command.output().expect("openssl is installed: run tests/setup.sh");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn replace(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).expect("a file");
    fs::rename(beside, to).expect("a file");
}

/// What `openssl s_client` prints of a server, with these arguments more.
pub fn s_client(server: SocketAddr, args: &[&str]) -> String {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &server.to_string()]).args(args);
    // Q at the start of a line ends it.
    let said = run_with_input(&mut client, b"Q\n");
    String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr)
}
