//! Where two answers differ, and which class of `docs/COMPARISON.md` that is.

use std::fmt;

use crate::{question::Question, reply::Reply};

/// The classes, as in the document; the first that holds is the difference's.
pub(crate) const CLASSES: &[Class] = &[
    Class { word: "opcode", holds: |pair| pair.ours.rcode == "NOTIMP" },
    Class { word: "version", holds: |pair| pair.ours.rcode == "BADVERS" },
    Class { word: "class", holds: |pair| pair.question.class != 1 && pair.we_refuse() },
    Class {
        word: "meta-type",
        holds: |pair| META_TYPES.contains(&pair.question.rtype) && pair.we_refuse(),
    },
    Class { word: "local-names", holds: |pair| pair.is_local_to_unbound() },
    Class { word: "any", holds: |pair| pair.question.rtype == 255 && pair.both("NOERROR") },
    Class { word: "meta-of-alias", holds: |pair| pair.is_of_an_alias_itself() },
    Class { word: "large-datagrams", holds: |pair| pair.is_large() },
];

/// Type 0, NULL's neighbours OPT, TKEY, TSIG, IXFR, AXFR, MAILB and MAILA.
const META_TYPES: &[u16] = &[0, 41, 249, 250, 251, 252, 253, 254];
const RRSIG: u16 = 46;
const NSEC: u16 = 47;
/// What we send over UDP at most.
const DATAGRAM_MAX: usize = 1_232;

/// What unbound answers by itself (RFC 6761, RFC 6303, RFC 7686).
const LOCAL_TO_UNBOUND: &[&str] =
    &["localhost", "test", "onion", "10.in-addr.arpa", "2.0.192.in-addr.arpa"];

/// A class of differences.
pub(crate) struct Class {
    pub(crate) word: &'static str,
    holds: fn(&Difference<'_>) -> bool,
}

/// A part in which two answers can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rcode,
    Truncation,
    Flags,
    Question,
    Answer,
    Authority,
    Additional,
    Edns,
}

/// Two answers to one question that differ in a part.
pub(crate) struct Difference<'r> {
    question: &'r Question,
    ours: &'r Reply,
    theirs: &'r Reply,
    part: Part,
}

/// Where the two differ. When the codes do, what else does follows from that.
pub(crate) fn differences<'r>(
    question: &'r Question,
    ours: &'r Reply,
    theirs: &'r Reply,
) -> Vec<Difference<'r>> {
    let parts = [
        (Part::Truncation, ours.truncated == theirs.truncated),
        (Part::Flags, ours.flags == theirs.flags),
        (Part::Question, ours.question_kept == theirs.question_kept),
        (Part::Answer, ours.answer == theirs.answer),
        (Part::Authority, ours.authority == theirs.authority),
        (Part::Additional, ours.additional == theirs.additional),
        (Part::Edns, ours.edns == theirs.edns && ours.dnssec_ok == theirs.dnssec_ok),
    ];
    let parts = match ours.rcode == theirs.rcode {
        true => parts.iter().filter(|(_, same)| !same).map(|(part, _)| *part).collect(),
        false => vec![Part::Rcode],
    };
    parts.into_iter().map(|part| Difference { question, ours, theirs, part }).collect()
}

// === impl Difference ===

impl Difference<'_> {
    /// Its class, if it is listed.
    pub(crate) fn class(&self) -> Option<&'static str> {
        CLASSES.iter().find(|class| (class.holds)(self)).map(|class| class.word)
    }

    fn both(&self, rcode: &str) -> bool {
        [self.ours, self.theirs].iter().all(|reply| reply.rcode == rcode)
    }

    fn we_refuse(&self) -> bool {
        self.ours.rcode == "REFUSED"
    }

    fn is_local_to_unbound(&self) -> bool {
        let name = self.question.name.to_lowercase();
        let is_below = |zone: &&str| {
            name.strip_suffix(*zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        LOCAL_TO_UNBOUND.iter().any(is_below)
    }

    /// The alias' own signature or proof, which we tell and they look for at its target.
    fn is_of_an_alias_itself(&self) -> bool {
        let has_alias = |reply: &Reply| {
            reply.answer.iter().any(|record| record.split(' ').nth(1) == Some("cname"))
        };
        matches!(self.question.rtype, RRSIG | NSEC)
            && self.ours.rcode == "NOERROR"
            && has_alias(self.theirs)
            && !has_alias(self.ours)
    }

    /// It came in a datagram larger than any of ours, and says the same as ours over TCP.
    fn is_large(&self) -> bool {
        self.part == Part::Truncation && self.ours.truncated && DATAGRAM_MAX < self.theirs.udp_len
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { question, ours, theirs, part } = self;
        writeln!(out, "{part:?}: dig {question}")?;
        writeln!(out, "    hubdns:  {ours:?}")?;
        write!(out, "    unbound: {theirs:?}")
    }
}
