//! The records of a response, and which of them are about the question.
//!
//! It decides what is kept and for how long; what is about other names is neither.

use std::collections::HashSet;

use domain::base::{Message, ParsedName, Rtype, ToName};

use super::{
    CHAIN_STEPS_MAX, Hop, NEGATIVE_TTL_MAX_SECS, Parsed, RelayError, TTL_MAX_SECS,
    records::{self, Writer},
};
use crate::{
    base::{RecordType, Ttl},
    wire::question::Question,
};

/// The records of a response, cut but not copied.
pub(super) struct Sections<'m> {
    question: ParsedName<&'m [u8]>,
    pub(super) answer: Vec<Parsed<'m>>,
    pub(super) authority: Vec<Parsed<'m>>,
    pub(super) additional: Vec<Parsed<'m>>,
}

// === impl Sections ===

impl<'m> Sections<'m> {
    pub(super) fn read(message: &'m Message<[u8]>) -> Option<Self> {
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
    pub(super) fn chain(
        &self,
        question: &Question,
    ) -> Result<Vec<ParsedName<&'m [u8]>>, RelayError> {
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

    /// Drops the authority records that are not about the chain: nothing may follow from them.
    pub(super) fn drop_strangers(&mut self, chain: &[ParsedName<&'m [u8]>]) {
        let above = |zone: &ParsedName<&'m [u8]>| chain.iter().any(|name| name.ends_with(zone));
        let zones = self.authority.iter().filter_map(records::zone).filter(above);
        let zones: Vec<_> = zones.collect();
        self.authority.retain(|record| concerns(record, chain, &zones));
    }

    /// Whether no record answers, no SOA denies, and other servers are named.
    pub(super) fn is_referral(&self, chain: &[ParsedName<&'m [u8]>]) -> bool {
        let answered = self.answer.iter().any(|record| chain.iter().any(|name| owns(name, record)));
        let has = |rtype| self.authority.iter().any(|record| record.rtype() == rtype);
        !answered && has(Rtype::NS) && !has(Rtype::SOA)
    }

    /// Whether the chain's end has what was asked for.
    pub(super) fn is_answered(&self, chain: &[ParsedName<&'m [u8]>], rtype: RecordType) -> bool {
        self.answer.iter().any(|record| {
            chain.last().is_some_and(|name| owns(name, record))
                && (record.rtype().to_int() == rtype.0 || rtype == RecordType::ANY)
        })
    }

    /// Whether there are aliases, and of their end neither records nor an SOA that denies them: a
    /// server that does not recurse leaves off where its zones end.
    pub(super) fn is_open(&self, chain: &[ParsedName<&'m [u8]>], rtype: RecordType) -> bool {
        let [_, .., end] = chain else { return false };
        let denies =
            |record: &Parsed<'m>| record.rtype() == Rtype::SOA && end.ends_with(&record.owner());
        !self.is_answered(chain, rtype) && !self.authority.iter().any(denies)
    }

    /// Writes what is kept, the answer in the chain's order. `None` if a record is malformed.
    pub(super) fn write(
        &self,
        chain: &[ParsedName<&'m [u8]>],
        positive: bool,
        writer: &mut Writer,
    ) -> Option<Box<[Hop]>> {
        let mut hops = Vec::new();
        let mut told = vec![false; self.answer.len()];
        let mut targets = HashSet::new();
        for (step, name) in chain.iter().enumerate() {
            let mut target_at = None;
            for (record, told) in self.answer.iter().zip(&mut told) {
                // A name has one alias (RFC 2181 section 10.1), and the chain took the first.
                let is_second = record.rtype() == Rtype::CNAME && target_at.is_some();
                if !*told && !is_second && (owns(name, record) || synthesizes(name, record)) {
                    *told = true;
                    targets.extend(records::host(record));
                    let made = record.rtype() == Rtype::CNAME
                        && self.answer.iter().any(|record| synthesizes(name, record));
                    let at = match made {
                        true => writer.push_synthesized(record, TTL_MAX_SECS)?,
                        false => writer.push(0, record, TTL_MAX_SECS)?,
                    };
                    if record.rtype() == Rtype::CNAME {
                        target_at = Some(at);
                    }
                }
            }
            if let Some(target) = chain.get(step.saturating_add(1)) {
                hops.push(writer.hop(target.to_vec().as_slice(), target_at?)?);
            }
        }
        for record in &self.authority {
            targets.extend(records::host(record));
            let ttl_max = match records::soa_negative_ttl(record) {
                // Who keeps the absence by this SOA must not keep it longer (RFC 2308 section 3).
                Some(secs) if !positive => secs.min(NEGATIVE_TTL_MAX_SECS),
                Some(_) | None => TTL_MAX_SECS,
            };
            writer.push(1, record, ttl_max)?;
        }
        // Addresses of the hosts just named, and nothing else: whatever it is, nobody asked.
        let is_glue =
            |record: &&Parsed<'m>| records::is_address(record) && targets.contains(&record.owner());
        for record in self.additional.iter().filter(is_glue) {
            writer.push(2, record, TTL_MAX_SECS)?;
        }
        Some(hops.into())
    }

    /// How long the whole may be kept: as long as its shortest part.
    pub(super) fn lifetime(&self, chain: &[ParsedName<&'m [u8]>], positive: bool) -> Ttl {
        let about = |record: &&Parsed<'m>| chain.iter().any(|name| owns(name, record));
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

/// Whether an authority record is about the chain: it belongs to a name above it, or it is a proof
/// within one of its `zones`, which whoever wants it checks. A proof's own name says nothing: it
/// stands before the name that is not there, or is a hash.
fn concerns(record: &Parsed<'_>, chain: &[ParsedName<&[u8]>], zones: &[ParsedName<&[u8]>]) -> bool {
    let owner = record.owner();
    chain.iter().any(|name| name.ends_with(&owner))
        || records::is_proof(record) && zones.iter().any(|zone| owner.ends_with(zone))
}

/// Whether `record` belongs to `name`.
fn owns(name: &ParsedName<&[u8]>, record: &Parsed<'_>) -> bool {
    name.name_eq(&record.owner())
}

/// Whether `record` is a DNAME from which an alias of `name` follows (RFC 6672), or its signature:
/// the alias has none of its own (section 5.3.1).
fn synthesizes(name: &ParsedName<&[u8]>, record: &Parsed<'_>) -> bool {
    records::type_or_covered(record) == Rtype::DNAME && name.ends_with(&record.owner())
}
