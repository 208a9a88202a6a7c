//! A real named as the upstream: the authority for zones that the test writes, signed where it
//! says so, and a resolver besides. It asks nobody else.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    dig::DigAnswer,
    process::eventually,
    resolver::{Resolver, daemon},
};

/// A dozen zones; four tests share two cores.
const ZONES_LIMIT: Duration = Duration::from_secs(20);

/// A zone as the test writes it. SOA and NS are added, and the DS of its children.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    /// `corp.example`, or `.`.
    pub origin: &'static str,
    /// In master-file form.
    pub records: String,
    /// Whether there are signatures in it.
    pub signing: Signing,
}

/// How a zone is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signing {
    /// Not at all.
    None,
    /// With NSEC.
    Nsec,
    /// With NSEC3 that tells nothing of children that are not signed, as in `com`.
    OptOut,
    /// With NSEC; then one text is replaced by another, so that a signature is wrong.
    Falsified(&'static str, &'static str),
}

/// A running named. It ends with this value.
pub struct Named {
    resolver: Resolver,
    anchor: String,
    _zones: TempDir,
}

// === impl Named ===

impl Named {
    /// Starts one with these zones. Children stand before their parents, who tell of their keys.
    #[track_caller]
    pub fn start(zones: &[ZoneFile]) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let anchor = write_zones(dir.path(), zones);
        let resolver =
            Resolver::start("named", |own, port| configured(zones, dir.path(), own, port));
        // It listens before it has read its zones.
        let known = |zone: &ZoneFile| {
            resolver.dig(&format!("{} SOA +norecurse", zone.origin)).status == "NOERROR"
        };
        eventually("all zones are there", ZONES_LIMIT, || zones.iter().all(known).then_some(()));
        Self { resolver, anchor, _zones: dir }
    }

    /// For `upstreams = ["..."]`.
    pub fn address(&self) -> SocketAddr {
        self.resolver.address()
    }

    /// The key of the last zone, as `TAG ALGORITHM DIGEST_TYPE DIGEST`.
    pub fn anchor(&self) -> &str {
        &self.anchor
    }

    /// Asks it.
    #[track_caller]
    pub fn dig(&self, args: &str) -> DigAnswer {
        self.resolver.dig(args)
    }
}

/// Writes and signs the zones. The last one's key is returned.
pub fn write_zones(dir: &Path, zones: &[ZoneFile]) -> String {
    let mut anchor = String::new();
    let mut keys: Vec<(&str, String)> = Vec::new();
    for zone in zones {
        let of_children = keys.iter().filter(|(child, _)| parent(child, zones) == zone.origin);
        let children: String = of_children.map(|(_, set)| set.as_str()).collect();
        let file = file(dir, zone.origin);
        fs::write(&file, zone.text(&children)).expect("a file");
        if zone.signing == Signing::None {
            continue;
        }
        run(dir, "dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone.origin]);
        let path = file.display().to_string();
        let mut args = vec!["-q", "-z", "-x", "-S", "-o", zone.origin, "-f", &path];
        if zone.signing == Signing::OptOut {
            args.extend(["-3", "-", "-A"]);
        }
        args.push(&path);
        run(dir, "dnssec-signzone", &args);
        if let Signing::Falsified(from, to) = zone.signing {
            let signed = fs::read_to_string(&file).expect("it was written");
            assert!(signed.contains(from), "there is something to falsify");
            fs::write(&file, signed.replace(from, to)).expect("a file");
        }
        let set = dir.join(format!("dsset-{}.", zone.origin.trim_end_matches('.')));
        let set = fs::read_to_string(set).expect("signing tells of the key");
        anchor = digest(&set);
        keys.push((zone.origin, set));
    }
    anchor
}

/// The closest of the zones above this one.
fn parent<'z>(child: &str, zones: &'z [ZoneFile]) -> &'z str {
    let above = zones.iter().map(|zone| zone.origin).filter(|origin| {
        *origin == "." || child.strip_suffix(origin).is_some_and(|rest| rest.ends_with('.'))
    });
    above.max_by_key(|origin| origin.len()).unwrap_or(".")
}

fn file(dir: &Path, origin: &str) -> PathBuf {
    dir.join(format!("{}.zone", if origin == "." { "root" } else { origin }))
}

/// `. IN DS 753 13 2 3135 89F9` as `753 13 2 313589F9`.
fn digest(set: &str) -> String {
    let (_, data) = set.split_once(" DS ").expect("a DS record");
    let words: Vec<&str> = data.split_whitespace().collect();
    format!("{} {}", words[..3].join(" "), words[3..].concat())
}

fn run(dir: &Path, program: &str, args: &[&str]) {
    let done = daemon(program).args(args).current_dir(dir).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}: run tests/setup.sh"));
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

fn configured(zones: &[ZoneFile], dir: &Path, own: &Path, port: u16) -> Command {
    let mut config = format!(
        "options {{ directory \"{own}\"; listen-on port {port} {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion yes;\n\
         allow-query {{ any; }}; allow-recursion {{ any; }}; dnssec-validation no; notify no;\n\
         minimal-responses yes; empty-zones-enable no; }};\ncontrols {{ }};\n",
        own = own.display()
    );
    for ZoneFile { origin, .. } in zones {
        let file = file(dir, origin).display().to_string();
        writeln!(config, "zone \"{origin}\" {{ type primary; file \"{file}\"; }};")
            .expect("a String takes all");
    }
    let path = own.join("named.conf");
    fs::write(&path, config).expect("a file");
    let mut command = daemon("named");
    // In the foreground, its log to standard error; one thread is plenty.
    command.args(["-g", "-n", "1", "-c"]).arg(path);
    command
}

// === impl ZoneFile ===

impl ZoneFile {
    /// A zone without signatures.
    pub fn plain(origin: &'static str, records: impl Into<String>) -> Self {
        Self { origin, records: records.into(), signing: Signing::None }
    }

    /// A zone with signatures.
    pub fn signed(origin: &'static str, records: impl Into<String>) -> Self {
        Self { signing: Signing::Nsec, ..Self::plain(origin, records) }
    }

    fn text(&self, children: &str) -> String {
        let (origin, records) = (self.origin.trim_end_matches('.'), &self.records);
        format!(
            "$TTL 3600\n$ORIGIN {origin}.\n@ SOA ns.invalid. host.invalid. 1 3600 600 86400 300\n\
             @ NS ns.invalid.\n{records}{children}"
        )
    }
}
