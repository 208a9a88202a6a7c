//! Two responses as one: a chain of aliases that one began, and what another says of its end.
//!
//! It asks nobody and follows nothing: which two belong together, the caller knows.

use domain::base::{Message, Rtype};

use super::{
    Hop, Relay, TTL_MAX_SECS,
    records::{self, Writer},
    sections::Sections,
};
use crate::{
    base::{ExtendedError, Name},
    wire::{
        HEADER_LEN, put_u16,
        question::Question,
        reply::{Age, ERRORS_MAX},
    },
};

// === impl Relay ===

impl Relay {
    /// The name that its aliases lead to and of which it says nothing: neither records of the type
    /// that was asked for, nor that there are none.
    pub fn open_end(&self) -> Option<&Name> {
        self.hops.last().filter(|_| self.open).map(|hop| &hop.target)
    }

    /// This answer to `question` up to its last alias, and behind it `next`, the answer to the same
    /// question of that alias's target; both as old as they are. `None` if it has no alias or the
    /// whole is longer than a message can be.
    pub fn followed_by(
        &self,
        question: &Question,
        age: Age,
        next: &Relay,
        next_age: Age,
    ) -> Option<Relay> {
        self.followed_from(self.hops.last()?, question, age, next, next_age)
    }

    /// The same up to the alias of `end`, one of its hops: what it says behind that one is left.
    pub fn followed_from(
        &self,
        end: &Hop,
        question: &Question,
        age: Age,
        next: &Relay,
        next_age: Age,
    ) -> Option<Relay> {
        let (first, second) =
            (self.message(question, age), next.message(&question.of(&end.target), next_age));
        let first = Sections::read(Message::from_slice(&first).ok()?)?;
        let second = Sections::read(Message::from_slice(&second).ok()?)?;
        let mut writer = Writer::new(question)?;
        let mut hops = Vec::new();
        copy_answer(&first, usize::from(end.answers), &self.hops, &mut writer, &mut hops)?;
        copy_answer(&second, usize::MAX, &next.hops, &mut writer, &mut hops)?;
        // Of what stands behind the first alias only proofs still mean something: that no closer
        // name was there than the wildcard it was made from (RFC 4035 section 3.1.3.3).
        for record in first.authority.iter().filter(|record| records::is_proof(record)) {
            writer.push(1, record, TTL_MAX_SECS)?;
        }
        for (section, records) in [(1, &second.authority), (2, &second.additional)] {
            for record in records {
                writer.push(section, record, TTL_MAX_SECS)?;
            }
        }
        let body_at = writer.body_at();
        let (records, counts, ttl_places) = writer.finish();
        let errors = self.errors.iter().chain(&next.errors).take(ERRORS_MAX);
        Some(Relay {
            // RFC 6604 section 3: the code is that of the last name.
            rcode: next.rcode,
            validated: self.validated && next.validated,
            records,
            body_at,
            counts,
            ttl_places,
            hops: hops.into(),
            errors: errors.cloned().collect::<Vec<ExtendedError>>().into(),
            lifetime: self.lifetime.min(next.lifetime),
            positive: next.positive,
            open: next.open,
        })
    }

    /// The response to `question` as a message, its TTLs as old as they are.
    fn message(&self, question: &Question, age: Age) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        let [answers, authorities, additionals] = self.counts;
        for (at, count) in [(4, 1), (6, answers), (8, authorities), (10, additionals)] {
            put_u16(&mut bytes, at, count);
        }
        bytes.extend_from_slice(question.name.as_wire());
        bytes.extend_from_slice(&question.rtype.0.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&self.records);
        age.apply(&self.ttl_places, &mut bytes);
        bytes
    }
}

/// Writes the first `count` answers of a response whose aliases are `hops`, and these anew.
fn copy_answer(
    sections: &Sections<'_>,
    count: usize,
    hops: &[Hop],
    writer: &mut Writer,
    written: &mut Vec<Hop>,
) -> Option<()> {
    let mut rest = hops.iter().peekable();
    let mut target_at = None;
    for (record, number) in sections.answer.iter().zip(1..).take(count) {
        let at = writer.push(0, record, TTL_MAX_SECS)?;
        if record.rtype() == Rtype::CNAME {
            target_at = Some(at);
        }
        if let Some(hop) = rest.next_if(|hop| hop.answers == number) {
            written.push(writer.hop(hop.target.as_wire(), target_at.take()?)?);
        }
    }
    Some(())
}
