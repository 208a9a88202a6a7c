//! Puts what we know of a name, or of ourselves, into a reply.

use super::decide::Told;
use crate::{
    policy::CnameClaim,
    table::Entry,
    wire::{QUESTION_POINTER, Reply},
};

/// HINFO in place of everything (RFC 8482 section 4.2): type, class IN; CPU "RFC8482", OS empty.
const ANY_HEAD: [u8; 6] = [0xC0, 0x0C, 0, 13, 0, 1];
const ANY_DATA: [u8; 11] = *b"\x00\x09\x07RFC8482\x00";

/// CNAME, class IN.
const CNAME_HEAD: [u8; 4] = [0, 5, 0, 1];
/// A pointer's two highest bits (RFC 1035 section 4.1.4).
pub(super) const POINTER: u16 = 0xC000;

/// TXT of the name asked for: type, class CH, a TTL of 0.
const TEXT_HEAD: [u8; 10] = [0xC0, 0x0C, 0, 16, 0, 3, 0, 0, 0, 0];

/// Adds what a name of ours has, told of the name that `owner` points to.
pub(super) fn write_told(
    reply: &mut Reply<'_, '_>,
    entry: &Entry,
    told: Told<'_>,
    owner: u16,
    az: Option<&str>,
    rotation: usize,
) {
    match told {
        Told::Records(records) if owner == QUESTION_POINTER => {
            reply.answer(records.count(), |out| records.write(az, rotation, out));
        }
        Told::Records(records) => {
            let owner = owner.to_be_bytes();
            reply.answer(records.count(), |out| records.write_as(&owner, az, rotation, out));
        }
        Told::Soa => reply.answer(1, |out| write_soa(entry, owner, out)),
        Told::Any => reply.answer(1, |out| {
            out.extend_from_slice(&ANY_HEAD);
            out.extend_from_slice(&entry.claim().ttl.as_secs().to_be_bytes());
            out.extend_from_slice(&ANY_DATA);
        }),
    }
}

/// Adds that a name stands for another, told of the name that `owner` points to. Tells the pointer
/// to the other one.
pub(super) fn write_cname(reply: &mut Reply<'_, '_>, cname: &CnameClaim, owner: u16) -> u16 {
    let target = cname.target.as_wire();
    let mut target_at = 0;
    reply.answer(1, |out| {
        out.extend_from_slice(&owner.to_be_bytes());
        out.extend_from_slice(&CNAME_HEAD);
        out.extend_from_slice(&cname.ttl.as_secs().to_be_bytes());
        out.extend_from_slice(&u16::try_from(target.len()).unwrap_or_default().to_be_bytes());
        target_at = u16::try_from(out.len()).unwrap_or_default();
        out.extend_from_slice(target);
    });
    // At most CNAMES_MAX of them are in one reply: 8 * (12 + 255) octets behind a question, far
    // below what a pointer reaches.
    POINTER | target_at
}

/// Adds the SOA by which an absence is kept (RFC 2308 section 3).
pub(super) fn write_absence(reply: &mut Reply<'_, '_>, entry: &Entry, owner: u16) {
    reply.authority(1, |out| write_soa(entry, owner, out));
}

/// A TXT in class CH, of one string, not to be kept: it may be another server the next time.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    let len = u8::try_from(text.len()).unwrap_or_default();
    let string = text.as_bytes().get(..usize::from(len)).unwrap_or_default();
    out.extend_from_slice(&TEXT_HEAD);
    out.extend_from_slice(&(u16::from(len) + 1).to_be_bytes());
    out.push(len);
    out.extend_from_slice(string);
}

fn write_soa(entry: &Entry, owner: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&owner.to_be_bytes());
    out.extend_from_slice(entry.soa().get(2..).unwrap_or_default());
}
