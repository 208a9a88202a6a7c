//! What is behind the resolvers: hubdns, and behind it a named that has a signed root, `com` and
//! `example`, and below them zones that are signed, falsified, and not signed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use crate::support::{Hubdns, Resolver, Unbound, daemon, eventually};

/// Has an A record.
pub(crate) const SIGNED: &str = "www.signed.example";
/// Has an A record, and a signature of another one.
pub(crate) const BOGUS: &str = "www.bogus.example";
/// A name of ours in a zone that is signed and does not have it.
pub(crate) const PRIVATE: &str = "queue.signed.example";

/// Addresses of a name, 16 octets each: too many for UDP. BIND takes 100 records of a type.
pub(crate) const MANY: usize = 90;

/// Seven small zones; four tests share two cores.
const ZONES_LIMIT: Duration = Duration::from_secs(20);

/// Parents come behind their children, whose keys they tell of.
const SIGNED_ZONES: &[&str] = &["signed.example", "bogus.example", "example", "com", "."];
const UNSIGNED_ZONES: &[&str] = &["corp.example", "amazonaws.com"];

/// hubdns with what it forwards to.
pub(crate) struct World {
    pub(crate) hubdns: Hubdns,
    /// The root's key, as `TAG ALGORITHM DIGEST_TYPE DIGEST`.
    pub(crate) anchor: String,
    _upstream: Upstream,
    _zones: TempDir,
}

#[expect(dead_code, reason = "it ends when it is dropped")]
enum Upstream {
    Signing(Resolver),
    Bare(Unbound),
}

// === impl World ===

impl World {
    /// hubdns as `listen` says, and an upstream that knows DNSSEC. As in the real world, the proof
    /// that `amazonaws.com` is not signed is an opt-out NSEC3 of `com`.
    pub(crate) fn signed(listen: &str) -> Self {
        let zones = TempDir::new().expect("a temporary folder");
        let anchor = write_zones(zones.path());
        let upstream = Resolver::start("upstream", |dir, port| named(zones.path(), dir, port));
        // It listens before it has read its zones.
        eventually("all zones are there", ZONES_LIMIT, || {
            let zones = [SIGNED_ZONES, UNSIGNED_ZONES].concat();
            let known = |zone: &&str| upstream.dig(&format!("{zone} SOA")).status == "NOERROR";
            zones.iter().all(known).then_some(())
        });
        let hubdns = hubdns(listen, &upstream.address().to_string());
        Self { hubdns, anchor, _upstream: Upstream::Signing(upstream), _zones: zones }
    }

    /// The same names, and an upstream that has no signatures of them to pass on.
    pub(crate) fn bare() -> Self {
        let zones = TempDir::new().expect("a temporary folder");
        let anchor = write_zones(zones.path());
        let upstream = Unbound::start();
        let hubdns = hubdns("", &upstream.address().to_string());
        Self { hubdns, anchor, _upstream: Upstream::Bare(upstream), _zones: zones }
    }
}

fn hubdns(listen: &str, upstream: &str) -> Hubdns {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/src/discover/demo");
    Hubdns::start(&format!(
        "[server]\nlisten = [\"127.0.0.1:{{dns_port}}\"{listen}]\n\
         [[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{demo}\"\n\
         [[answers.alias]]\nname = \"{PRIVATE}\"\nservice = \"sqs\"\n\
         [forward]\nupstreams = [\"{upstream}\"]\n"
    ))
}

/// The records of a zone besides SOA and NS.
fn records(zone: &str) -> String {
    let big =
        |letter: &str| format!("big 120 TXT{}\n", format!(" {}", letter.repeat(200)).repeat(12));
    match zone {
        "signed.example" => format!("www 120 A 192.0.2.70\n{}", big("s")),
        "bogus.example" => "www 120 A 192.0.2.66\n".to_owned(),
        "corp.example" => format!(
            "www 120 A 192.0.2.80\nwww 120 AAAA 2001:db8::80\n\
             queue 120 CNAME chain\nchain 120 CNAME sqs.eu-west-1.amazonaws.com.\n{}{}",
            big("c"),
            (1..=MANY).map(|host| format!("many 120 A 192.0.2.{host}\n")).collect::<String>(),
        ),
        "amazonaws.com" => "sqs.eu-west-1 60 A 198.51.100.1\n\
             sqs.eu-west-1 60 AAAA 2001:db8:aaaa::1\n"
            .to_owned(),
        "com" => "amazonaws 3600 NS ns.invalid.\n".to_owned(),
        "example" => {
            ["signed", "bogus", "corp"].map(|it| format!("{it} 3600 NS ns.invalid.\n")).concat()
        }
        _ => "com 3600 NS ns.invalid.\nexample 3600 NS ns.invalid.\n\
              ns.invalid. 3600 A 127.0.0.1\n"
            .to_owned(),
    }
}

/// Writes and signs all zones; the root's key is the anchor.
fn write_zones(dir: &Path) -> String {
    for zone in UNSIGNED_ZONES {
        fs::write(file(dir, zone), text(zone, "")).expect("a file");
    }
    let mut anchor = String::new();
    let mut delegations: Vec<(String, String)> = Vec::new();
    for zone in SIGNED_ZONES {
        let is_child = |child: &str| child.split_once('.').map_or(".", |(_, above)| above) == *zone;
        let of_children = delegations.iter().filter(|(child, _)| is_child(child));
        let more: String = of_children.map(|(_, set)| set.as_str()).collect();
        let unsigned = dir.join("unsigned");
        fs::write(&unsigned, text(zone, &more)).expect("a file");
        run(dir, "dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone]);
        let signed = file(dir, zone).display().to_string();
        let mut args = vec!["-q", "-z", "-x", "-S", "-o", zone, "-f", &signed];
        if *zone == "com" {
            args.extend(["-3", "-", "-A"]);
        }
        args.push("unsigned");
        run(dir, "dnssec-signzone", &args);
        let set = dir.join(format!("dsset-{}.", zone.trim_end_matches('.')));
        let set = fs::read_to_string(set).expect("signing tells of the key");
        anchor = digest(&set);
        delegations.push(((*zone).to_owned(), set));
    }
    let bogus = file(dir, "bogus.example");
    let signed = fs::read_to_string(&bogus).expect("it was written");
    let falsified = signed.replace("192.0.2.66", "192.0.2.67");
    assert_ne!(signed, falsified, "there is something to falsify");
    fs::write(bogus, falsified).expect("a file");
    anchor
}

fn text(zone: &str, more: &str) -> String {
    let origin = zone.trim_end_matches('.');
    format!(
        "$ORIGIN {origin}.\n@ 3600 SOA ns.invalid. host.invalid. 1 3600 600 86400 300\n\
         @ 3600 NS ns.invalid.\n{}$TTL 3600\n{more}",
        records(zone)
    )
}

fn file(dir: &Path, zone: &str) -> PathBuf {
    dir.join(format!("{}.zone", if zone == "." { "root" } else { zone }))
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

/// A named that is the authority for all of it and a resolver besides.
fn named(zones: &Path, dir: &Path, port: u16) -> Command {
    let mut config = format!(
        "options {{ directory \"{dir}\"; listen-on port {port} {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion yes;\n\
         allow-query {{ any; }}; allow-recursion {{ any; }}; dnssec-validation no; notify no;\n\
         minimal-responses yes; empty-zones-enable no; }};\ncontrols {{ }};\n",
        dir = dir.display()
    );
    for zone in SIGNED_ZONES.iter().chain(UNSIGNED_ZONES) {
        let file = file(zones, zone);
        config += &format!("zone \"{zone}\" {{ type primary; file \"{}\"; }};\n", file.display());
    }
    let path = dir.join("named.conf");
    fs::write(&path, config).expect("a file");
    let mut command = daemon("named");
    // In the foreground, its log to standard error; one thread is plenty.
    command.args(["-g", "-n", "1", "-c"]).arg(path);
    command
}
