//! An upstream's response, made safe to keep and to pass on.
//!
//! Everything that is about the question stays: code, records of all three sections, extended
//! errors, AD. What is about the hop (OPT, TSIG) goes, and so does what is about other names: it
//! is neither passed on nor kept. Records stand in the message exactly where they will stand in a
//! client's, so that passing on is a copy with TTLs patched.

use bytes::Bytes;
use domain::base::{
    Message, ParsedName, ParsedRecord, Rtype, ToName, opt::exterr::ExtendedError as OptError,
};

use crate::base::{Ede, ExtendedError, Name, Rcode, RecordType, Ttl};

use super::question::Question;

mod records;

use records::Writer;

/// Aliases followed from a question to its records. Chains of CDNs take up to seven.
pub const CHAIN_STEPS_MAX: usize = 16;
/// A record is kept a day at most, whatever its TTL: the cap that unbound has.
const TTL_MAX_SECS: u32 = 86_400;
/// An absence is kept three hours at most (RFC 2308 section 5).
const NEGATIVE_TTL_MAX_SECS: u32 = 10_800;
/// Extended errors kept of one response.
const ERRORS_MAX: usize = 4;

/// An upstream's response to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    rcode: Rcode,
    validated: bool,
    records: Bytes,
    counts: [u16; 3],
    ttl_places: Box<[u16]>,
    hops: Box<[Hop]>,
    errors: Box<[ExtendedError]>,
    lifetime: Ttl,
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
        let message = Message::from_slice(message).map_err(|_| RelayError::Malformed)?;
        let rcode = Rcode(message.opt_rcode().to_int());
        if message.header_counts().qdcount() == 0 {
            return Ok(Relay::bare(rcode));
        }
        let parsed = Sections::read(message).ok_or(RelayError::Malformed)?;
        let chain = parsed.chain(question)?;
        if rcode == Rcode::NOERROR && parsed.is_referral(&chain) {
            return Err(RelayError::Referral);
        }
        let mut writer = Writer::new(question).ok_or(RelayError::Malformed)?;
        let hops = parsed.write(&chain, &mut writer).ok_or(RelayError::Malformed)?;
        let lifetime = match rcode {
            Rcode::NOERROR | Rcode::NXDOMAIN => parsed.lifetime(rcode, &chain, question.rtype),
            _ => Ttl::ZERO,
        };
        let (records, counts, ttl_places) = writer.finish();
        Ok(Relay {
            rcode,
            validated: message.header().ad(),
            records,
            counts,
            ttl_places,
            hops,
            errors: extended_errors(message),
            lifetime,
        })
    }

    /// A code and nothing else: FORMERR and NOTIMP may come without their question.
    fn bare(rcode: Rcode) -> Relay {
        Relay {
            rcode,
            validated: false,
            records: Bytes::new(),
            counts: [0; 3],
            ttl_places: Box::default(),
            hops: Box::default(),
            errors: Box::default(),
            lifetime: Ttl::ZERO,
        }
    }

    /// The same without AD, for an upstream whose word does not count.
    pub fn unvalidated(self) -> Relay {
        Relay { validated: false, ..self }
    }

    /// The response code, its upper bits included.
    pub fn rcode(&self) -> Rcode {
        self.rcode
    }

    /// AD: the upstream says that it validated this.
    pub fn validated(&self) -> bool {
        self.validated
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

    /// Octets that it takes in memory, for a cache that counts them.
    pub fn weight(&self) -> usize {
        let places = self.ttl_places.len().saturating_mul(2);
        let hops = self.hops.len().saturating_mul(64);
        size_of::<Relay>()
            .saturating_add(self.records.len())
            .saturating_add(places)
            .saturating_add(hops)
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

/// The records of a response, cut but not copied.
struct Sections<'m> {
    question: ParsedName<&'m [u8]>,
    answer: Vec<Parsed<'m>>,
    authority: Vec<Parsed<'m>>,
    additional: Vec<Parsed<'m>>,
}

// === impl Sections ===

impl<'m> Sections<'m> {
    fn read(message: &'m Message<[u8]>) -> Option<Self> {
        let (question, answer, authority, additional) = message.sections().ok()?;
        let question = question.into_iter().next()?.ok()?.into_qname();
        Some(Self {
            question,
            answer: answer.into_iter().collect::<Result<_, _>>().ok()?,
            authority: authority.into_iter().collect::<Result<_, _>>().ok()?,
            additional: additional.into_iter().collect::<Result<_, _>>().ok()?,
        })
    }

    /// The names from the question along its aliases.
    fn chain(&self, question: &Question) -> Result<Vec<ParsedName<&'m [u8]>>, RelayError> {
        let mut chain = vec![self.question];
        if matches!(question.rtype, RecordType::CNAME | RecordType::ANY) {
            return Ok(chain);
        }
        while let Some(alias) = self.answer.iter().find(|record| {
            record.rtype() == Rtype::CNAME && chain.last().is_some_and(|name| owns(name, record))
        }) {
            let target = records::cname_target(alias).ok_or(RelayError::Malformed)?;
            if chain.iter().any(|name| name.name_eq(&target)) {
                return Err(RelayError::ChainLoop);
            }
            if CHAIN_STEPS_MAX < chain.len() {
                return Err(RelayError::ChainTooLong);
            }
            chain.push(target);
        }
        Ok(chain)
    }

    /// Whether no record answers, no SOA denies, and other servers are named.
    fn is_referral(&self, chain: &[ParsedName<&'m [u8]>]) -> bool {
        let answered = self.answer.iter().any(|record| chain.iter().any(|name| owns(name, record)));
        let has = |rtype| self.authority.iter().any(|record| record.rtype() == rtype);
        !answered && has(Rtype::NS) && !has(Rtype::SOA)
    }

    /// Whether an authority record is about the chain: a zone above one of its names, or a proof,
    /// which whoever wants it checks.
    fn concerns(record: &Parsed<'m>, chain: &[ParsedName<&'m [u8]>]) -> bool {
        match record.rtype() {
            Rtype::NSEC | Rtype::NSEC3 | Rtype::RRSIG | Rtype::DS => true,
            _ => chain.iter().any(|name| name.ends_with(&record.owner())),
        }
    }

    /// Writes what is kept, the answer in the chain's order. `None` if a record is malformed.
    fn write(&self, chain: &[ParsedName<&'m [u8]>], writer: &mut Writer) -> Option<Box<[Hop]>> {
        let mut hops = Vec::new();
        let mut told = vec![false; self.answer.len()];
        for (step, name) in chain.iter().enumerate() {
            let mut target_at = None;
            for (record, told) in self.answer.iter().zip(&mut told) {
                if !*told && (owns(name, record) || synthesizes(name, record)) {
                    *told = true;
                    let at = writer.push(0, record, TTL_MAX_SECS)?;
                    if record.rtype() == Rtype::CNAME {
                        target_at = Some(at);
                    }
                }
            }
            if let Some(target) = chain.get(step.saturating_add(1)) {
                hops.push(writer.hop(target.to_vec().as_slice(), target_at?)?);
            }
        }
        for record in self.authority.iter().filter(|record| Self::concerns(record, chain)) {
            writer.push(1, record, TTL_MAX_SECS)?;
        }
        let hop_by_hop =
            |record: &&Parsed<'m>| !matches!(record.rtype(), Rtype::OPT | Rtype::TSIG | Rtype::SIG);
        for record in self.additional.iter().filter(hop_by_hop) {
            writer.push(2, record, TTL_MAX_SECS)?;
        }
        Some(hops.into())
    }

    /// How long the whole may be kept: as long as its shortest part.
    fn lifetime(&self, rcode: Rcode, chain: &[ParsedName<&'m [u8]>], rtype: RecordType) -> Ttl {
        let about = |record: &&Parsed<'m>| chain.iter().any(|name| owns(name, record));
        let end = chain.last();
        let answered = self.answer.iter().any(|record| {
            end.is_some_and(|name| owns(name, record))
                && (record.rtype().to_int() == rtype.0 || rtype == RecordType::ANY)
        });
        let positive = rcode == Rcode::NOERROR && answered;
        let ttls = self.answer.iter().filter(about).map(|record| record.ttl().as_secs());
        let shortest = ttls.map(|secs| Ttl::from_wire(secs).as_secs()).min();
        let negative = || self.authority.iter().find_map(records::soa_negative_ttl);
        let secs = match positive {
            true => shortest.unwrap_or(0).min(TTL_MAX_SECS),
            false => match negative() {
                Some(secs) => secs.min(shortest.unwrap_or(secs)).min(NEGATIVE_TTL_MAX_SECS),
                None => 0,
            },
        };
        Ttl::from_wire(secs)
    }
}

/// Whether `record` belongs to `name`.
fn owns(name: &ParsedName<&[u8]>, record: &Parsed<'_>) -> bool {
    name.name_eq(&record.owner())
}

/// Whether `record` is a DNAME from which an alias of `name` follows (RFC 6672).
fn synthesizes(name: &ParsedName<&[u8]>, record: &Parsed<'_>) -> bool {
    record.rtype() == Rtype::DNAME && name.ends_with(&record.owner())
}

/// The extended errors of a response's OPT; what is not UTF-8 loses its words.
fn extended_errors(message: &Message<[u8]>) -> Box<[ExtendedError]> {
    let Some(opt) = message.opt() else {
        return Box::default();
    };
    let error = |error: OptError<&[u8]>| ExtendedError {
        code: Ede(error.code().to_int()),
        text: error
            .text_slice()
            .and_then(|text| std::str::from_utf8(text).ok())
            .unwrap_or_default()
            .to_owned()
            .into(),
    };
    opt.opt().iter().filter_map(Result::ok).take(ERRORS_MAX).map(error).collect()
}

#[cfg(test)]
mod tests;
