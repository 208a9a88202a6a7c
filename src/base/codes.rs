//! Numbers of the protocol with their names: record types, response codes, extended errors.

use std::{borrow::Cow, fmt, str::FromStr};

/// A record type (RFC 1035 section 3.2.2 and IANA's list). Any number is one (RFC 3597).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(pub u16);

/// A response code, with the upper bits that EDNS adds (RFC 6891 section 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

/// An extended error's number (RFC 8914 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ede(pub u16);

/// An extended error with its words for people, as one EDNS option carries it (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    /// What kind of error.
    pub code: Ede,
    /// UTF-8, for people; may be empty.
    pub text: Cow<'static, str>,
}

/// A word that names no record type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no record type; say A, AAAA, HTTPS, ... or TYPE65")]
pub struct UnknownRecordType(pub String);

/// The types with a name of their own here; all others print as `TYPE123`.
const TYPE_NAMES: &[(RecordType, &str)] = &[
    (RecordType::A, "A"),
    (RecordType::NS, "NS"),
    (RecordType::CNAME, "CNAME"),
    (RecordType::SOA, "SOA"),
    (RecordType::PTR, "PTR"),
    (RecordType(13), "HINFO"),
    (RecordType::MX, "MX"),
    (RecordType::TXT, "TXT"),
    (RecordType::AAAA, "AAAA"),
    (RecordType::SRV, "SRV"),
    (RecordType(35), "NAPTR"),
    (RecordType(39), "DNAME"),
    (RecordType::OPT, "OPT"),
    (RecordType::DS, "DS"),
    (RecordType(46), "RRSIG"),
    (RecordType(47), "NSEC"),
    (RecordType(48), "DNSKEY"),
    (RecordType(50), "NSEC3"),
    (RecordType(52), "TLSA"),
    (RecordType(64), "SVCB"),
    (RecordType::HTTPS, "HTTPS"),
    (RecordType(251), "IXFR"),
    (RecordType(252), "AXFR"),
    (RecordType::ANY, "ANY"),
    (RecordType(257), "CAA"),
];

// === impl RecordType ===

#[expect(missing_docs, reason = "each constant is the type of that name")]
impl RecordType {
    pub const A: RecordType = RecordType(1);
    pub const NS: RecordType = RecordType(2);
    pub const CNAME: RecordType = RecordType(5);
    pub const SOA: RecordType = RecordType(6);
    pub const PTR: RecordType = RecordType(12);
    pub const MX: RecordType = RecordType(15);
    pub const TXT: RecordType = RecordType(16);
    pub const AAAA: RecordType = RecordType(28);
    pub const SRV: RecordType = RecordType(33);
    pub const OPT: RecordType = RecordType(41);
    pub const DS: RecordType = RecordType(43);
    pub const HTTPS: RecordType = RecordType(65);
    pub const ANY: RecordType = RecordType(255);
}

impl RecordType {
    /// Whether this is no type of data but one of questions about a whole zone or about the
    /// transaction, which a forwarder has no part in: 128 to 254 (TKEY, TSIG, IXFR, AXFR ...), OPT,
    /// and 0, which is reserved (RFC 6895 section 3.1).
    pub const fn is_meta(self) -> bool {
        matches!(self, RecordType(0) | RecordType::OPT | RecordType(128..=254))
    }

    /// The types that have a name here.
    pub fn named() -> impl Iterator<Item = RecordType> {
        TYPE_NAMES.iter().map(|(rtype, _)| *rtype)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match TYPE_NAMES.iter().find(|(rtype, _)| rtype == self) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl FromStr for RecordType {
    type Err = UnknownRecordType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        if let Some((rtype, _)) = TYPE_NAMES.iter().find(|(_, name)| *name == upper) {
            return Ok(*rtype);
        }
        let number = upper.strip_prefix("TYPE").and_then(|number| number.parse().ok());
        number.map(RecordType).ok_or_else(|| UnknownRecordType(text.to_owned()))
    }
}

// === impl Rcode ===

#[expect(missing_docs, reason = "each constant is the code of that name")]
impl Rcode {
    pub const NOERROR: Rcode = Rcode(0);
    pub const FORMERR: Rcode = Rcode(1);
    pub const SERVFAIL: Rcode = Rcode(2);
    pub const NXDOMAIN: Rcode = Rcode(3);
    pub const NOTIMP: Rcode = Rcode(4);
    pub const REFUSED: Rcode = Rcode(5);
    pub const YXDOMAIN: Rcode = Rcode(6);
    pub const BADVERS: Rcode = Rcode(16);
    pub const BADCOOKIE: Rcode = Rcode(23);
}

impl Rcode {
    /// The codes counted and labelled by name; any other is `other`.
    pub const NAMED: [(Rcode, &'static str); 8] = [
        (Rcode::NOERROR, "NOERROR"),
        (Rcode::FORMERR, "FORMERR"),
        (Rcode::SERVFAIL, "SERVFAIL"),
        (Rcode::NXDOMAIN, "NXDOMAIN"),
        (Rcode::NOTIMP, "NOTIMP"),
        (Rcode::REFUSED, "REFUSED"),
        (Rcode::BADVERS, "BADVERS"),
        (Rcode::BADCOOKIE, "BADCOOKIE"),
    ];
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(code, _)| code == self) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("RCODE{}", self.0)),
        }
    }
}

// === impl ExtendedError ===

/// As `EDE 23: no upstream can be reached`.
impl fmt::Display for ExtendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code: Ede(code), text } = self;
        match text.is_empty() {
            true => write!(f, "EDE {code}"),
            false => write!(f, "EDE {code}: {text}"),
        }
    }
}

// === impl Ede ===

#[expect(missing_docs, reason = "each constant is the code of that name")]
impl Ede {
    pub const OTHER: Ede = Ede(0);
    pub const STALE_ANSWER: Ede = Ede(3);
    pub const PROHIBITED: Ede = Ede(18);
    pub const NO_REACHABLE_AUTHORITY: Ede = Ede(22);
    pub const NETWORK_ERROR: Ede = Ede(23);
    pub const NOT_AUTHORITATIVE: Ede = Ede(20);
    pub const NOT_SUPPORTED: Ede = Ede(21);
}

#[cfg(test)]
mod tests {
    use super::RecordType;

    #[test]
    fn types_of_questions_and_transactions_are_no_data() {
        let meta = [0, 41, 128, 249, 252, 254].map(|number| RecordType(number).is_meta());
        assert_eq!(meta, [true; 6]);
        let data = [1, 127, 255, 256, 65_535].map(|number| RecordType(number).is_meta());
        assert_eq!(data, [false; 5]);
    }

    #[test]
    fn types_read_what_they_print() {
        for number in [1, 28, 65, 255, 4242] {
            let rtype = RecordType(number);
            assert_eq!(rtype.to_string().to_lowercase().parse(), Ok(rtype));
        }
        assert!("AAAAA".parse::<RecordType>().is_err());
        assert!("TYPE70000".parse::<RecordType>().is_err());
    }
}
