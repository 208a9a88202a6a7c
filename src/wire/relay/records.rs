//! Writes an upstream's records anew, compressed as they will stand in a client's message.

use bytes::Bytes;
use domain::{
    base::{
        ParseRecordData, ParsedName, Record, RecordData, Rtype, ToName, Ttl as DomainTtl,
        UnknownRecordData,
        message_builder::HashCompressor,
        rdata::ComposeRecordData,
        wire::{Composer, ParseError},
    },
    dep::octseq::{OctetsBuilder, Parser},
    rdata::{AllRecordData, Cname, Mx, Ns, Rrsig, Soa, Srv},
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
            // length is known.
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
            | Rtype::DNAME
            | Rtype::RP => {
                let typed = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>();
                self.compose(typed.ok()?, ttl_max_secs)?;
            }
            // Types whose names some servers do compress, though they may not (section 4 again).
            Rtype::AFSDB | Rtype::RT | Rtype::SIG | Rtype::PX | Rtype::NXT => {
                let spelled = record.to_record::<Spelled>().ok()??;
                let (class, ttl) = (spelled.class(), spelled.ttl());
                let data = spelled.data().0.clone();
                self.compose(Record::new(record.owner(), class, ttl, data), ttl_max_secs)?;
            }
            // Nobody compresses in these, so they are copied as they are.
            _ => {
                let opaque = record.to_record::<UnknownRecordData<&[u8]>>();
                self.compose(opaque.ok()??, ttl_max_secs)?;
            }
        }
        self.note(section, at)
    }

    /// Appends the alias that a server made of the question and a DNAME. Its first labels are the
    /// question's in the spelling that we drew for the upstream alone, so it goes in lower case.
    pub(super) fn push_synthesized(
        &mut self,
        record: &Parsed<'_>,
        ttl_max_secs: u32,
    ) -> Option<u16> {
        let at = self.message.as_slice().len();
        let target = cname_target(record)?.to_vec().as_slice().to_ascii_lowercase();
        let target = Cname::new(domain::base::Name::from_octets(target).ok()?);
        let lowered = Record::new(record.owner(), record.class(), record.ttl(), target);
        self.compose(lowered, ttl_max_secs)?;
        self.note(0, at)
    }

    /// Counts the record that stands `at`, and tells where its data stands.
    fn note(&mut self, section: usize, at: usize) -> Option<u16> {
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

    /// Where the records begin in the message.
    pub(super) fn body_at(&self) -> usize {
        self.body_at
    }

    /// The records, how many a section has, and where their TTLs stand.
    pub(super) fn finish(self) -> (Bytes, [u16; 3], Box<[u16]>) {
        let records = self.message.as_slice().get(self.body_at..).unwrap_or_default();
        (Bytes::copy_from_slice(records), self.counts, self.ttl_places.into())
    }
}

/// Data with its names written out, of a type that `domain` does not know.
struct Spelled(UnknownRecordData<Vec<u8>>);

impl RecordData for Spelled {
    fn rtype(&self) -> Rtype {
        self.0.rtype()
    }
}

impl<'m> ParseRecordData<'m, [u8]> for Spelled {
    fn parse_rdata(
        rtype: Rtype,
        parser: &mut Parser<'m, [u8]>,
    ) -> Result<Option<Self>, ParseError> {
        // Octets before the names, and how many names.
        let (before, names) = match rtype {
            Rtype::AFSDB | Rtype::RT => (2, 1),
            Rtype::PX => (2, 2),
            Rtype::NXT => (0, 1),
            Rtype::SIG => (18, 1),
            _ => return Ok(None),
        };
        let mut data = parser.parse_octets(before)?.to_vec();
        for _ in 0..names {
            data.extend(ParsedName::parse(parser)?.to_vec().as_slice());
        }
        data.extend(parser.parse_octets(parser.remaining())?);
        let data = UnknownRecordData::from_octets(rtype, data);
        data.map(|data| Some(Self(data))).map_err(|_| ParseError::form_error("data too long"))
    }
}

/// The host that a record leads to, whose addresses may stand in the additional section.
pub(super) fn host<'m>(record: &Parsed<'m>) -> Option<ParsedName<&'m [u8]>> {
    match record.rtype() {
        Rtype::NS => Some(*record.to_record::<Ns<ParsedName<&[u8]>>>().ok()??.data().nsdname()),
        Rtype::MX => Some(*record.to_record::<Mx<ParsedName<&[u8]>>>().ok()??.data().exchange()),
        Rtype::SRV => Some(*record.to_record::<Srv<ParsedName<&[u8]>>>().ok()??.data().target()),
        Rtype::SVCB | Rtype::HTTPS => {
            let typed = record.to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().ok()?;
            let target = match typed.data() {
                AllRecordData::Svcb(data) => data.target(),
                AllRecordData::Https(data) => data.target(),
                _ => return None,
            };
            // RFC 9460 section 2.5.2: the root stands for the owner.
            Some(if target.is_root() { record.owner() } else { *target })
        }
        _ => None,
    }
}

/// Whether a record is an address or the signature over one.
pub(super) fn is_address(record: &Parsed<'_>) -> bool {
    matches!(type_or_covered(record), Rtype::A | Rtype::AAAA)
}

/// A record's type; of a signature, the type that it is over.
pub(super) fn type_or_covered(record: &Parsed<'_>) -> Rtype {
    match record.rtype() {
        Rtype::RRSIG => match record.to_record::<Rrsig<&[u8], ParsedName<&[u8]>>>() {
            Ok(Some(signature)) => signature.data().type_covered(),
            Ok(None) | Err(_) => Rtype::RRSIG,
        },
        rtype => rtype,
    }
}

/// The zone that an authority record tells of: whose authority it names, or who signed it.
pub(super) fn zone<'m>(record: &Parsed<'m>) -> Option<ParsedName<&'m [u8]>> {
    match record.rtype() {
        Rtype::SOA | Rtype::NS => Some(record.owner()),
        Rtype::RRSIG => {
            let signature = record.to_record::<Rrsig<&[u8], ParsedName<&[u8]>>>().ok()??;
            Some(*signature.data().signer_name())
        }
        _ => None,
    }
}

/// Whether a record proves that a name is not there, or is the signature over such a proof.
pub(super) fn is_proof(record: &Parsed<'_>) -> bool {
    matches!(type_or_covered(record), Rtype::NSEC | Rtype::NSEC3)
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
