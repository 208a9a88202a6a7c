//! Bytes to questions, records to bytes.
//!
//! Total on hostile input: whatever arrives, parsing ends with a value, never a panic, and the way
//! from a packet to our own answer allocates nothing. It knows no policy and does no I/O.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod chaos;
mod cookie;
mod freshness;
mod query;
mod question;
mod relay;
mod reply;
mod trial;

pub use chaos::{chaos_answer, chaos_query};
pub use cookie::{Cookie, CookieState, FullCookie};
pub use freshness::freshness;
pub use query::{Edns, Packet, Query, Reject};
#[cfg(test)]
pub(crate) use question::upstream_query;
pub use question::{Asking, Form, Head, Mismatch, Question, Sent, Spelling, response_id};
pub use relay::{CHAIN_STEPS_MAX, Hop, Relay, RelayError};
pub use reply::{Age, Channel, Limit, Reply, UDP_PAYLOAD_MAX, write_reject};
pub use trial::{TRIAL_LEN_MAX, Trial, trial_answer, trial_query};

/// Octets of a message's header (RFC 1035 section 4.1.1).
const HEADER_LEN: usize = 12;

/// Where the first question's name stands in a message, as a compression pointer: `C0 0C`.
pub const QUESTION_POINTER: u16 = 0xC00C;

/// The two octets at `at`, if they are there.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    let pair: [u8; 2] = bytes.get(at..end)?.try_into().ok()?;
    Some(u16::from_be_bytes(pair))
}

/// Writes two octets at `at`, where they have to stand already.
fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    let end = at.saturating_add(2);
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The four octets at `at`, if they are there.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    let four: [u8; 4] = bytes.get(at..end)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

/// Writes four octets at `at`, where they have to stand already.
fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    let end = at.saturating_add(4);
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// The octets that a name at the start of `bytes` takes; a pointer is stepped over, not followed.
fn skip_name(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    loop {
        match usize::from(*bytes.get(at)?) {
            0 => return at.checked_add(1),
            pointer if 0xC0 <= pointer => return at.checked_add(2),
            len if len <= 63 => at = at.checked_add(len)?.checked_add(1)?,
            _ => return None,
        }
    }
}
