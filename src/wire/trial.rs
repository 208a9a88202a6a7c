//! A question as a client sends it, and what counts of the answer: for commands that try the daemon.

use std::{collections::BTreeSet, net::IpAddr};

use domain::{
    base::{Message, iana::Class},
    rdata::{A, Aaaa},
};

use super::{HEADER_LEN, put_u16, relay::extended_errors};
use crate::base::{ExtendedError, Name, Rcode, RecordType};

/// What a client has room for by UDP (RFC 9715 section 3).
pub const TRIAL_LEN_MAX: u16 = 1_232;
/// Recursion is desired.
const RD: u16 = 0x0100;

/// What a client is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The response code.
    pub rcode: Rcode,
    /// The addresses of the answer.
    pub addresses: BTreeSet<IpAddr>,
    /// Why it is so, in the words of who answers.
    pub errors: Box<[ExtendedError]>,
    /// Whether there is more, by TCP.
    pub truncated: bool,
}

/// A question with RD and an OPT record.
pub fn trial_query(id: u16, name: &Name, rtype: RecordType) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    put_u16(&mut bytes, 0, id);
    put_u16(&mut bytes, 2, RD);
    put_u16(&mut bytes, 4, 1);
    put_u16(&mut bytes, 10, 1);
    bytes.extend_from_slice(name.as_wire());
    bytes.extend_from_slice(&rtype.0.to_be_bytes());
    bytes.extend_from_slice(&Class::IN.to_int().to_be_bytes());
    // The root, OPT, our room, and no flags or options (RFC 6891 section 6.1.2).
    bytes.extend_from_slice(&[0, 0, 41]);
    bytes.extend_from_slice(&TRIAL_LEN_MAX.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes
}

/// The answer to the question with this id; `None` for anything else.
pub fn trial_answer(id: u16, message: &[u8]) -> Option<Trial> {
    let message = Message::from_slice(message).ok()?;
    let header = message.header();
    let is_ours = header.qr() && header.id() == id;
    let records = message.answer().ok()?;
    let v4 = records.limit_to::<A>().flatten().map(|it| IpAddr::V4(it.data().addr()));
    let v6 = records.limit_to::<Aaaa>().flatten().map(|it| IpAddr::V6(it.data().addr()));
    is_ours.then(|| Trial {
        rcode: Rcode(message.opt_rcode().to_int()),
        addresses: v4.chain(v6).collect(),
        errors: extended_errors(message),
        truncated: header.tc(),
    })
}
