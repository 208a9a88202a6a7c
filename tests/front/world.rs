//! What is behind the resolvers: hubdns, and behind it a named that has a signed root, `com` and
//! `example`, and below them zones that are signed, falsified, and not signed.

use std::net::SocketAddr;

use crate::support::{Hubdns, Named, Signing, Unbound, ZoneFile};

/// Has an A record.
pub(crate) const SIGNED: &str = "www.signed.example";
/// Has an A record, and a signature of another one.
pub(crate) const BOGUS: &str = "www.bogus.example";
/// A name of ours in a zone that is signed and does not have it.
pub(crate) const PRIVATE: &str = "queue.signed.example";

/// Addresses of a name, 16 octets each: too many for UDP. BIND takes 100 records of a type.
pub(crate) const MANY: usize = 90;

/// hubdns with what it forwards to.
pub(crate) struct World {
    pub(crate) hubdns: Hubdns,
    /// The root's key, as `TAG ALGORITHM DIGEST_TYPE DIGEST`.
    pub(crate) anchor: String,
    upstream: Upstream,
}

enum Upstream {
    Signing(Named),
    Bare(Unbound),
}

// === impl World ===

impl World {
    /// hubdns, listening besides where `listen` says, and an upstream that knows DNSSEC.
    pub(crate) fn signed(listen: &str) -> Self {
        let upstream = Named::start(&zones());
        let hubdns = hubdns(listen, &upstream.address().to_string());
        let anchor = upstream.anchor().to_owned();
        Self { hubdns, anchor, upstream: Upstream::Signing(upstream) }
    }

    /// Where the upstream is, for those who ask it as well.
    pub(crate) fn upstream(&self) -> SocketAddr {
        match &self.upstream {
            Upstream::Signing(named) => named.address(),
            Upstream::Bare(unbound) => unbound.address(),
        }
    }

    /// An upstream that has no signatures to pass on. The root's key is any.
    pub(crate) fn bare() -> Self {
        let upstream = Unbound::start();
        let hubdns = hubdns("", &upstream.address().to_string());
        let anchor = format!("4711 13 2 {}", "5A".repeat(32));
        Self { hubdns, anchor, upstream: Upstream::Bare(upstream) }
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

/// As in the real world, the proof that `amazonaws.com` is not signed is an opt-out NSEC3 of `com`.
fn zones() -> Vec<ZoneFile> {
    let big =
        |letter: &str| format!("big 120 TXT{}\n", format!(" {}", letter.repeat(200)).repeat(12));
    let many = (1..=MANY).map(|host| format!("many 120 A 192.0.2.{host}\n"));
    let corp = format!(
        "www 120 A 192.0.2.80\nwww 120 AAAA 2001:db8::80\nqueue 120 CNAME chain\n\
         chain 120 CNAME sqs.eu-west-1.amazonaws.com.\n{}{}",
        big("c"),
        many.collect::<String>(),
    );
    let aws = "sqs.eu-west-1 60 A 198.51.100.1\nsqs.eu-west-1 60 AAAA 2001:db8:aaaa::1\n";
    let children = ["signed", "bogus", "corp"].map(|it| format!("{it} NS ns.invalid.\n")).concat();
    let falsified = Signing::Falsified("192.0.2.66", "192.0.2.67");
    vec![
        ZoneFile::plain("corp.example", corp),
        ZoneFile::plain("amazonaws.com", aws),
        ZoneFile::signed(
            "signed.example",
            format!("www 120 A 192.0.2.70\nold 120 DNAME signed.example.\n{}", big("s")),
        ),
        ZoneFile {
            signing: falsified,
            ..ZoneFile::plain("bogus.example", "www 120 A 192.0.2.66\n")
        },
        ZoneFile::signed("example", children),
        ZoneFile {
            signing: Signing::OptOut,
            ..ZoneFile::plain("com", "amazonaws NS ns.invalid.\n")
        },
        ZoneFile::signed(
            ".",
            "com NS ns.invalid.\nexample NS ns.invalid.\nns.invalid. A 127.0.0.1\n",
        ),
    ]
}
