//! An upstream's response, made safe to keep and to pass on.
//!
//! Everything that is about the question stays: code, records of all three sections, extended
//! errors, AD. What is about the hop (OPT, TSIG) goes, and so does what is about other names: it
//! is neither passed on nor kept. Records stand in the message exactly where they will stand in a
//! client's, so that passing on is a copy with TTLs patched.

use std::net::IpAddr;

use bytes::Bytes;
use domain::base::{Message, ParsedRecord, opt::exterr::ExtendedError as OptError};

use crate::base::{Ede, ExtendedError, Name, Rcode, RecordType, Ttl, TtlBounds};

use super::{
    put_u32,
    question::Question,
    reply::{ERROR_TEXT_MAX, ERRORS_MAX, floor_text},
    u16_at, u32_at,
};

mod cnames;
mod joined;
mod plain;
mod records;
mod sections;

use records::Writer;
use sections::Sections;

/// Aliases of one response followed from its question to its records: whoever sent it has done the
/// work, so these are more than we go on to ask for. Chains of CDNs take up to seven.
pub const CHAIN_STEPS_MAX: usize = 16;
/// A record is kept a day at most, whatever its TTL: the cap that unbound has.
const TTL_MAX_SECS: u32 = 86_400;
/// An absence is kept three hours at most (RFC 2308 section 5).
const NEGATIVE_TTL_MAX_SECS: u32 = 10_800;

/// An upstream's response to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    rcode: Rcode,
    validated: bool,
    records: Bytes,
    /// Where `records` begin in the message.
    body_at: usize,
    counts: [u16; 3],
    ttl_places: Box<[u16]>,
    hops: Box<[Hop]>,
    errors: Box<[ExtendedError]>,
    lifetime: Ttl,
    /// Whether it tells no absence: it has what was asked for, or its end is open.
    positive: bool,
    /// Whether it has aliases and says nothing of where they lead.
    open: bool,
}

/// One alias of a chain, and where the answer stands when it has been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// What the alias leads to.
    pub target: Name,
    /// Where `target` stands in the message.
    pub target_at: u16,
    /// Where the records up to this alias end in the message.
    pub end: u16,
    /// How many records these are.
    pub answers: u16,
}

/// Why a response cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// It cannot be parsed, or is longer than a message can be.
    #[error("the response cannot be parsed")]
    Malformed,
    /// It sends us to other servers; an upstream has to do that for us.
    #[error("the response is a referral: the server does not recurse")]
    Referral,
    /// Its aliases go in a circle.
    #[error("the response's aliases form a loop")]
    ChainLoop,
    /// Its aliases do not end within [`CHAIN_STEPS_MAX`].
    #[error("the response has more than {CHAIN_STEPS_MAX} aliases")]
    ChainTooLong,
}

type Parsed<'m> = ParsedRecord<'m, [u8]>;

// === impl Relay ===

impl Relay {
    /// Reads a complete response to `question`; whether it is one, [`Head`](super::Head) has told.
    pub fn read(question: &Question, message: &[u8]) -> Result<Relay, RelayError> {
        match plain::read(question, message) {
            Some(relay) => Ok(relay),
            None => Relay::read_any(question, message),
        }
    }

    fn read_any(question: &Question, message: &[u8]) -> Result<Relay, RelayError> {
        let message = Message::from_slice(message).map_err(|_| RelayError::Malformed)?;
        let rcode = Rcode(message.opt_rcode().to_int());
        if message.header_counts().qdcount() == 0 {
            return Ok(Relay::bare(rcode));
        }
        let mut parsed = Sections::read(message).ok_or(RelayError::Malformed)?;
        let chain = parsed.chain(question)?;
        parsed.drop_strangers(&chain);
        if rcode == Rcode::NOERROR && parsed.is_referral(&chain) {
            return Err(RelayError::Referral);
        }
        let open = rcode == Rcode::NOERROR && parsed.is_open(&chain, question.rtype);
        let positive =
            open || rcode == Rcode::NOERROR && parsed.is_answered(&chain, question.rtype);
        let mut writer = Writer::new(question).ok_or(RelayError::Malformed)?;
        let hops = parsed.write(&chain, positive, &mut writer).ok_or(RelayError::Malformed)?;
        let lifetime = match rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => parsed.lifetime(&chain, positive),
            _ => Ttl::ZERO,
        };
        let body_at = writer.body_at();
        let (records, counts, ttl_places) = writer.finish();
        Ok(Relay {
            rcode,
            validated: message.header().ad(),
            records,
            body_at,
            counts,
            ttl_places,
            hops,
            errors: extended_errors(message),
            lifetime,
            positive,
            open,
        })
    }

    /// A code and nothing else: FORMERR and NOTIMP may come without their question.
    fn bare(rcode: Rcode) -> Relay {
        Relay {
            rcode,
            validated: false,
            records: Bytes::new(),
            body_at: 0,
            counts: [0; 3],
            ttl_places: Box::default(),
            hops: Box::default(),
            errors: Box::default(),
            lifetime: Ttl::ZERO,
            positive: false,
            open: false,
        }
    }

    /// The same without AD, for an upstream whose word does not count.
    pub fn unvalidated(self) -> Relay {
        Relay { validated: false, ..self }
    }

    /// The same with every TTL moved to where `bounds` begin or end, and kept accordingly. An answer
    /// that may not be kept for lack of an SOA still may not.
    pub fn bounded(mut self, bounds: &TtlBounds) -> Relay {
        let TtlBounds { min, max, negative_max } = *bounds;
        let (min, max) = match self.positive {
            true => (min, max),
            false => (Ttl::ZERO, negative_max.min(max)),
        };
        // Copied when the first TTL moves, and most times none does.
        let mut records: Option<Vec<u8>> = None;
        for place in &self.ttl_places {
            let told = records.as_deref().unwrap_or_else(|| self.records());
            let Some(at) = usize::from(*place).checked_sub(self.body_at) else { continue };
            let Some(ttl) = u32_at(told, at).map(Ttl::from_wire) else { continue };
            if !(min..=max).contains(&ttl) {
                let records = records.get_or_insert_with(|| self.records().to_vec());
                put_u32(records, at, ttl.max(min).min(max).as_secs());
            }
        }
        if let Some(records) = records {
            self.records = records.into();
        }
        if self.positive || self.lifetime != Ttl::ZERO {
            self.lifetime = self.lifetime.max(min).min(max);
        }
        self
    }

    /// The response code, its upper bits included.
    pub fn rcode(&self) -> Rcode {
        self.rcode
    }

    /// Whether it leaves the question to others: it neither has the name, nor denies it, nor says
    /// that an alias of it would be too long (YXDOMAIN, RFC 6672 section 2.2).
    pub fn declines(&self) -> bool {
        !matches!(self.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN)
    }

    /// AD: the upstream says that it validated this.
    pub fn validated(&self) -> bool {
        self.validated
    }

    /// Whether it tells no absence: it has what was asked for, or an alias that leads on.
    pub fn is_positive(&self) -> bool {
        self.positive
    }

    /// How long it may be kept; 0 for what may not be (RFC 2308 section 5: an absence without SOA).
    pub fn lifetime(&self) -> Ttl {
        self.lifetime
    }

    /// The upstream's extended errors.
    pub fn errors(&self) -> &[ExtendedError] {
        &self.errors
    }

    /// The aliases from the question on, in order.
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The addresses that its answer tells.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let answers = self.ttl_places.iter().take(usize::from(self.counts[0]));
        answers.filter_map(|place| self.address_at(usize::from(*place)))
    }

    /// The address of the record whose TTL stands there: type and class stand before it, the length
    /// of the data and the data behind it (RFC 1035 section 3.2.1).
    fn address_at(&self, ttl_place: usize) -> Option<IpAddr> {
        let at = ttl_place.checked_sub(self.body_at)?;
        let rtype = RecordType(u16_at(&self.records, at.checked_sub(4)?)?);
        let data = self.records.get(at.checked_add(6)?..)?;
        match rtype {
            RecordType::A => data.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
            RecordType::AAAA => data.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
            _ => None,
        }
    }

    /// Octets that it takes in memory, for a cache that counts them.
    pub fn weight(&self) -> usize {
        let places = self.ttl_places.len().saturating_mul(2);
        let hops = self.hops.len().saturating_mul(64);
        let error =
            |error: &ExtendedError| size_of::<ExtendedError>().saturating_add(error.text.len());
        size_of::<Relay>()
            .saturating_add(self.records.len())
            .saturating_add(places)
            .saturating_add(hops)
            .saturating_add(self.errors.iter().map(error).sum())
    }

    /// The records as they stand behind the question.
    pub(super) fn records(&self) -> &[u8] {
        &self.records
    }

    /// Records in answer, authority and additional section.
    pub(super) fn counts(&self) -> [u16; 3] {
        self.counts
    }

    /// Where each TTL stands in the message.
    pub(super) fn ttl_places(&self) -> &[u16] {
        &self.ttl_places
    }
}

/// The extended errors of a response's OPT, as long as we would tell them; what is not UTF-8 loses
/// its words.
pub(super) fn extended_errors(message: &Message<[u8]>) -> Box<[ExtendedError]> {
    let Some(opt) = message.opt() else {
        return Box::default();
    };
    let error = |error: OptError<&[u8]>| {
        let words = error.text_slice().and_then(|text| std::str::from_utf8(text).ok());
        let words = floor_text(words.unwrap_or_default(), ERROR_TEXT_MAX);
        ExtendedError { code: Ede(error.code().to_int()), text: words.to_owned().into() }
    };
    opt.opt().iter().filter_map(Result::ok).take(ERRORS_MAX).map(error).collect()
}

#[cfg(test)]
mod tests;
