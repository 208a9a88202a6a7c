//! Writes an upstream's records anew, compressed as they will stand in a client's message.

use bytes::Bytes;
use domain::{
    base::{
        ParsedName, Record, Rtype, Ttl as DomainTtl, UnknownRecordData,
        message_builder::HashCompressor, rdata::ComposeRecordData, wire::Composer,
    },
    dep::octseq::OctetsBuilder,
    rdata::{AllRecordData, Cname, Soa},
};

use super::{Hop, Parsed};
use crate::{
    base::{Name, Ttl},
    wire::{HEADER_LEN, question::Question, skip_name},
};

/// Places above this cannot be pointed at (RFC 1035 section 4.1.4).
const POINTER_MAX: u16 = 0x3FFF;

/// A message being written: header and question as they will stand in a client's, then records.
pub(super) struct Writer {
    message: HashCompressor<Vec<u8>>,
    body_at: usize,
    counts: [u16; 3],
    ttl_places: Vec<u16>,
}

// === impl Writer ===

impl Writer {
    /// An empty message for `question`.
    pub(super) fn new(question: &Question) -> Option<Self> {
        let mut message = HashCompressor::new(Vec::with_capacity(512));
        message.append_slice(&[0; HEADER_LEN]).ok()?;
        let name = domain::base::Name::from_octets(question.name.as_wire()).ok()?;
        message.append_compressed_name(&name).ok()?;
        message.append_slice(&question.rtype.0.to_be_bytes()).ok()?;
        message.append_slice(&[0, 1]).ok()?;
        let body_at = message.as_slice().len();
        Some(Self { message, body_at, counts: [0; 3], ttl_places: Vec::new() })
    }

    /// Appends a record to a section (0 to 2, never going back) and tells where its data stands.
    /// `None` if its data is malformed or the message full.
    pub(super) fn push(
        &mut self,
        section: usize,
        record: &Parsed<'_>,
        ttl_max_secs: u32,
    ) -> Option<u16> {
        let at = self.message.as_slice().len();
        match record.rtype() {
            // Types whose names may be compressed (RFC 3597 section 4), and addresses, whose
            // length is known. All others are copied as they are.
            Rtype::A
            | Rtype::AAAA
            | Rtype::NS
            | Rtype::CNAME
            | Rtype::SOA
            | Rtype::PTR
            | Rtype::MX
            | Rtype::MD
            | Rtype::MF
            | Rtype::MB
            | Rtype::MG
            | Rtype::MR
            | Rtype::MINFO
            | Rtype::SRV
            | Rtype::NAPTR
            | Rtype::DNAME => {
                let typed = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
                self.compose(typed.ok()?, ttl_max_secs)?;
            }
            _ => {
                let opaque = record.to_record::<UnknownRecordData<&[u8]>>();
                self.compose(opaque.ok()??, ttl_max_secs)?;
            }
        }
        let ttl_at =
            skip_name(self.message.as_slice().get(at..)?)?.checked_add(at)?.checked_add(4)?;
        self.ttl_places.push(u16::try_from(ttl_at).ok()?);
        let count = self.counts.get_mut(section)?;
        *count = count.checked_add(1)?;
        u16::try_from(self.message.as_slice().len()).ok()?;
        u16::try_from(ttl_at.checked_add(6)?).ok()
    }

    fn compose<D: ComposeRecordData>(
        &mut self,
        mut record: Record<ParsedName<&[u8]>, D>,
        ttl_max_secs: u32,
    ) -> Option<()> {
        let secs = Ttl::from_wire(record.ttl().as_secs()).as_secs().min(ttl_max_secs);
        record.set_ttl(DomainTtl::from_secs(secs));
        record.compose(&mut self.message).ok()
    }

    /// The alias just written, whose target stands at `target_at`.
    pub(super) fn hop(&self, target: &[u8], target_at: u16) -> Option<Hop> {
        let [answers, _, _] = self.counts;
        Some(Hop {
            target: Name::from_wire(target).ok()?,
            target_at: if target_at <= POINTER_MAX {
                target_at
            } else {
                return None;
            },
            end: u16::try_from(self.message.as_slice().len()).ok()?,
            answers,
        })
    }

    /// The records, how many a section has, and where their TTLs stand.
    pub(super) fn finish(self) -> (Bytes, [u16; 3], Box<[u16]>) {
        let records = self.message.as_slice().get(self.body_at..).unwrap_or_default();
        (Bytes::copy_from_slice(records), self.counts, self.ttl_places.into())
    }
}

/// What an alias leads to; `None` if its data is no name.
pub(super) fn cname_target<'m>(record: &Parsed<'m>) -> Option<ParsedName<&'m [u8]>> {
    let alias = record.to_record::<Cname<ParsedName<&[u8]>>>().ok()??;
    Some(alias.into_data().into_cname())
}

/// How long an absence may be kept by this SOA (RFC 2308 section 5); `None` if it is none.
pub(super) fn soa_negative_ttl(record: &Parsed<'_>) -> Option<u32> {
    let soa = record.to_record::<Soa<ParsedName<&[u8]>>>().ok()??;
    let secs = soa.ttl().as_secs().min(soa.data().minimum().as_secs());
    Some(Ttl::from_wire(secs).as_secs())
}
