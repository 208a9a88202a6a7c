//! How long a reply of ours may be kept, by its own words.
//!
//! For HTTP, whose caches look at no DNS message. Reads only what `Reply` wrote, and is total on
//! anything else.

use std::time::Duration;

use super::{
    HEADER_LEN,
    query::{QUESTION_TAIL_LEN, split_record},
    skip_name, u16_at, u32_at,
};
use crate::base::{Rcode, RecordType};

/// The five numbers at the end of an SOA's data; MINIMUM is the last (RFC 1035 section 3.3.13).
const MINIMUM_LEN: usize = 4;

/// How long a reply may be kept: by the smallest TTL of its answer section (RFC 8484 section 5.1),
/// and by its SOA where it tells an absence (RFC 2308 section 5). `None` for one that may not be
/// kept: an error, an absence without an SOA, or what is no message at all.
pub fn freshness(reply: &[u8]) -> Option<Duration> {
    let flags = u16_at(reply, 2)?;
    let rcode = Rcode(flags & 0xF);
    let truncated = flags & 0x0200 != 0;
    if truncated || ![Rcode::NOERROR, Rcode::NXDOMAIN].contains(&rcode) {
        return None;
    }
    let mut rest = reply.get(HEADER_LEN..)?;
    for _ in 0..u16_at(reply, 4)? {
        rest = rest.get(skip_name(rest)?.checked_add(QUESTION_TAIL_LEN)?..)?;
    }
    let mut least: Option<u32> = None;
    let mut keep = |secs: u32| least = Some(least.map_or(secs, |least| least.min(secs)));
    for _ in 0..u16_at(reply, 6)? {
        let record = split_record(rest)?;
        keep(u32::from_be_bytes(record.ttl));
        rest = record.rest;
    }
    for _ in 0..u16_at(reply, 8)? {
        let record = split_record(rest)?;
        if record.rtype == RecordType::SOA.0 {
            keep(u32::from_be_bytes(record.ttl));
            keep(u32_at(record.data, record.data.len().checked_sub(MINIMUM_LEN)?)?);
        }
        rest = record.rest;
    }
    least.map(|secs| Duration::from_secs(secs.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::freshness;

    const A: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x00\x00\x01";
    const BRIEF: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x02";
    const SOA: &[u8] = b"\x00\x00\x06\x00\x01\x00\x00\x01\x2c\x00\x16\x00\x00\
        \x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x1e";
    const NS: &[u8] = b"\x00\x00\x02\x00\x01\x00\x00\x00\x01\x00\x01\x00";

    fn secs(flags: u16, answer: &[&[u8]], authority: &[&[u8]]) -> Option<u64> {
        let counts = [1, answer.len(), authority.len(), 0].map(|n| u16::try_from(n).unwrap());
        let mut message = vec![0, 0];
        message.extend(flags.to_be_bytes());
        message.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        message.extend(b"\x01a\x00\x00\x01\x00\x01");
        message.extend([answer.concat(), authority.concat()].concat());
        freshness(&message).map(|fresh| fresh.as_secs())
    }

    #[test]
    fn an_answer_is_fresh_as_long_as_its_shortest_record() {
        assert_eq!(secs(0x8180, &[A], &[]), Some(60));
        assert_eq!(secs(0x8180, &[A, BRIEF], &[]), Some(5));
        // RFC 8484 section 5.1 speaks of the answer section.
        assert_eq!(secs(0x8180, &[A], &[NS]), Some(60));
    }

    #[test]
    fn an_absence_is_fresh_as_long_as_its_soa_says() {
        assert_eq!(secs(0x8183, &[], &[SOA]), Some(30), "MINIMUM is below the TTL");
        assert_eq!(secs(0x8180, &[], &[NS, SOA]), Some(30));
        assert_eq!(secs(0x8183, &[BRIEF], &[SOA]), Some(5), "the alias before it counts too");
    }

    #[test]
    fn what_is_no_answer_is_not_kept() {
        assert_eq!(secs(0x8182, &[A], &[]), None, "SERVFAIL");
        assert_eq!(secs(0x8185, &[], &[SOA]), None, "REFUSED");
        assert_eq!(secs(0x8380, &[], &[]), None, "truncated");
        assert_eq!(secs(0x8183, &[], &[NS]), None, "an absence without an SOA");
        assert_eq!(secs(0x8180, &[&A[..9]], &[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_freshness_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            freshness(&bytes);
        }
    }
}
