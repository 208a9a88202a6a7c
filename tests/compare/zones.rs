//! The upstream's zones: something of everything that a forwarder meets.

use std::fmt::Write as _;

use crate::support::ZoneFile;

/// `host0` and on, each with addresses of both families.
pub(crate) const HOSTS: usize = 300;
/// `chain1` to `chain10`: so many aliases before an address.
pub(crate) const CHAINS: usize = 10;
/// TXT sets of these many octets: what fits and what does not, on either side of each limit.
pub(crate) const SIZES: [usize; 9] = [200, 420, 470, 700, 900, 1_100, 1_180, 1_300, 4_000];

/// Names by what is special of them, beside `host`, `chain` and `size`.
pub(crate) const SPECIAL: &[&str] = &[
    "compare.example",
    "mail.compare.example",
    "service.compare.example",
    "policy.compare.example",
    "web.compare.example",
    "odd.compare.example",
    "pool.compare.example",
    "a.b.entry.compare.example",
    "b.entry.compare.example",
    "entry.compare.example",
    "wild.compare.example",
    "x.wild.compare.example",
    "y.z.wild.compare.example",
    "fixed.wild.compare.example",
    "alias.compare.example",
    "dangling.compare.example",
    "outside.compare.example",
    "towild.compare.example",
    "round.compare.example",
    "moved.compare.example",
    "host1.moved.compare.example",
    "none.moved.compare.example",
    "kid.compare.example",
    "www.kid.compare.example",
    "none.kid.compare.example",
    "plain.compare.example",
    "www.plain.compare.example",
    "deep.er.plain.compare.example",
    "example",
    ".",
    "other.example",
    "www.other.example",
    "_sip._tcp.service.compare.example",
    "xn--nxasmq6b.compare.example",
    "nothing.invalid.top",
    // RFC 6761 and RFC 6303 have these answered by resolvers.
    "localhost",
    "www.test",
    "www.onion",
    "1.2.0.192.in-addr.arpa",
    "1.0.0.10.in-addr.arpa",
    "resolver.arpa",
    "ipv4only.arpa",
];

/// Children before parents.
pub(crate) fn zones() -> Vec<ZoneFile> {
    let arpa = "1.2.0.192.in-addr PTR host1.compare.example.\n\
                1.0.0.10.in-addr PTR host2.compare.example.\nipv4only A 192.0.0.170\n";
    vec![
        ZoneFile::signed(
            "kid.compare.example",
            "www 300 A 192.0.2.77\nwww 300 AAAA 2001:db8::77\n",
        ),
        ZoneFile::plain("plain.compare.example", "www 300 A 192.0.2.78\ndeep.er 300 TXT \"x\"\n"),
        ZoneFile::signed("compare.example", compare()),
        ZoneFile::plain(
            "other.example",
            "www 300 A 192.0.2.79\nback 300 CNAME host1.compare.example.\n",
        ),
        ZoneFile::signed("example", "compare NS ns.invalid.\nother NS ns.invalid.\n"),
        ZoneFile::plain("arpa", arpa),
        ZoneFile::signed(
            ".",
            "example NS ns.invalid.\narpa NS ns.invalid.\nns.invalid. A 127.0.0.1\n\
             www.test. 300 A 192.0.2.90\nlocalhost. 300 A 192.0.2.91\nwww.onion. 300 A 192.0.2.92\n",
        ),
    ]
}

fn compare() -> String {
    let mut text = String::from(
        "@ 300 A 192.0.2.1\n@ 300 MX 10 mail\n@ 300 CAA 0 issue \"ca.example\"\n\
         mail 300 A 192.0.2.25\nmail 300 MX 10 mail\nmail 300 TXT \"v=spf1 -all\"\n\
         service 300 SRV 0 5 5060 host1\n_sip._tcp.service 300 SRV 0 5 5060 host2\n\
         service 300 NAPTR 10 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .\n\
         policy 300 CAA 0 issue \";\"\npolicy 300 TLSA 3 1 1 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF\n\
         web 300 HTTPS 1 . alpn=\"h2\" ipv4hint=192.0.2.3\nweb 300 SVCB 1 host3 port=8443\nweb 300 A 192.0.2.3\n\
         odd 300 TYPE65534 \\# 4 DEADBEEF\nodd 300 TYPE65280 \\# 0\nodd 300 HINFO \"a\" \"b\"\nodd 300 LOC 52 0 0 N 4 0 0 E 0m\n\
         a.b.entry 300 A 192.0.2.4\n*.wild 300 A 192.0.2.5\n*.wild 300 TXT \"wild\"\nfixed.wild 300 AAAA 2001:db8::5\n\
         alias 300 CNAME host1\ndangling 300 CNAME nowhere\noutside 300 CNAME www.other.example.\n\
         towild 300 CNAME q.wild\nround 300 CNAME round2\nround2 300 CNAME round\n\
         moved 300 DNAME compare.example.\nkid NS ns.invalid.\nplain NS ns.invalid.\n\
         xn--nxasmq6b 300 A 192.0.2.6\n",
    );
    for host in 0..HOSTS {
        let (high, low) = (host / 250, host % 250);
        writeln!(text, "host{host} 300 A 198.18.{high}.{low}").expect("a String takes all");
        writeln!(text, "host{host} 300 AAAA 2001:db8:1::{host:x}").expect("a String takes all");
    }
    for step in 1..=CHAINS {
        let target = if step == 1 { "host1".to_owned() } else { format!("chain{}", step - 1) };
        writeln!(text, "chain{step} 300 CNAME {target}").expect("a String takes all");
    }
    for address in 0..90 {
        writeln!(text, "pool 300 A 198.19.0.{address}").expect("a String takes all");
    }
    for size in SIZES {
        let mut left = size;
        while 0 < left {
            let octets = left.min(200);
            writeln!(text, "size{size} 300 TXT \"{left:0octets$}\"").expect("a String takes all");
            left -= octets;
        }
    }
    text
}
