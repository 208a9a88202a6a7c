//! The common response, read without looking for anything else: addresses of the name itself, and
//! at most an OPT that has no options.
//!
//! Whatever is not exactly that is left to the general way, which tells the same of this one too.

use super::{Relay, TTL_MAX_SECS};
use crate::{
    base::{Rcode, RecordType, Ttl},
    wire::{HEADER_LEN, QUESTION_POINTER, put_u32, question::Question, u16_at, u32_at},
};

/// Octets of a record whose owner is a pointer, before its data.
const HEAD_LEN: usize = 12;
/// Where the TTL stands in it.
const TTL_AT: usize = 6;

/// The response, if it is such a one.
pub(super) fn read(question: &Question, message: &[u8]) -> Option<Relay> {
    let data_len = match question.rtype {
        RecordType::A => 4u16,
        RecordType::AAAA => 16,
        _ => return None,
    };
    let (header, rest) = message.split_at_checked(HEADER_LEN)?;
    let flags = u16_at(header, 2)?;
    let questions = u16_at(header, 4)?;
    let [answers, authority, additional] =
        [u16_at(header, 6)?, u16_at(header, 8)?, u16_at(header, 10)?];
    let is_common = flags & 0xF == 0 && questions == 1 && 0 < answers && authority == 0;
    let name = question.name.as_wire();
    let (asked, rest) = rest.split_at_checked(name.len().checked_add(4)?)?;
    let (asked_name, asked_type) = asked.split_at_checked(name.len())?;
    // The root is shorter than a pointer to it.
    let is_asked = !question.name.is_root()
        && asked_name.eq_ignore_ascii_case(name)
        && u16_at(asked_type, 0) == Some(question.rtype.0)
        && u16_at(asked_type, 2) == Some(1);
    let record_len = HEAD_LEN.checked_add(data_len.into())?;
    let (records, rest) = rest.split_at_checked(record_len.checked_mul(answers.into())?)?;
    let ends_there = match additional {
        0 => rest.is_empty(),
        1 => matches!(rest, [0, 0, 41, _, _, 0, _, _, _, 0, 0]),
        _ => false,
    };
    if !is_common || !is_asked || !ends_there {
        return None;
    }
    let body_at = HEADER_LEN.checked_add(asked.len())?;
    let mut records = records.to_vec();
    let mut ttl_places = Vec::with_capacity(answers.into());
    let mut lifetime = TTL_MAX_SECS;
    let mut ttl_at = body_at.checked_add(TTL_AT)?;
    for record in records.chunks_exact_mut(record_len) {
        let is_address = u16_at(record, 0) == Some(QUESTION_POINTER)
            && u16_at(record, 2) == Some(question.rtype.0)
            && u16_at(record, 4) == Some(1)
            && u16_at(record, 10) == Some(data_len);
        if !is_address {
            return None;
        }
        let secs = Ttl::from_wire(u32_at(record, TTL_AT)?).as_secs().min(TTL_MAX_SECS);
        put_u32(record, TTL_AT, secs);
        ttl_places.push(u16::try_from(ttl_at).ok()?);
        ttl_at = ttl_at.checked_add(record_len)?;
        lifetime = lifetime.min(secs);
    }
    Some(Relay {
        validated: flags & 0x0020 != 0,
        records: records.into(),
        body_at,
        counts: [answers, 0, 0],
        ttl_places: ttl_places.into(),
        lifetime: Ttl::from_wire(lifetime),
        positive: true,
        ..Relay::bare(Rcode::NOERROR)
    })
}
