//! Reads a client's packet.
//!
//! One pass, no allocation: the name is lowered into a buffer in the value, its spelling stays in
//! the packet and goes back with the reply.

use crate::base::{NAME_LEN_MAX, Rcode, RecordType};

use super::{
    HEADER_LEN,
    cookie::{Cookie, OPTION_COOKIE},
    question::Asking,
    skip_name, u16_at,
};

/// What a packet is.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one packet; a box would allocate"
)]
pub enum Packet<'p> {
    /// A query that can be decided upon.
    Query(Query<'p>),
    /// A query that is answered with a code and no records.
    Reject(Reject<'p>),
    /// Less than a header. Nothing can be said to it.
    Short,
    /// A response. Answering it could start a loop, so nobody does.
    Response,
}

/// A query with one question, understood.
#[derive(Debug)]
pub struct Query<'p> {
    /// The id to send back.
    pub id: u16,
    /// RD: the client wants us to ask others.
    pub recursion_desired: bool,
    /// CD: the client validates for itself (RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
    /// AD: the client understands AD in the answer (RFC 6840 section 5.7).
    pub authentic_data: bool,
    /// The type asked for.
    pub rtype: RecordType,
    /// The class asked for; 1 is IN.
    pub class: u16,
    /// What the client's OPT says; `None` without one.
    pub edns: Option<Edns>,
    question: &'p [u8],
    name: LowerName,
}

/// A client's OPT record (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram that the client takes.
    pub udp_size: u16,
    /// DO: send DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// It asks who answers (RFC 5001).
    pub wants_nsid: bool,
    /// It asks how long an idle connection is kept (RFC 7828).
    pub wants_keepalive: bool,
    /// It asks for padding, or has some itself (RFC 7830).
    pub wants_padding: bool,
    /// Its cookie (RFC 7873).
    pub cookie: Option<Cookie>,
}

/// A query that is answered with a code, and with a cookie if it has one, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject<'p> {
    /// The id to send back.
    pub id: u16,
    /// The opcode to send back.
    pub opcode: u8,
    /// RD, to send back.
    pub recursion_desired: bool,
    /// The code: an error, or NOERROR for a query that has a cookie and no question.
    pub rcode: Rcode,
    /// The question to send back; empty where there is none that could be read.
    pub question: &'p [u8],
    /// Whether the client sent an OPT that could be read, and so gets one.
    pub edns: bool,
    /// The client's cookie.
    pub cookie: Option<Cookie>,
}

/// A name lowered in place of being allocated.
#[derive(Clone, Copy, Debug)]
struct LowerName {
    bytes: [u8; NAME_LEN_MAX],
    len: u8,
}

/// A question's fixed part: type and class.
pub(super) const QUESTION_TAIL_LEN: usize = 4;
/// A record without owner and data: type, class, TTL, length (RFC 1035 section 4.1.3).
const RECORD_FIXED_LEN: usize = 10;
/// The option by which a client asks for an NSID (RFC 5001 section 2.3).
pub(super) const OPTION_NSID: u16 = 3;
/// edns-tcp-keepalive (RFC 7828 section 3.1).
pub(super) const OPTION_KEEPALIVE: u16 = 11;
/// Padding (RFC 7830 section 3).
pub(super) const OPTION_PADDING: u16 = 12;
/// Code and length of an option (RFC 6891 section 6.1.2).
pub(super) const OPTION_HEAD_LEN: usize = 4;

// === impl Packet ===

impl<'p> Packet<'p> {
    /// Reads a packet. Octets behind the last record are not looked at.
    pub fn read(packet: &'p [u8]) -> Packet<'p> {
        let Some(flags) = u16_at(packet, 2).filter(|_| HEADER_LEN <= packet.len()) else {
            return Packet::Short;
        };
        if flags & 0x8000 != 0 {
            return Packet::Response;
        }
        let reject = |rcode, question| {
            Packet::Reject(Reject {
                id: u16_at(packet, 0).unwrap_or_default(),
                opcode: u8::try_from((flags >> 11) & 0xF).unwrap_or_default(),
                recursion_desired: flags & 0x0100 != 0,
                rcode,
                question,
                edns: false,
                cookie: None,
            })
        };
        let reject_edns = |rcode, question, cookie| match reject(rcode, question) {
            Packet::Reject(reject) => Packet::Reject(Reject { edns: true, cookie, ..reject }),
            other => other,
        };
        if flags & 0x7800 != 0 {
            return reject(Rcode::NOTIMP, &[]);
        }
        // RFC 9619: a query has one question, no more; and none only to ask for a cookie (RFC 7873
        // section 5.4).
        match u16_at(packet, 4) {
            Some(1) => (),
            Some(0) => {
                return match read_edns(packet, 0) {
                    Ok(Some(Edns { cookie: Some(cookie), .. })) => {
                        reject_edns(Rcode::NOERROR, &[], Some(cookie))
                    }
                    Ok(_) | Err(_) => reject(Rcode::FORMERR, &[]),
                };
            }
            Some(_) | None => return reject(Rcode::FORMERR, &[]),
        }
        let Some((name, question)) = read_question(packet) else {
            return reject(Rcode::FORMERR, &[]);
        };
        let edns = match read_edns(packet, question.len()) {
            Ok(edns) => edns,
            Err(EdnsFault::Malformed) => return reject(Rcode::FORMERR, question),
            Err(EdnsFault::Cookie) => return reject_edns(Rcode::FORMERR, question, None),
            Err(EdnsFault::Version(cookie)) => {
                return reject_edns(Rcode::BADVERS, question, cookie);
            }
        };
        let tail = question.len().saturating_sub(QUESTION_TAIL_LEN);
        Packet::Query(Query {
            id: u16_at(packet, 0).unwrap_or_default(),
            recursion_desired: flags & 0x0100 != 0,
            checking_disabled: flags & 0x0010 != 0,
            authentic_data: flags & 0x0020 != 0,
            rtype: RecordType(u16_at(question, tail).unwrap_or_default()),
            class: u16_at(question, tail.saturating_add(2)).unwrap_or_default(),
            edns,
            question,
            name,
        })
    }
}

// === impl Query ===

impl<'p> Query<'p> {
    /// The name asked for in wire form and lower case.
    pub fn name_wire(&self) -> &[u8] {
        self.name.bytes.get(..usize::from(self.name.len)).unwrap_or_default()
    }

    /// What is asked, and all that changes the answer.
    pub fn asking(&self) -> Asking<'_> {
        Asking {
            name_wire: self.name_wire(),
            rtype: self.rtype,
            dnssec_ok: self.dnssec_ok(),
            checking_disabled: self.checking_disabled,
        }
    }

    /// The question as the client spelled it (0x20), type and class included.
    pub fn question(&self) -> &'p [u8] {
        self.question
    }

    /// Whether DNSSEC records are wanted.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }
}

/// The question behind the header: its name lowered, and its octets. A name in a question is
/// never compressed: there is nothing before it to point at.
fn read_question(packet: &[u8]) -> Option<(LowerName, &[u8])> {
    let body = packet.get(HEADER_LEN..)?;
    let mut at = 0usize;
    loop {
        let len = usize::from(*body.get(at)?);
        if len == 0 {
            break;
        }
        if 63 < len {
            return None;
        }
        at = at.checked_add(len)?.checked_add(1)?;
    }
    let name_len = at.checked_add(1)?;
    let mut lower = [0; NAME_LEN_MAX];
    let place = lower.get_mut(..name_len)?;
    place.copy_from_slice(body.get(..name_len)?);
    // Length octets are at most 63 and no letters, so they stay as they are.
    place.make_ascii_lowercase();
    let question = body.get(..name_len.checked_add(QUESTION_TAIL_LEN)?)?;
    Some((LowerName { bytes: lower, len: u8::try_from(name_len).ok()? }, question))
}

/// Why the records behind the question cannot be accepted.
enum EdnsFault {
    /// Records that end early, two OPTs, or an OPT where none may stand.
    Malformed,
    /// A cookie of a length that none has (RFC 7873 section 5.2.2).
    Cookie,
    /// An EDNS version that we do not speak (RFC 6891 section 6.1.3); with the client's cookie.
    Version(Option<Cookie>),
}

/// Walks the records behind the question for the OPT.
fn read_edns(packet: &[u8], question_len: usize) -> Result<Option<Edns>, EdnsFault> {
    let count = |at| usize::from(u16_at(packet, at).unwrap_or_default());
    let before = count(6).saturating_add(count(8));
    let records = before.saturating_add(count(10));
    let mut rest =
        packet.get(HEADER_LEN.saturating_add(question_len)..).ok_or(EdnsFault::Malformed)?;
    let mut found = None;
    // A record takes 11 octets at least, so the packet's length bounds the walk.
    for index in 0..records {
        let record = split_record(rest).ok_or(EdnsFault::Malformed)?;
        rest = record.rest;
        if record.rtype == RecordType::OPT.0 {
            if found.is_some() || !record.owner_is_root || index < before {
                return Err(EdnsFault::Malformed);
            }
            found = Some(record);
        }
    }
    let Some(opt) = found else { return Ok(None) };
    // RFC 6891 section 6.1.3: extended RCODE, version, DO and 15 bits of zero.
    let [_, version, flags, _] = opt.ttl;
    let has = |wanted| Ok(option(opt.data, wanted)?.is_some());
    let cookie = match option(opt.data, OPTION_COOKIE)? {
        Some(data) => Some(Cookie::read(data).ok_or(EdnsFault::Cookie)?),
        None => None,
    };
    let edns = Edns {
        udp_size: opt.class,
        dnssec_ok: flags & 0x80 != 0,
        wants_nsid: has(OPTION_NSID)?,
        wants_keepalive: has(OPTION_KEEPALIVE)?,
        wants_padding: has(OPTION_PADDING)?,
        cookie,
    };
    match version {
        0 => Ok(Some(edns)),
        _ => Err(EdnsFault::Version(cookie)),
    }
}

/// A record cut out of a packet.
pub(super) struct RawRecord<'p> {
    pub(super) owner_is_root: bool,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) ttl: [u8; 4],
    pub(super) data: &'p [u8],
    pub(super) rest: &'p [u8],
}

/// The first record of `bytes`; pointers in its owner are stepped over, not followed.
pub(super) fn split_record(bytes: &[u8]) -> Option<RawRecord<'_>> {
    let at = skip_name(bytes)?;
    let (fixed, tail) = bytes.get(at..)?.split_at_checked(RECORD_FIXED_LEN)?;
    let (data, rest) = tail.split_at_checked(usize::from(u16_at(fixed, 8)?))?;
    Some(RawRecord {
        owner_is_root: bytes.first() == Some(&0),
        rtype: u16_at(fixed, 0)?,
        class: u16_at(fixed, 2)?,
        ttl: fixed.get(4..8)?.try_into().ok()?,
        data,
        rest,
    })
}

/// The data of the first option of that code; a fault when it is no list of options to its end.
fn option(data: &[u8], wanted: u16) -> Result<Option<&[u8]>, EdnsFault> {
    let mut rest = data;
    let mut found = None;
    while !rest.is_empty() {
        let (code, value);
        (code, value, rest) = split_option(rest).ok_or(EdnsFault::Malformed)?;
        if code == wanted && found.is_none() {
            found = Some(value);
        }
    }
    Ok(found)
}

/// The first option's code and data, and what follows (RFC 6891 section 6.1.2).
fn split_option(data: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (value, rest) = data.get(4..)?.split_at_checked(usize::from(u16_at(data, 2)?))?;
    Some((u16_at(data, 0)?, value, rest))
}

#[cfg(test)]
mod tests;
